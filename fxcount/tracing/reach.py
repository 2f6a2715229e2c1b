"""`Reach`: all that a model can change of what its objects hold and its code names."""

from __future__ import annotations

import functools
import random
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from types import BuiltinMethodType, CellType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import torch
from torch import fx

from fxcount._torch import attributes_of_script
from fxcount.fault_origin import is_model_code
from fxcount.tracing.named_values import contents, is_of_the_model, modules_in, names_in, names_stored, values_named

PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device})
"""Types of values that nobody can change."""

CONTAINERS = (dict, list, set, deque)

Cache = type(functools.lru_cache(lambda: None))
"""The class of what ``functools.lru_cache`` returns."""

_PARTS: dict[type, Callable[[Any], Iterable[Any]]] = {
    tuple: iter,
    dict: dict.values,
    list: iter,
    set: iter,
    deque: iter,
    MethodType: lambda method: (method.__self__, method.__func__),
    BuiltinMethodType: lambda method: (method.__self__,),
    functools.partial: lambda partial: (partial.func, partial.args, partial.keywords),
    property: lambda prop: (prop.fget, prop.fset),
    staticmethod: lambda method: (method.__func__,),
    classmethod: lambda method: (method.__func__,),
    functools.cached_property: lambda prop: (prop.func,),
    weakref.ref: lambda reference: (reference(),),
    Cache: lambda cache: (cache.__wrapped__,),
    torch.jit.ScriptModule: lambda script: attributes_of_script(script).values(),
}
"""What is held otherwise than by attributes."""

_CHANGE_INSIDE = (torch.Tensor, torch.jit.ScriptModule, torch.Generator, random.Random, Cache, fx.Proxy)
_LISTED = frozenset({FunctionType, type})
_NOT_WALKED = frozenset({ModuleType, fx.Graph, fx.Node})
_HOLD_ALL_OF_A_KIND = frozenset({"logging", "typing"})
"""Modules of Python whose objects hold each other, and nothing of a model."""

_LOCKS = frozenset(
    (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event, threading.Semaphore)
)
"""What an object has that several threads change. What other threads do to it meanwhile is theirs, and stays."""

_RUN_IF_NAMED = frozenset({FunctionType, property, staticmethod, classmethod, functools.cached_property, Cache})
"""What a class has for code that names it, as it has classes."""

_RUN_UNNAMED = ("forward", "__call__", "__enter__", "__exit__", "__getattr__", "__getitem__", "__setitem__")


class Reach:
    """What is reached from some values, each once: through containers, attributes of objects and of the model's own
    classes, variables of functions, and what these functions name."""

    def __init__(self, known: Iterable[Any] = ()) -> None:
        """What is ``known`` is not looked at."""
        self.containers: list[Any] = []
        """Those of values, and the attributes of objects by name."""
        self.cells: list[CellType] = []
        """The variables that functions have of those around them."""
        self.variables: list[tuple[dict[str, Any], str]] = []
        """The variables of modules that a code sets, as the variables of the module and a name."""
        self.classes: list[type] = []
        self.slots: list[tuple[Any, MemberDescriptorType]] = []
        """The attributes of objects that stand in no dict, as the object and what reads and sets the attribute."""
        self.others: list[Any] = []
        """Tensors, scripts, caches, random generators and proxies, which change inside."""
        self._seen: dict[int, Any] = {id(value): value for value in known}
        self._names = {*_RUN_UNNAMED}
        self._unnamed: dict[str, list[Any]] = {}
        self._waiting: list[Any] = []
        self._kinds: dict[type, _Kind] = {}

    def follow(self, values: Iterable[Any]) -> None:
        """Looks at ``values``, and at all that is reached from them."""
        waiting, seen = self._waiting, self._seen
        waiting += values
        while waiting:
            value = waiting.pop()
            kind = type(value)
            if kind is tuple:
                waiting += _unlisted(value)
                continue
            if kind in PLAIN or id(value) in seen:
                continue
            seen[id(value)] = value
            if kind is FunctionType:
                self._add_function(value)
            elif issubclass(kind, type):
                self._add_class(value)
            elif kind not in _NOT_WALKED:
                self._add_object(value, kind)

    def _add_object(self, value: Any, kind: type) -> None:
        facts = self._kinds.get(kind)
        if facts is None:
            facts = self._kinds[kind] = _KINDS.get(kind) or _Kind(kind)
            if not facts.slots:  # which hold the class
                _KINDS[kind] = facts
        if facts.is_container:
            self.containers.append(value)
        elif facts.changes_inside:
            self.others.append(value)
        if facts.holds_many:
            self._waiting += _unlisted(facts.parts(value))
        else:
            self._waiting += facts.parts(value)
        if facts.is_walked:
            attributes = getattr(value, "__dict__", None)
            if isinstance(attributes, dict) and _LOCKS.isdisjoint(map(type, attributes.values())):
                self.containers.append(attributes)
                self._waiting += attributes.values()
        if facts.is_of_the_model:
            self._waiting.append(kind)
            self.slots += [(value, member) for member in facts.slots]
            self._waiting += [in_slot(value, member) for member in facts.slots]

    def _add_class(self, kind: type) -> None:
        for base in kind.__mro__:
            if not is_model_code(base.__module__) or (base is not kind and id(base) in self._seen):
                continue
            self._seen[id(base)] = base
            self.classes.append(base)
            for name, value in vars(base).items():
                kind = type(value)
                if kind in PLAIN:
                    continue
                if name in self._names or not (
                    kind in _RUN_IF_NAMED or name.startswith("__") or issubclass(kind, type)
                ):
                    self._waiting.append(value)
                else:
                    self._unnamed.setdefault(name, []).append(value)

    def _add_function(self, function: FunctionType) -> None:
        if function.__closure__:
            self.cells += function.__closure__
            self._waiting += contents(function)
        if not is_of_the_model(function):
            return
        self.containers.append(vars(function))
        held = (*vars(function).values(), function.__defaults__, function.__kwdefaults__)
        self._waiting += [each for each in held if each is not None]
        names = names_in(function.__code__)
        if not names:
            return
        named = values_named(function)
        self._waiting += named
        for name in self._unnamed.keys() & names:
            self._waiting += self._unnamed.pop(name)
        self._names.update(names)
        if stored := names_stored(function.__code__):
            spaces = (function.__globals__, *map(vars, modules_in(named)))
            self.variables += [(space, name) for space in spaces for name in stored]


def _unlisted(values: Iterable[Any]) -> list[Any]:
    """Without the functions and classes of installed libraries: these stand in lists of which a model uses few."""
    return [
        each
        for each in values
        if (kind := type(each)) not in PLAIN and not (kind in _LISTED and _is_installed(each.__module__))
    ]


@functools.cache
def _is_installed(module_name: str) -> bool:
    package = sys.modules.get(str(module_name).partition(".")[0])
    return "site-packages" in str(getattr(package, "__file__", ""))


class _Kind:
    """How objects of a class are looked at."""

    def __init__(self, kind: type) -> None:
        self.is_container = issubclass(kind, CONTAINERS)
        self.holds_many = issubclass(kind, (tuple, *CONTAINERS))
        self.changes_inside = issubclass(kind, _CHANGE_INSIDE)
        self.parts: Callable[[Any], Iterable[Any]] = next(
            (parts for each, parts in _PARTS.items() if issubclass(kind, each)), lambda value: ()
        )
        self.is_walked = not issubclass(kind, fx.Proxy) and kind.__module__ not in _HOLD_ALL_OF_A_KIND
        self.is_of_the_model = is_model_code(kind.__module__)
        bases = [vars(base) for base in kind.__mro__ if "__slots__" in vars(base)]
        self.slots = [each for names in bases for each in names.values() if type(each) is MemberDescriptorType]


_KINDS: weakref.WeakKeyDictionary[type, _Kind] = weakref.WeakKeyDictionary()
"""Those of the classes that were met before; a class that is gone takes its own along."""

MISSING = object()


def in_slot(owner: Any, member: Any) -> Any:
    """What an attribute that stands in no dict holds."""
    try:
        return member.__get__(owner)
    except (AttributeError, ValueError):  # of a variable that is not set
        return MISSING
