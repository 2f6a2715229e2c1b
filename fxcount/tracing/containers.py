"""The values that a model hands around: where the tensors in them are, and how a graph makes them again."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import operator
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import torch
from torch import fx

from fxcount._torch import Operator, pytree
from fxcount.errors import TracingError
from fxcount.fault_origin import for_the_model

PLAIN = frozenset(
    {str, int, float, bool, complex, type(None), type(...), torch.dtype, torch.layout, torch.memory_format}
    | {torch.SymInt}
)
"""Types of what a node may hold as it is."""


def is_plain(value: Any) -> bool:
    """Whether a node may hold ``value`` as it is."""
    return type(value) in PLAIN or isinstance(value, Operator)


def is_constant(value: slice) -> bool:
    """Whether a slice has no tensor in it."""
    return type(value.start) in PLAIN and type(value.stop) in PLAIN and type(value.step) in PLAIN


_SEQUENCES = (list, tuple)


def contains(kinds: tuple[type, ...], *values: Any) -> bool:
    """Whether an instance of one of ``kinds`` is among ``values``, also inside lists, tuples, dicts and slices."""
    for value in values:
        kind = type(value)
        if issubclass(kind, kinds):
            return True
        if issubclass(kind, _SEQUENCES) and contains(kinds, *value):
            return True
        if issubclass(kind, dict) and contains(kinds, *value.values()):
            return True
        if kind is slice and contains(kinds, value.start, value.stop, value.step):
            return True
    return False


def is_special_container(value: Any) -> bool:
    """Whether ``value`` is a mapping of another class than dict, or a dataclass."""
    is_object = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return is_object or (isinstance(value, Mapping) and type(value) is not dict)


@dataclasses.dataclass(eq=False)
class Part:
    """A tensor, or what holds it, inside the result of a node; its own node is made when it is used."""

    owner: fx.Node | Part
    key: Any
    value: Any
    node: fx.Node | None = None


def parts_of(value: Any, owner: fx.Node | Part | None = None) -> Iterator[Any]:
    """The tensors in a result, each with the node or part of one that computes it; without an owner the tensors."""
    if isinstance(value, torch.Tensor):
        yield value if owner is None else (value, owner)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from parts_of(item, owner and Part(owner, key, item))
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from parts_of(item, owner and Part(owner, position, item))


def rebuild(value: Any) -> tuple[Callable[..., Any], list[Any]] | None:
    """A function that makes ``value`` again from its parts, and the parts; None where it has none.

    For named tuples, dataclasses and every container that is registered with ``torch.utils._pytree``, such as the
    outputs of transformers; an object that is none of these is copied with its attributes as parts.
    """
    if isinstance(value, torch.Size):
        return _named(lambda *sizes: torch.Size(sizes), value), list(value)
    leaves, spec = for_the_model(pytree.tree_flatten, value)
    if len(leaves) != 1 or leaves[0] is not value:
        return _named(lambda *parts: pytree.tree_unflatten(list(parts), spec), value), leaves
    attributes = getattr(value, "__dict__", None)
    if not attributes or isinstance(value, type | torch.nn.Module) or callable(value):
        return None
    names = list(attributes)

    def make(*parts: Any) -> Any:
        made = copy.copy(value)
        made.__dict__.update(zip(names, parts, strict=True))
        return made

    return _named(make, value), [attributes[name] for name in names]


_ENDLESS = (itertools.count, itertools.cycle, itertools.repeat)


def computed(value: Any) -> Any:
    """``value`` with a list in place of each iterator in it: what a generator or a ``map`` computes is computed now.

    Raises:
        TracingError: nobody has awaited a coroutine in it.
    """
    kind = type(value)
    if kind in PLAIN or issubclass(kind, torch.Tensor | fx.Proxy | torch.nn.Module):
        return value
    if issubclass(kind, Awaitable | AsyncIterator):
        raise TracingError(
            f"the model returns a {kind.__name__}, and what it computes when it is awaited is not counted"
        )
    if issubclass(kind, Iterator) and not issubclass(kind, _ENDLESS):
        return for_the_model(list, map(computed, value))
    if issubclass(kind, list | tuple | dict) or is_special_container(value):
        make, parts = rebuild(value) or (None, [])
        now = [*map(computed, parts)]
        return value if make is None or all(map(operator.is_, now, parts)) else make(*now)
    return value


def _named(make: Callable[..., Any], value: Any) -> Callable[..., Any]:
    """A graph shows and generates a function by its name."""
    make.__name__ = make.__qualname__ = f"make_{type(value).__name__}"
    return make
