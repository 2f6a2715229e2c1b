"""Expressions in sizes: numbers put in, written as text, and read back.

They are expressions of sympy, which comes with torch, and which nothing loads before a size is a symbol.
"""

import ast
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from fxcount.errors import FxcountError, InputError


def symbol(name: str) -> Any:
    """The size of that name, a positive integer."""
    import sympy

    return sympy.Symbol(name, integer=True, positive=True)


def put_in(value: Any, sizes: Mapping[str, int]) -> Any:
    """``value`` with numbers in the place of these names: an int where no name is left, which a number itself is."""
    if isinstance(value, int):
        return value
    put = _with(value, tuple(sizes.items()))
    return int(put) if put.is_Integer else put


@functools.lru_cache(maxsize=2**16)
def _with(value: Any, sizes: tuple[tuple[str, int], ...]) -> Any:
    import sympy

    return value.xreplace({symbol(name): sympy.Integer(size) for name, size in sizes})


def summed(value: Any, name: str, start: Any, count: Any) -> Any:
    """The sum of ``value`` over so many sizes of that name, from ``start`` on, in closed form.

    Raises:
        InputError: it has none, as a sum of floors, and the bounds are no numbers.
    """
    import sympy

    if isinstance(value, int):
        return value * count
    try:
        total = sympy.summation(sympy.expand(value), (symbol(name), start, start + count - 1))
    except NotImplementedError:
        total = sympy.nan
    if total is sympy.nan or total.has(sympy.Sum) or symbol(name) in total.free_symbols - _symbols(start, count):
        if not (isinstance(start, int) and isinstance(count, int)):
            raise InputError(f"the sum of {value} over {name} has no closed form: give numbers for its bounds")
        total = sum(value.xreplace({symbol(name): sympy.Integer(size)}) for size in range(start, start + count))
    total = sympy.expand(total)
    return int(total) if total.is_Integer else total


def _symbols(*values: Any) -> set[Any]:
    return {each for value in values if not isinstance(value, int) for each in value.free_symbols}


def names_in(value: Any) -> frozenset[str]:
    """The names of the sizes in an expression; none in a number."""
    return frozenset() if isinstance(value, int) else frozenset(each.name for each in value.free_symbols)


def written(value: Any) -> str:
    """A number or an expression, its numbers with separators: ``1,814,073,344*batch``."""
    if isinstance(value, int):
        return f"{value:,}"
    return re.sub(r"(?<![\w.])\d{4,}", lambda number: f"{int(number[0]):,}", str(value))


def mapped(value: Any, kind: type, change: Callable[[Any], Any], done: dict[int, tuple[Any, Any]] | None = None) -> Any:
    """``value`` with every ``kind`` in it changed, also inside tuples, lists, mappings, slices and records. With
    ``done`` a record that is met twice is changed once."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, int | str) or value is None:
        return value
    if done is not None and id(value) in done:
        return done[id(value)][1]
    made = _mapped(value, kind, change, done)
    if done is not None:
        done[id(value)] = value, made
    return made


def _mapped(value: Any, kind: type, change: Callable[[Any], Any], done: dict[int, tuple[Any, Any]] | None) -> Any:
    def inner(part: Any) -> Any:
        return mapped(part, kind, change, done)

    if isinstance(value, tuple | list):
        parts = [inner(each) for each in value]
        if hasattr(value, "_fields"):
            return type(value)(*parts)
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, dict):
        return {key: inner(each) for key, each in value.items()}
    if isinstance(value, slice):
        return slice(inner(value.start), inner(value.stop), inner(value.step))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: inner(getattr(value, each.name)) for each in fields(value)})
    return value


@functools.cache
def functions() -> Mapping[str, Any]:
    """The functions that are in expressions, by name."""
    import sympy

    class ceil_log2(sympy.Function):  # type: ignore[misc]  # noqa: N801  # named as in equations
        """As in an `Equation`."""

        is_integer = True
        is_nonnegative = True

        @classmethod
        def eval(cls, n: Any) -> Any:
            return sympy.Integer((int(n) - 1).bit_length() if n > 1 else 0) if n.is_Integer else None

    names = ("floor", "ceiling", "Max", "Min", "Mod", "Eq", "Ne", "sqrt")
    return {name: getattr(sympy, name) for name in names} | {"ceil_log2": ceil_log2}


def applied(name: str, value: Any) -> Any:
    """The function of that name of a size of torch, or of an expression."""
    import sympy

    function = functions()[name]
    if not isinstance(value, torch.SymInt):
        return function(value)
    node: Any = value.node
    hint = int(function(sympy.Integer(int(node.hint))))
    return node.shape_env.create_symintnode(function(node.expr), hint=hint)


_OPERATIONS: Mapping[type, Any] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}

_RELATIONS: Mapping[type, str] = {ast.Lt: "Lt", ast.LtE: "Le", ast.Gt: "Gt", ast.GtE: "Ge"}


def read(text: str) -> Any:
    """The number or expression that ``str`` has written.

    Raises:
        FxcountError: the text is none.
    """
    import sympy

    def value_of(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and type(node.value) in (int, bool):
            return sympy.sympify(node.value)
        if isinstance(node, ast.Name):
            return symbol(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value_of(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            return _OPERATIONS[type(node.op)](value_of(node.left), value_of(node.right))
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _RELATIONS:
            relation = getattr(sympy, _RELATIONS[type(node.ops[0])])
            return relation(value_of(node.left), value_of(node.comparators[0]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions():
            return functions()[node.func.id](*map(value_of, node.args))
        raise FxcountError(f"not an expression in sizes: {text!r}")

    try:
        value = value_of(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        raise FxcountError(f"not an expression in sizes: {text!r}") from None
    return int(value) if isinstance(value, sympy.Integer) else value
