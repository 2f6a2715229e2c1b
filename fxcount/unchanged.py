"""What a count must leave as it was: the model, its state, the random state."""

from __future__ import annotations

import contextlib
import inspect
import operator
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import torch
from torch import nn

from fxcount.tracing import CountedModel


@contextlib.contextmanager
def unchanged(model: CountedModel, arguments: Any = ()) -> Iterator[Callable[[], None]]:
    """Puts back what the model changes meanwhile, also after an error: the attributes of its modules, of the objects
    among its arguments, such as a cache, and the random state. What it yields does so at once, and may be called often.
    """
    modules = list(model.modules.values())
    seen: dict[int, Any] = {}
    objects = [each for module in modules for value in _kept_by(module) for each in _objects(value, seen)]
    before = _Contents((*modules, *objects, *_objects(arguments, seen)))
    data = [(tensor, tensor.data) for _, tensor in model.named_tensors()]
    random_states = [(set_state, get_state()) for get_state, set_state in _random_states()]

    def put_back() -> None:
        before.restore()
        for tensor, data_before in data:
            if not _same_data(tensor, data_before):
                tensor.data = data_before
        for set_state, state in random_states:
            set_state(state)

    try:
        yield put_back
    finally:
        put_back()


def _same_data(tensor: torch.Tensor, data: torch.Tensor) -> bool:
    """Whether a tensor still is what it was, and not moved or cast, as ``Module.to`` does in place."""
    if tensor.dtype is not data.dtype or tensor.shape != data.shape or tensor.device != data.device:
        return False
    return tensor.layout is data.layout and (tensor.layout is not torch.strided or tensor.data_ptr() == data.data_ptr())


_CONTAINERS = (dict, list, set)


class _Contents:
    """The attributes of objects, and what the lists, dicts and sets among them hold; or what a container holds."""

    def __init__(self, owners: Iterable[Any]) -> None:
        held: list[Any] = []
        for owner in owners:
            if isinstance(owner, _CONTAINERS):
                held.append(owner)
            else:
                attributes = vars(owner)
                held += (attributes, *[value for value in attributes.values() if isinstance(value, _CONTAINERS)])
        self._empty = [each for each in held if not each]  # most, for a module has a dozen places for hooks
        self._filled = [(each, _copy(each)) for each in held if each]

    def restore(self) -> None:
        for each in filter(None, self._empty):
            each.clear()
        for each, content in self._filled:
            if not _same(each, content):
                each.clear()
                each.extend(content) if isinstance(each, list) else each.update(content)


_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device})
_NOT_WALKED = (torch.Tensor, nn.Module, type, ModuleType)


_OF_TORCH = frozenset(vars(nn.Module()))


def _kept_by(module: nn.Module) -> Iterator[Any]:
    """The attributes of a module that may hold other objects, but for those that every module has."""
    for name, value in vars(module).items():
        if name not in _OF_TORCH and type(value) not in _PLAIN:
            yield value


def _objects(value: Any, seen: dict[int, Any]) -> Iterator[Any]:
    """The containers and objects with attributes that ``value`` is made of."""
    if type(value) in _PLAIN or id(value) in seen:
        return
    if isinstance(value, list | tuple | set | dict):
        inner = value.values() if isinstance(value, dict) else value
    elif isinstance(value, _NOT_WALKED) or inspect.isroutine(value) or not hasattr(value, "__dict__"):
        return
    else:
        inner = vars(value).values()
    seen[id(value)] = value
    if not isinstance(value, tuple):
        yield value
    for each in inner:
        if type(each) not in _PLAIN:
            yield from _objects(each, seen)


def _copy(value: Any) -> Any:
    """What a container holds, in a copy."""
    return dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else set(value)


def _same(now: Any, before: Any) -> bool:
    """Whether a container holds the same objects as before."""
    if len(now) != len(before):
        return False
    if isinstance(before, dict):
        return all(map(operator.is_, now, before)) and all(map(operator.is_, now.values(), before.values()))
    return isinstance(now, set) or all(map(operator.is_, now, before))


def _random_states() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Functions that get and set the state of a random generator that a model may use."""
    yield torch.get_rng_state, torch.set_rng_state
    yield random.getstate, random.setstate
    if numpy := sys.modules.get("numpy"):
        yield numpy.random.get_state, numpy.random.set_state
