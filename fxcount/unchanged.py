"""What a count must leave as it was: the model, its state, the settings of torch and the random generators."""

from __future__ import annotations

import contextlib
import inspect
import operator
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from types import ModuleType
from typing import Any

import torch
from torch import nn

from fxcount.tracing import CountedModel, hooks_of_call


@contextlib.contextmanager
def unchanged(model: CountedModel, arguments: Any = ()) -> Iterator[Callable[[], None]]:
    """Puts back what the model changes meanwhile, also after an error: its tensors, their attributes and those of its
    modules and of the objects among its arguments, such as a cache, and settings of torch and the random generators.
    What it yields does so at once, and may be called often.
    """
    attributes = [vars(module) for module in model.modules.values()]
    held = [
        value for each in attributes for name in _HELD_BY_MODULES if isinstance(value := each.get(name), _CONTAINERS)
    ]
    kept = [
        value
        for each in attributes
        for name, value in each.items()
        if name not in _OF_TORCH and type(value) not in _PLAIN
    ]
    hooks = chain.from_iterable(map(hooks_of_call, model.modules.values()))
    plain_tensors = [value for value in kept if isinstance(value, torch.Tensor)]
    owned = [*model.parameters.values(), *model.buffers.values(), *plain_tensors]
    contents = _Contents([*attributes, *held, *map(vars, owned), *_reached((*kept, *hooks, arguments))])
    tensors = _Tensors(owned)
    settings = [(set_value, get_value()) for get_value, set_value in _settings()]

    def put_back() -> None:
        contents.restore()
        tensors.restore()
        for set_value, value in settings:
            set_value(value)

    try:
        yield put_back
    finally:
        put_back()


class _Tensors:
    """What tensors are besides their values, and their gradients."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self._tensors = tensors
        self._data = [each.data for each in tensors]
        self._looks = _looks(tensors)
        self._grads = [each.grad if each.is_leaf else None for each in tensors]

    def restore(self) -> None:
        before = zip(self._tensors, self._data, self._looks, self._grads, strict=True)
        for now, (tensor, data, looks, grad) in zip(_looks(self._tensors), before, strict=True):
            if now != looks:
                tensor.data = data
                if tensor.is_leaf:
                    tensor.requires_grad_(looks[-1])
            if tensor.is_leaf and tensor.grad is not grad:
                tensor.grad = grad


def _looks(tensors: Iterable[torch.Tensor]) -> list[tuple[Any, ...]]:
    """The memory, shape, dtype and device of tensors, and what autograd knows of them."""
    strided = torch.strided
    return [
        (
            (each.data_ptr(), each.stride()) if each.layout is strided else each.layout,
            each.shape,
            each.dtype,
            each.device,
            each.requires_grad,
        )
        for each in tensors
    ]


_CONTAINERS = (dict, list, set, deque)


class _Contents:
    """What containers hold."""

    def __init__(self, containers: Sequence[Any]) -> None:
        self._empty = [each for each in containers if not each]  # most, for a module has a dozen places for hooks
        filled = [each for each in containers if each]
        self._dicts = [each for each in filled if isinstance(each, dict)]
        self._entries = [*map(dict.copy, self._dicts)]
        self._others = [
            (each, set(each) if isinstance(each, set) else list(each)) for each in filled if not isinstance(each, dict)
        ]

    def restore(self) -> None:
        for each in filter(None, self._empty):
            each.clear()
        if not _same_entries(self._dicts, self._entries):
            for each, entries in zip(self._dicts, self._entries, strict=True):
                if not _same_entries([each], [entries]):
                    each.clear()
                    each.update(entries)
        for each, items in self._others:
            if isinstance(items, set):  # which has no order to compare by
                each.clear()
                each.update(items)
            elif len(each) != len(items) or not all(map(operator.is_, each, items)):
                each.clear()
                each.extend(items)


def _same_entries(now: Sequence[dict[Any, Any]], before: Sequence[dict[Any, Any]]) -> bool:
    """Whether dicts have the same objects as keys and values as before; all of them at once, for most are small."""
    values = (chain.from_iterable(each.values() for each in dicts) for dicts in (now, before))
    return (
        [*map(len, now)] == [*map(len, before)]
        and all(map(operator.is_, chain.from_iterable(now), chain.from_iterable(before)))
        and all(map(operator.is_, *values))
    )


_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device})
_WALKED = (tuple, *_CONTAINERS)
_NOT_WALKED = (torch.Tensor, nn.Module, type, ModuleType)


_OF_TORCH = vars(nn.Module())
_HELD_BY_MODULES = [name for name, value in _OF_TORCH.items() if isinstance(value, _CONTAINERS)]


def _reached(values: Iterable[Any]) -> list[Any]:
    """The containers that ``values`` are made of, and the attributes of the objects among them, each once."""
    found: list[Any] = []
    seen: dict[int, Any] = {}
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if type(value) in _PLAIN or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, _WALKED):
            inner = value.values() if isinstance(value, dict) else value
            if not isinstance(value, tuple):
                found.append(value)
        elif isinstance(value, _NOT_WALKED) or inspect.isroutine(value) or not hasattr(value, "__dict__"):
            continue
        else:
            inner = vars(value).values()
            found.append(vars(value))
        waiting += [each for each in inner if type(each) not in _PLAIN]
    return found


def _settings() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Functions that get and set what a model may set in torch, and the states of the random generators it may use."""
    yield torch.is_grad_enabled, torch.set_grad_enabled
    yield torch.get_default_dtype, torch.set_default_dtype
    yield torch.get_rng_state, torch.set_rng_state
    yield random.getstate, random.setstate
    if numpy := sys.modules.get("numpy"):
        yield numpy.random.get_state, numpy.random.set_state
