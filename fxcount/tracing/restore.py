"""What a count must leave as it was: the model, its state, the settings of torch and the random generators."""

import contextlib
import functools
import gc
import operator
import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from types import CellType
from typing import Any

import torch
from torch import fx, nn

from fxcount._torch import attributes_of_script, hooks_after_gradient, hooks_on_gradient, parametrized_weights
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.example_call import ExampleCall
from fxcount.tracing.reach import CONTAINERS, MISSING, PLAIN, Cache, Reach, in_slot


@contextlib.contextmanager
def unchanged(model: CountedModel, call: ExampleCall) -> Iterator[Callable[[], None]]:
    """Puts back what the model changes meanwhile, also after an error: its tensors, their attributes and those of its
    modules, all that is reached from these, the arguments and the names in its code, such as a cache, an optimizer or
    another model, and settings of torch and the random generators. What it yields does so at once, and may be called
    often.
    """
    owned = [*model.parameters.values(), *model.buffers.values()]
    modules = [module for module in model.modules.values() if not isinstance(module, torch.jit.ScriptModule)]
    contents, reach = _Contents(), Reach((*modules, *owned, *call.tensors()))  # of these the model gets others
    kept: list[Any] = [call.args, call.kwargs, model.run, *{*map(type, modules)}]
    if len(modules) < len(model.modules):
        kept += model.modules.values()
    states = [*map(vars, modules)]
    held = [*chain.from_iterable(map(_held_of, states))]
    filled = [each for each in held if each and isinstance(each, CONTAINERS)]
    contents.keep_empty([each for each in held if not each])  # most, for a module has a dozen places for hooks
    contents.keep(chain(states, filled))
    for state in states:
        kept += [value for name, value in state.items() if name not in _OF_TORCH and type(value) not in PLAIN]
    kept += chain.from_iterable(each.values() for each in filled if isinstance(each, dict))
    kept += chain.from_iterable(hooks.values() for hooks in _hooks_on((*owned, *call.tensors())).values())
    attributes = [*map(vars, owned)]
    reach.follow(chain(kept, chain.from_iterable(map(dict.values, attributes))))
    contents.keep(chain(attributes, reach.containers, [parametrized_weights()]))
    of_kind = functools.partial(_of_kind, reach.others)
    parts = (
        _Settings(of_kind(torch.Generator), of_kind(random.Random)),
        contents,
        _Variables(reach),
        _Scripts(of_kind(torch.jit.ScriptModule)),
        _Tensors([*owned, *of_kind(torch.Tensor)]),
        _Caches(of_kind(Cache)),
    )

    def put_back() -> None:
        for part in parts:
            part.restore()

    try:
        yield put_back
    finally:
        put_back()


class _Tensors:
    """What tensors are besides their values, and their gradients."""

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self._tensors = [*tensors]
        self._data = [each.data for each in self._tensors]
        self._looks = _looks_of(self._tensors)
        self._gradients = [(each.requires_grad, each.grad if each.is_leaf else None) for each in self._tensors]
        self._hooks = _hooks_on(self._tensors)

    def restore(self) -> None:
        for tensor, data, before, now in zip(
            self._tensors, self._data, self._looks, _looks_of(self._tensors), strict=True
        ):
            if now != before:
                tensor.data = data
        for tensor, (requires_grad, grad) in zip(self._tensors, self._gradients, strict=True):
            if tensor.is_leaf:
                if tensor.requires_grad is not requires_grad:
                    tensor.requires_grad_(requires_grad)
                if tensor.grad is not grad:
                    tensor.grad = grad
        hooks_now = _hooks_on(self._tensors)
        for place in hooks_now.keys() | self._hooks.keys() if hooks_now != self._hooks else ():
            number, hooks_of = place
            hooks = hooks_of(self._tensors[number])
            if hooks is not None:
                hooks.clear()
                hooks.update(self._hooks.get(place, {}))


_SHAPE_AND_KIND = operator.attrgetter("shape", "dtype", "device")


def _looks_of(tensors: Sequence[torch.Tensor]) -> list[tuple[Any, ...]]:
    """Of each its memory, strides, shape, dtype and device; of all at once, for there are many."""
    try:
        memory: list[Any] = [*zip(map(torch.Tensor.data_ptr, tensors), map(torch.Tensor.stride, tensors), strict=True)]
    except RuntimeError:  # of one that is sparse, or only says that it has memory
        memory = [*map(_memory_of, tensors)]
    return [*zip(memory, map(_SHAPE_AND_KIND, tensors), strict=True)]


def _memory_of(tensor: torch.Tensor) -> Any:
    try:
        return (tensor.data_ptr(), tensor.stride()) if tensor.layout is torch.strided else tensor.layout
    except RuntimeError:
        return tensor.stride()


def _hooks_on(tensors: Sequence[torch.Tensor]) -> dict[tuple[int, Callable[..., Any]], dict[int, Any]]:
    """The hooks on the gradients of tensors, by the number of the tensor and what reads them, where there are any."""
    return {
        (number, hooks_of): dict(hooks)
        for hooks_of in (hooks_on_gradient, hooks_after_gradient)
        for number, hooks in enumerate(map(hooks_of, tensors))
        if hooks
    }


class _Contents:
    """What containers hold."""

    def __init__(self) -> None:
        self._empty: list[Any] = []
        self._dicts: list[dict[Any, Any]] = []
        self._entries: list[dict[Any, Any]] = []
        self._orders: list[tuple[OrderedDict[Any, Any], list[Any]]] = []
        self._others: list[tuple[Any, list[Any] | set[Any]]] = []

    def keep_empty(self, containers: Iterable[Any]) -> None:
        """Notes that these hold nothing now; None stands for one that is not there."""
        self._empty += containers

    def keep(self, containers: Iterable[Any]) -> None:
        """Notes what these hold now."""
        for each in containers:
            if not each:
                self._empty.append(each)
            elif isinstance(each, dict):
                self._dicts.append(each)
                self._entries.append(each.copy() if type(each) is dict else dict(dict.items(each)))
                if isinstance(each, OrderedDict):
                    self._orders.append((each, [*each]))
            else:
                self._others.append((each, set(each) if isinstance(each, set) else list(each)))

    def restore(self) -> None:
        for each in filter(None, self._empty):
            each.clear()
        for start in range(0, len(self._dicts), 64):  # few steps in Python, and what is looked at stays in the cache
            some = slice(start, start + 64)
            if not _same_entries(self._dicts[some], self._entries[some]):
                self._restore_entries(some)
        for ordered, order in self._orders:
            if [*ordered] != order:
                for key in order:
                    ordered.move_to_end(key)
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
    keys = (chain.from_iterable(map(dict.keys, dicts)) for dicts in (now, before))
    values = (chain.from_iterable(map(dict.values, dicts)) for dicts in (now, before))
    return [*map(len, now)] == [*map(len, before)] and all(map(operator.is_, *keys)) and all(map(operator.is_, *values))


_OF_TORCH = vars(nn.Module())
_HELD = [name for name, value in _OF_TORCH.items() if isinstance(value, CONTAINERS)]
_HELD_AT_ONCE = operator.itemgetter(*_HELD)


def _held_of(state: dict[str, Any]) -> Sequence[Any]:
    """The containers that every module has; None for one that a module lacks."""
    try:
        return _HELD_AT_ONCE(state)  # type: ignore[no-any-return]
    except KeyError:
        return [state.get(name) for name in _HELD]


def _of_kind(values: Iterable[Any], kind: type) -> list[Any]:
    return [value for value in values if isinstance(value, kind)]


class _Variables:
    """What variables of functions, of modules of Python and of classes hold, and attributes that stand in no dict."""

    def __init__(self, reach: Reach) -> None:
        slots = [*((cell, _CONTENT) for cell in reach.cells), *reach.slots]
        self._slots = [(owner, member, in_slot(owner, member)) for owner, member in slots]
        self._variables = [(names, name, names.get(name, MISSING)) for names, name in reach.variables]
        self._classes = reach.classes
        self._before = [vars(kind).copy() for kind in self._classes]

    def restore(self) -> None:
        for owner, member, value in self._slots:
            if in_slot(owner, member) is not value:
                member.__delete__(owner) if value is MISSING else member.__set__(owner, value)
        for names, name, value in self._variables:
            if value is not MISSING:
                names[name] = value
            else:
                names.pop(name, None)
        now = [vars(kind).copy() for kind in self._classes]
        for kind, *both in (
            zip(self._classes, now, self._before, strict=True) if not _same_entries(now, self._before) else ()
        ):
            _put_back_attributes(kind, *both)


def _put_back_attributes(kind: type, now: dict[str, Any], before: dict[str, Any]) -> None:
    for name in now.keys() - before.keys():
        type.__delattr__(kind, name)
    for name, value in before.items():
        if now.get(name, MISSING) is not value:
            type.__setattr__(kind, name, value)


_CONTENT = vars(CellType)["cell_contents"]


class _Scripts:
    """What the attributes of scripted modules are. C++ has them, and shows each list and dict as a new one."""

    def __init__(self, scripts: Iterable[torch.jit.ScriptModule]) -> None:
        self._before = [(script, attributes_of_script(script)) for script in scripts]

    def restore(self) -> None:
        for script, before in self._before:
            for name, value in attributes_of_script(script).items():
                if not _same(value, before[name]):
                    setattr(script, name, before[name])


def _same(now: Any, before: Any) -> bool:
    """Whether two values of a script are equal, with the same tensors in them."""
    if isinstance(before, torch.Tensor) or type(now) is not type(before):
        return now is before
    if isinstance(before, dict):
        return _same([*now.items()], [*before.items()])
    if isinstance(before, list | tuple):
        return len(now) == len(before) and all(map(_same, now, before))
    return bool(now == before)


class _Caches:
    """What ``functools.lru_cache`` keeps. It cannot be put back, only forgotten: it is if there are tensors in what was
    added to."""

    def __init__(self, caches: Iterable[Any]) -> None:
        self._before = [(cache, cache.cache_info().misses) for cache in caches]

    def restore(self) -> None:
        for cache, misses in self._before:
            if cache.cache_info().misses != misses and _holds_tensors(cache):
                cache.cache_clear()


def _holds_tensors(cache: Any) -> bool:
    held = Reach((cache.__wrapped__, vars(cache)))
    held.follow(each for each in gc.get_referents(cache) if not isinstance(each, type))
    return any(isinstance(each, torch.Tensor | fx.Proxy) for each in held.others)


class _Settings:
    """What a model may set in torch, and the states of the random generators it may use."""

    def __init__(self, *generators: list[Any]) -> None:
        of_torch, of_python = generators
        pairs = [*_settings(), *((each.get_state, each.set_state) for each in of_torch)]
        pairs += [(each.getstate, each.setstate) for each in of_python if not isinstance(each, random.SystemRandom)]
        self._before = [(set_value, get_value()) for get_value, set_value in pairs]

    def restore(self) -> None:
        for set_value, value in self._before:
            set_value(value)


def _determinism() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_determinism(value: tuple[bool, bool]) -> None:
    if value != _determinism():  # to set it loads a compiler
        torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _settings() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Functions that get and set what a model may set in torch, and the states of the random generators it may use."""
    yield torch.is_grad_enabled, torch.set_grad_enabled
    yield torch.get_default_dtype, torch.set_default_dtype
    yield _determinism, _set_determinism
    yield torch.get_rng_state, torch.set_rng_state
    yield random.getstate, random.setstate
    if numpy := sys.modules.get("numpy"):
        yield numpy.random.get_state, numpy.random.set_state
