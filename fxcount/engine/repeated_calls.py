"""`Repeats`: a call of a node that ran before on the same shapes need not run again.

In deep networks three of four calls repeat, and in the next count of a like network all do. What a call on the meta
device returns, and what it costs, depends on what is called, the shapes, strides and dtypes of its tensors, its other
arguments and the settings of torch, and on nothing else.
"""

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.fx.immutable_collections import immutable_list  # what the arguments of a node hold in the place of a list

from fxcount._torch import Operator, make_subclass
from fxcount.engine.node_annotation import Annotation
from fxcount.engine.surrounding_modes import Modes
from fxcount.formulas.number_kinds import tensors

AsShape = Callable[[torch.Tensor], torch.Tensor | None]
"""A tensor to what has its shape and no data; None if its values count."""

_TENSORS = frozenset({torch.Tensor, torch.nn.Parameter})  # what another class does is not known
_HASHED = frozenset(
    {str, type(None), type(...), torch.dtype, torch.layout, torch.memory_format, torch.device, Operator}
)
_NUMBERS = frozenset({int, float, bool, complex})
_BOUNDS = frozenset({int, type(None)})
_SEQUENCES: dict[type, type] = {tuple: tuple, torch.Size: tuple, list: list, immutable_list: list}


class Repeats:
    """The results of the calls so far and their annotations, by what they depend on; the oldest go when there are too
    many."""

    LIMIT = 2**14

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Callable[[Sequence[Any]], Any], Annotation]] = {}

    def find(self, key: Hashable, args: Sequence[Any]) -> tuple[Any, Annotation] | None:
        """The result, in new tensors, and the annotation of a call that ran before; None if none did."""
        found = self._known.get(key)
        return None if found is None else (found[0](args), found[1])

    def add(
        self,
        key: Hashable,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        out: Any,
        note: Annotation,
        like: "Like | None" = None,
    ) -> None:
        """Remembers a call, unless its result holds data or is an object. Its tensors are made by ``like``, in the
        same memory each time unless told otherwise."""
        make = _maker(out, args, kwargs, like or same_memory)
        if make is not None:
            self.remember(key, make, note)

    def remember(self, key: Hashable, make: Callable[[Sequence[Any]], Any], note: Annotation) -> None:
        """Remembers a call whose result ``make`` returns for the arguments of a later one."""
        self._known[key] = (make, note)
        if len(self._known) > self.LIMIT:
            del self._known[next(iter(self._known))]


@functools.cache
def repeats_of(settings: Hashable) -> Repeats:
    """Those of all counts of this process under these settings; no model and no tensor with data is kept."""
    return Repeats()


def settings_of_torch() -> Hashable:
    """What a function of torch may ask for besides its arguments."""
    contraction = torch.backends.opt_einsum
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.enabled,
        contraction.enabled,
        contraction.strategy,
    )


def new_or_shared(own: bool) -> Repeats:
    """The repeats of all counts; with ``own``, or under a mode of somebody else, which may change what a call returns,
    those of one count."""
    if own or Modes():
        return Repeats()
    return repeats_of(settings_of_torch())


class _MoreThanShapeError(Exception):
    """An argument is not described by what a key may hold."""


def key_of(func: Hashable, args: Iterable[Any], kwargs: Mapping[str, Any], as_shape: AsShape) -> Hashable | None:
    """What the result of a call on shapes depends on; None if a tensor in it is more than its shape, or an argument is
    an object that may change or must not be kept."""
    parts: list[Any] = [func]
    met: list[int] = []
    try:
        _describe(args, parts, met, as_shape)
        if kwargs:
            parts.append((*kwargs,))
            _describe(kwargs.values(), parts, met, as_shape)
    except _MoreThanShapeError:
        return None
    if len(met) > 1 and len({*met}) < len(met):
        parts.append(("the same", *map(met.index, met)))
    return (*parts,)


def _describe(values: Iterable[Any], parts: list[Any], met: list[int], as_shape: AsShape) -> None:
    """Adds to ``parts`` what says all about these arguments, each in such a way that no other is described so, and to
    ``met`` the identities of the tensors, for the record of a call says which of them are one."""
    for value in values:
        kind = type(value)
        if kind in _TENSORS:
            shape = value if value.is_meta and value.layout is torch.strided else as_shape(value)
            if shape is None:
                raise _MoreThanShapeError
            parts += (shape.shape, shape.stride(), shape.dtype)
            met.append(id(value))
        elif kind in _HASHED:
            parts.append(value)
        elif kind in _NUMBERS:
            parts += (kind, value)  # 1, 1.0 and True are equal, and give results of different dtypes
        elif kind is slice and _BOUNDS.issuperset(map(type, bounds := (value.start, value.stop, value.step))):
            parts += (slice, *bounds)
        elif kind in _SEQUENCES:
            parts += (_SEQUENCES[kind], len(value))  # x[[0, 1]] is not x[0, 1]
            _describe(value, parts, met, as_shape)
        elif kind is torch.SymInt:
            parts += (kind, value)
        else:
            raise _MoreThanShapeError


Like = Callable[[torch.Tensor], Callable[[Sequence[Any]], torch.Tensor]]
"""From a tensor on the meta device to a function of a later call's arguments that makes one like it."""


def same_memory(out: torch.Tensor) -> Callable[[Sequence[Any]], torch.Tensor]:
    """In one memory for all, which nobody writes to below autograd: to make none takes least time."""
    like = torch.empty_strided(out.shape, out.stride(), dtype=out.dtype, device="meta")
    return lambda args: make_subclass(torch.Tensor, like)


def new_memory(out: torch.Tensor) -> Callable[[Sequence[Any]], torch.Tensor]:
    """In memory of its own each time, for autograd: a write to memory that it has kept is an error."""
    make = functools.partial(torch.empty_strided, out.shape, out.stride(), dtype=out.dtype, device="meta")
    return lambda args: make()


def _maker(
    out: Any, args: Sequence[Any], kwargs: Mapping[str, Any], like: Like
) -> Callable[[Sequence[Any]], Any] | None:
    """A function of a later call's arguments that makes its result; None if that takes more than shapes."""
    if isinstance(out, torch.Tensor):
        return _tensor_maker(out, args, kwargs, like)
    if isinstance(out, list | tuple):
        kind = type(out)
        makers = [make for item in out if (make := _maker(item, args, kwargs, like)) is not None]
        if len(makers) < len(out) or not (kind in (list, tuple) or kind.__module__ == "torch.return_types"):
            return None
        return lambda args: kind(make(args) for make in makers)
    return (lambda args: out) if type(out) in _HASHED or type(out) in _NUMBERS else None


def _tensor_maker(
    out: torch.Tensor, args: Sequence[Any], kwargs: Mapping[str, Any], like: Like
) -> Callable[[Sequence[Any]], Any] | None:
    """An argument that is returned is the later call's own; anything else is a tensor like ``out``."""
    if not out.is_meta or out.layout is not torch.strided:
        return None
    for position, value in enumerate(args):
        if out is value:
            return lambda args: args[position]
    if type(out) is not torch.Tensor or any(out is tensor for tensor in tensors((args, *kwargs.values()))):
        return None
    return like(out)
