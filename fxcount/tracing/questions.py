"""Whether code may ask what a value is in a way that no proxy sees: ``type(x)``, ``callable(x)`` and ``x is y``."""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

_EXTENDED_ARG, _IS_OP, _LOAD_CONST, _LOAD_GLOBAL = map(
    dis.opmap.__getitem__, ("EXTENDED_ARG", "IS_OP", "LOAD_CONST", "LOAD_GLOBAL")
)
_UNSEEN = frozenset({"type", "callable"})
_NOT_THE_MODELS = frozenset({"torch", "fxcount", *sys.stdlib_module_names})


def is_model_code(module_name: str) -> bool:
    """Whether code of the Python module of that name is the model's, and not torch's, ours or Python's own."""
    return module_name.partition(".")[0] not in _NOT_THE_MODELS


class Questions:
    """What the functions of one model may ask; nothing of the model is kept when this is gone."""

    def __init__(self) -> None:
        self._answers: dict[tuple[FunctionType, type | None], bool] = {}

    def may_come_from(self, function: Any, owner: type | None = None) -> bool:
        """Whether ``function``, or a function or method of ``owner`` that it names, names ``type`` or ``callable``, or
        compares objects by identity, other than with a constant such as None."""
        function = getattr(function, "__func__", function)
        if not isinstance(function, FunctionType):
            return False
        if (function, owner) not in self._answers:
            self._answers[function, owner] = any(map(_asks_itself, _codes_reached(function, owner)))
        return self._answers[function, owner]


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
    """Whether the code names ``type`` or ``callable``, or has an ``is`` with anything but a constant on the right."""
    high_bits = 0
    before = None
    for instruction, low_bits in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = high_bits << 8 | low_bits
        high_bits = argument if instruction == _EXTENDED_ARG else 0
        if instruction == _LOAD_GLOBAL and code.co_names[argument >> 1] in _UNSEEN:
            return True
        if instruction == _IS_OP and before != _LOAD_CONST:
            return True
        before = instruction
    return False


def _named_functions(code: CodeType, function: FunctionType, owner: type | None) -> Iterator[FunctionType]:
    cells = (cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell))
    named = (function.__globals__.get(name) or getattr(owner, name, None) for name in code.co_names)
    for value in (*cells, *named):
        if isinstance(value, FunctionType):
            yield value


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # asking is how an empty cell tells
    except ValueError:
        return False
    return True
