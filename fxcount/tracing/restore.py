"""What a count must leave as it was: the model, its state, the settings of torch and the random generators."""

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

from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.module_calls import hooks_of_call


@contextlib.contextmanager
def unchanged(model: CountedModel, arguments: Any = ()) -> Iterator[Callable[[], None]]:
    """Puts back what the model changes meanwhile, also after an error: its tensors, their attributes and those of its
    modules and of the objects among its arguments, such as a cache, and settings of torch and the random generators.
    What it yields does so at once, and may be called often.
    """
    contents, kept = _Contents(), []
    for module in model.modules.values():
        state = vars(module)
        contents.keep([state, *[held for name in _HELD if isinstance(held := state.get(name), _CONTAINERS)]])
        kept += [value for name, value in state.items() if name not in _OF_TORCH and type(value) not in _PLAIN]
        kept += hooks_of_call(module)
    plain_tensors = [value for value in kept if isinstance(value, torch.Tensor)]
    owned = [*model.parameters.values(), *model.buffers.values(), *plain_tensors]
    contents.keep((*map(vars, owned), *_reached((*kept, arguments))))
    tensors = _Tensors(owned)
    settings = [(set_value, get_value()) for get_value, set_value in _settings()]

    def put_back() -> None:
        for set_value, value in settings:
            set_value(value)
        contents.restore()
        tensors.restore()

    try:
        yield put_back
    finally:
        put_back()


class _Tensors:
    """What tensors are besides their values, and their gradients."""

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self._before = [
            (each, each.data, _look(each), each.requires_grad, each.grad if each.is_leaf else None) for each in tensors
        ]

    def restore(self) -> None:
        for tensor, data, look, requires_grad, grad in self._before:
            if _look(tensor) != look:
                tensor.data = data
            if tensor.is_leaf:
                if tensor.requires_grad is not requires_grad:
                    tensor.requires_grad_(requires_grad)
                if tensor.grad is not grad:
                    tensor.grad = grad


def _look(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Its memory, shape, dtype and device."""
    strided = tensor.layout is torch.strided
    memory = (tensor.data_ptr(), tensor.stride()) if strided else tensor.layout
    return memory, tensor.shape, tensor.dtype, tensor.device


_CONTAINERS = (dict, list, set, deque)


class _Contents:
    """What containers hold."""

    def __init__(self) -> None:
        self._empty: list[Any] = []  # most, for a module has a dozen places for hooks
        self._dicts: list[dict[Any, Any]] = []
        self._entries: list[dict[Any, Any]] = []
        self._others: list[tuple[Any, list[Any] | set[Any]]] = []

    def keep(self, containers: Iterable[Any]) -> None:
        """Notes what these hold now."""
        for each in containers:
            if not each:
                self._empty.append(each)
            elif isinstance(each, dict):
                self._dicts.append(each)
                self._entries.append(dict.copy(each))
            else:
                self._others.append((each, set(each) if isinstance(each, set) else list(each)))

    def restore(self) -> None:
        for each in filter(None, self._empty):
            each.clear()
        for start in range(0, len(self._dicts), 64):  # few steps in Python, and what is looked at stays in the cache
            some = slice(start, start + 64)
            if not _same_entries(self._dicts[some], self._entries[some]):
                self._restore_entries(some)
        for each, items in self._others:
            if isinstance(items, set):  # which has no order to compare by
                each.clear()
                each.update(items)
            elif len(each) != len(items) or not all(map(operator.is_, each, items)):
                each.clear()
                each.extend(items)

    def _restore_entries(self, some: slice) -> None:
        for each, entries in zip(self._dicts[some], self._entries[some], strict=True):
            if not _same_entries([each], [entries]):
                each.clear()
                each.update(entries)


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
_HELD = [name for name, value in _OF_TORCH.items() if isinstance(value, _CONTAINERS)]


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
