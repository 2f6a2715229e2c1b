"""Whether code may ask what a value is in a way that no proxy sees, such as ``type(x)`` and ``x is y``."""

import dis
import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch import nn

from fxcount.tracing.module_calls import hooks_of_call
from fxcount.tracing.named_values import codes, contents, function_of, instructions, is_of_the_model, values_named

_IS_OP, _LOAD_CONST, _LOAD_GLOBAL = map(dis.opmap.__getitem__, ("IS_OP", "LOAD_CONST", "LOAD_GLOBAL"))
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
        function = function_of(function)
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
        if not is_of_the_model(current):
            continue
        yield from codes(current.__code__)
        for other in map(function_of, (*contents(current), *values_named(current, owner))):
            if isinstance(other, FunctionType) and other not in found:
                found[other] = None
                waiting.append(other)


@functools.cache
def _asks_itself(code: CodeType) -> bool:
    """Whether the code names what no proxy sees, or has an ``is`` with anything but a constant on the right."""
    if not (_UNSEEN_ANYWHERE.isdisjoint(code.co_names) and _UNSEEN_ANYWHERE.isdisjoint(code.co_consts)):
        return True
    before = None
    for offset, instruction, argument in instructions(code):
        if instruction == _LOAD_GLOBAL and code.co_names[argument >> 1] in _UNSEEN:
            return True
        if instruction == _IS_OP and (before != _LOAD_CONST or offset in _jumped_to(code)):
            return True
        before = instruction
    return False


def _jumped_to(code: CodeType) -> list[int]:
    """Where jumps lead: what was put there before may come from elsewhere than from the line above."""
    return dis.findlabels(code.co_code)  # type: ignore[arg-type]  # it takes bytes, as its documentation says
