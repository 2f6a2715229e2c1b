"""What the code of a function names: its own variables, those of its module and of modules there, of a class."""

import dis
import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from fxcount.fault_origin import is_model_code

_EXTENDED_ARG = dis.opmap["EXTENDED_ARG"]
_STORED = frozenset(map(dis.opmap.__getitem__, ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR")))


def is_of_the_model(function: FunctionType) -> bool:
    """Whether a function is of the model's code, and not of torch, ours or Python's own."""
    return is_model_code(function.__globals__.get("__name__", ""))


@functools.cache
def codes(code: CodeType) -> tuple[CodeType, ...]:
    """A function's code, and that of the functions inside it."""
    inner = [codes(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return (code, *(each for inside in inner for each in inside))


def instructions(code: CodeType) -> Iterator[tuple[int, int, int]]:
    """The place, the number and the argument of each instruction of a code."""
    high_bits = 0
    for offset, (instruction, low_bits) in enumerate(zip(code.co_code[::2], code.co_code[1::2], strict=True)):
        argument = high_bits << 8 | low_bits
        high_bits = argument if instruction == _EXTENDED_ARG else 0
        yield 2 * offset, instruction, argument


@functools.cache
def names_in(code: CodeType) -> tuple[str, ...]:
    """All names in a function's code and that of the functions inside it, but of their own variables, and of those that
    nobody can write, with which pytest extends what a test asserts."""
    return tuple(dict.fromkeys(name for each in codes(code) for name in each.co_names if name.isidentifier()))


@functools.cache
def names_stored(code: CodeType) -> frozenset[str]:
    """The variables of a module, and the attributes of anything, that such code sets or deletes."""
    return frozenset(
        each.co_names[name]
        for each in codes(code)
        for _, instruction, name in instructions(each)
        if instruction in _STORED
    )


def contents(function: FunctionType) -> list[Any]:
    """What the variables hold that a function has of those around it."""
    return [cell.cell_contents for cell in function.__closure__ or () if is_filled(cell)]


def is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # asking is how an empty cell tells
    except ValueError:
        return False
    return True


def values_named(function: FunctionType, owner: type | None = None) -> list[Any]:
    """What the names in the code of ``function`` may mean: variables of its module and of modules there, attributes of
    ``owner``."""
    variables, names = function.__globals__, names_in(function.__code__)
    if owner is None:
        known = [variables[name] for name in names if name in variables]
    else:
        known = [variables[name] if name in variables else getattr(owner, name, None) for name in names]
    return known + [vars(module)[name] for module in modules_in(known) for name in names if name in vars(module)]


def modules_in(values: list[Any]) -> list[ModuleType]:
    """The modules of the model's code among ``values``."""
    return [value for value in values if isinstance(value, ModuleType) and is_model_code(value.__name__)]


def function_of(value: Any) -> Any:
    """The function of Python that a call of ``value``, or a look at a property, runs."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, MethodType):
        return value.__func__
    if isinstance(value, functools.partial | functools.cached_property):
        return function_of(value.func)
    if isinstance(value, FunctionType):
        return value
    return getattr(type(value), "__call__", None)  # noqa: B004  # to read it, not to ask whether there is one
