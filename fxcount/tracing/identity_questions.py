"""Whether code may ask what a value is in a way that no proxy sees, such as ``type(x)`` and ``x is y``."""

import dis
import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import nn

from fxcount.fault_origin import is_model_code
from fxcount.tracing.module_calls import hooks_of_call

_EXTENDED_ARG, _IS_OP, _LOAD_CONST, _LOAD_GLOBAL = map(
    dis.opmap.__getitem__, ("EXTENDED_ARG", "IS_OP", "LOAD_CONST", "LOAD_GLOBAL")
)
_UNSEEN = frozenset({"type", "callable", "id", "vars"})
"""Functions of Python that no proxy hears of."""

_UNSEEN_ANYWHERE = frozenset({"Proxy", "is_", "is_not", "node", "tracer", "__call__", "__dict__"})
"""Names, also in a text: of the class of proxies, of ``operator.is_``, of attributes that a proxy has and no tensor."""

_FUNCTIONS = frozenset({FunctionType, MethodType})


class Questions:
    """What the functions of one model may ask; nothing of the model is kept when this is gone."""

    def __init__(self) -> None:
        self._answers: dict[tuple[FunctionType, type | None], bool] = {}

    def may_come_from(self, function: Any, owner: type | None = None) -> bool:
        """Whether ``function``, or a function or method of ``owner`` that it names, asks what a value is: by ``type``,
        ``callable`` or ``id``, as a ``Proxy``, or by identity with anything but a constant such as None."""
        function = _function_of(function)
        if not isinstance(function, FunctionType):
            return False
        if (function, owner) not in self._answers:
            self._answers[function, owner] = any(map(_asks_itself, _codes_reached(function, owner)))
        return self._answers[function, owner]

    def may_come_from_call_of(self, module: nn.Module) -> bool:
        """Whether what a call of ``module`` runs may ask: its forward, its hooks, and the functions that it keeps."""
        kept = [value for value in vars(module).values() if type(value) in _FUNCTIONS]
        kind = type(module)
        return any(self.may_come_from(each, kind) for each in (module.forward, *hooks_of_call(module), *kept))


def _codes_reached(function: FunctionType, owner: type | None) -> Iterator[CodeType]:
    """The code of the model that a call of ``function`` may run, as far as it can be told by names."""
    found: dict[FunctionType, None] = {function: None}
    waiting = [function]
    while waiting:
        current = waiting.pop()
        if not is_model_code(current.__globals__.get("__name__", "")):
            continue
        for code in _codes(current.__code__):
            yield code
            for other in _named_functions(code, current, owner):
                if other not in found:
                    found[other] = None
                    waiting.append(other)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@functools.cache
def _asks_itself(code: CodeType) -> bool:
    """Whether the code names what no proxy sees, or has an ``is`` with anything but a constant on the right."""
    if not (_UNSEEN_ANYWHERE.isdisjoint(code.co_names) and _UNSEEN_ANYWHERE.isdisjoint(code.co_consts)):
        return True
    high_bits = 0
    before = None
    for offset, (instruction, low_bits) in enumerate(zip(code.co_code[::2], code.co_code[1::2], strict=True)):
        argument = high_bits << 8 | low_bits
        high_bits = argument if instruction == _EXTENDED_ARG else 0
        if instruction == _LOAD_GLOBAL and code.co_names[argument >> 1] in _UNSEEN:
            return True
        if instruction == _IS_OP and (before != _LOAD_CONST or 2 * offset in _jumped_to(code)):
            return True
        before = instruction
    return False


def _jumped_to(code: CodeType) -> list[int]:
    """Where jumps lead: what was put there before may come from elsewhere than from the line above."""
    return dis.findlabels(code.co_code)  # type: ignore[arg-type]  # it takes bytes, as its documentation says


def _named_functions(code: CodeType, function: FunctionType, owner: type | None) -> Iterator[FunctionType]:
    """The functions that the code names: its own variables, those of its module and of modules there, of ``owner``."""
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    names = function.__globals__
    known = [names[name] if name in names else getattr(owner, name, None) for name in code.co_names]
    modules = [value for value in known if isinstance(value, ModuleType) and is_model_code(value.__name__)]
    inside = [vars(module).get(name) for module in modules for name in code.co_names]
    for value in map(_function_of, (*cells, *known, *inside)):
        if isinstance(value, FunctionType):
            yield value


def _function_of(value: Any) -> Any:
    """The function of Python that a call of ``value``, or a look at a property, runs."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, MethodType):
        return value.__func__
    if isinstance(value, functools.partial | functools.cached_property):
        return _function_of(value.func)
    if isinstance(value, FunctionType):
        return value
    return getattr(type(value), "__call__", None)  # noqa: B004  # to read it, not to ask whether there is one


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # asking is how an empty cell tells
    except ValueError:
        return False
    return True
