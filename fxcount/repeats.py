"""`Repeats`: an operator that ran before on the same shapes need not run again.

In deep networks three of four operators repeat, and in the next count of a like network all do. What a call on the meta
device returns, and what it costs, depends on its operator, the shapes, strides and dtypes of its tensors, its other
arguments and torch's default dtype, and on nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from fxcount.cost import OperatorCost

_NUMBERS = (int, float, bool, complex)


class Repeats:
    """The results and costs of the calls so far, by what they depend on; the oldest go when there are too many."""

    LIMIT = 2**16

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Callable[[Sequence[Any]], Any], tuple[OperatorCost, ...]]] = {}

    def find(self, key: Hashable, args: Sequence[Any]) -> tuple[Any, tuple[OperatorCost, ...]] | None:
        """The result, in new tensors, and the costs of a call that ran before; None if none did."""
        found = self._known.get(key)
        return None if found is None else (found[0](args), found[1])

    def add(self, key: Hashable, args: Sequence[Any], out: Any, calls: tuple[OperatorCost, ...]) -> None:
        """Remembers a call, unless its result holds data."""
        make = _maker(out, args)
        if make is not None:
            self._known[key] = (make, calls)
            if len(self._known) > self.LIMIT:
                del self._known[next(iter(self._known))]


@functools.cache
def repeats_under(default_dtype: torch.dtype) -> Repeats:
    """Those of torch's own operators in all counts of this process; no tensor and no model is kept."""
    return Repeats()


def key_of(func: Any, args: Sequence[Any], kwargs: Any, is_shape: Callable[[torch.Tensor], bool]) -> Hashable | None:
    """What the result of a call on shapes depends on; None if a tensor in it is more than its shape."""
    parts: list[Any] = [func]
    for value in (*args, *kwargs.items()):
        part = _part(value, is_shape)
        if part is None and value is not None:
            return None
        parts.append(part)
    return tuple(parts)


def _part(value: Any, is_shape: Callable[[torch.Tensor], bool]) -> Hashable | None:
    if isinstance(value, torch.Tensor):
        return (value.shape, value.stride(), value.dtype) if is_shape(value) else None
    kind = type(value)
    if kind in _NUMBERS:
        return (kind, value)  # 1, 1.0 and True are equal, and give results of different dtypes
    if kind in (list, tuple):
        parts = [_part(item, is_shape) for item in value]
        return (
            None
            if any(part is None and item is not None for part, item in zip(parts, value, strict=True))
            else (*parts,)
        )
    return value if isinstance(value, Hashable) else None


def _maker(out: Any, args: Sequence[Any]) -> Callable[[Sequence[Any]], Any] | None:
    """A function of a later call's arguments that makes its result; None if that takes data."""
    for position, value in enumerate(args):
        if out is value and out is not None:
            return lambda args: args[position]
    if isinstance(out, torch.Tensor):
        if not out.is_meta:
            return None
        shape, stride, dtype = tuple(out.shape), out.stride(), out.dtype
        return lambda args: torch.empty_strided(shape, stride, dtype=dtype, device="meta")
    if isinstance(out, list | tuple):
        makers = [make for item in out if (make := _maker(item, args)) is not None]
        if len(makers) < len(out):
            return None
        kind = type(out) if type(out) in (list, tuple) else tuple
        return lambda args: kind(make(args) for make in makers)
    return lambda args: out
