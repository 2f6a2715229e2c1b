"""What a count must leave as it was: the model, its state, the settings of torch and the random generators."""

from __future__ import annotations

import contextlib
import inspect
import operator
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import torch
from torch import nn

from fxcount.tracing import CountedModel


@contextlib.contextmanager
def unchanged(model: CountedModel, arguments: Any = ()) -> Iterator[Callable[[], None]]:
    """Puts back what the model changes meanwhile, also after an error: the attributes of its modules, of the objects
    among its arguments, such as a cache, its tensors, and settings of torch and the random generators. What it yields
    does so at once, and may be called often.
    """
    modules = list(model.modules.values())
    kept = [value for module in modules for value in _kept_by(module)]
    contents = _Contents((*modules, *_objects((*kept, arguments))))
    owned = [tensor for _, tensor in model.named_tensors()]
    tensors = [*owned, *(each for each in kept if isinstance(each, torch.Tensor))]
    states = [(each, each.data, _looks(each), each.grad if each.is_leaf else None) for each in tensors]
    settings = [(set_value, get_value()) for get_value, set_value in _settings()]

    def put_back() -> None:
        contents.restore()
        for state in states:
            _put_back_tensor(*state)
        for set_value, value in settings:
            set_value(value)

    try:
        yield put_back
    finally:
        put_back()


def _looks(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What a tensor is besides its values: its memory, shape, dtype and device, and what autograd knows of it."""
    strided = tensor.layout is torch.strided
    place = (tensor.data_ptr(), tensor.stride()) if strided else (tensor.layout, None)
    return (*place, tensor.shape, tensor.dtype, tensor.device, tensor.requires_grad)


def _put_back_tensor(tensor: torch.Tensor, data: torch.Tensor, looks: tuple[Any, ...], grad: Any) -> None:
    if _looks(tensor) != looks:
        tensor.data = data
        if tensor.is_leaf:
            tensor.requires_grad_(looks[-1])
    if tensor.is_leaf and tensor.grad is not grad:
        tensor.grad = grad


_CONTAINERS = (dict, list, set, deque)


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
                each.extend(content) if isinstance(each, list | deque) else each.update(content)


_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device})
_WALKED = (tuple, *_CONTAINERS)
_NOT_WALKED = (torch.Tensor, nn.Module, type, ModuleType)


_OF_TORCH = frozenset(vars(nn.Module()))


def _kept_by(module: nn.Module) -> Iterator[Any]:
    """The attributes of a module that may hold other objects, but for those that every module has; and its hooks."""
    for name, value in vars(module).items():
        if name not in _OF_TORCH and type(value) not in _PLAIN:
            yield value
    yield from module._forward_pre_hooks.values()
    yield from module._forward_hooks.values()


def _objects(values: Iterable[Any]) -> list[Any]:
    """The containers and objects with attributes that ``values`` are made of, each once."""
    found: list[Any] = []
    seen: dict[int, Any] = {}
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if type(value) in _PLAIN or id(value) in seen:
            continue
        if isinstance(value, _WALKED):
            inner = value.values() if isinstance(value, dict) else value
        elif isinstance(value, _NOT_WALKED) or inspect.isroutine(value) or not hasattr(value, "__dict__"):
            continue
        else:
            inner = vars(value).values()
        seen[id(value)] = value
        if not isinstance(value, tuple):
            found.append(value)
        waiting += [each for each in inner if type(each) not in _PLAIN]
    return found


def _copy(value: Any) -> Any:
    """What a container holds, in a copy."""
    return dict(value) if isinstance(value, dict) else set(value) if isinstance(value, set) else list(value)


def _same(now: Any, before: Any) -> bool:
    """Whether a container holds the same objects as before."""
    if len(now) != len(before):
        return False
    if isinstance(before, dict):
        return all(map(operator.is_, now, before)) and all(map(operator.is_, now.values(), before.values()))
    return not isinstance(now, set) and all(map(operator.is_, now, before))  # a set has no order to compare by


def _settings() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Functions that get and set what a model may set in torch, and the states of the random generators it may use."""
    yield torch.is_grad_enabled, torch.set_grad_enabled
    yield torch.get_default_dtype, torch.set_default_dtype
    yield torch.get_rng_state, torch.set_rng_state
    yield random.getstate, random.setstate
    if numpy := sys.modules.get("numpy"):
        yield numpy.random.get_state, numpy.random.set_state
