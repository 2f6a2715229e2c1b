"""`ExampleNumber`: a number of an example that knows which expression it is an example of."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from fxcount.sizes.expressions import mapped, put_in, written


class ExampleNumber(int):
    """What is decided by it is decided as in the example; what is computed of it is an expression again, and so is its
    text."""

    expression: Any

    def __new__(cls, number: int, expression: Any) -> ExampleNumber:
        made = super().__new__(cls, number)
        made.expression = expression
        return made

    @classmethod
    def of(cls, expression: Any, sizes: Mapping[str, int]) -> ExampleNumber:
        """The example of an expression at these sizes."""
        number = put_in(expression, sizes)
        if not isinstance(number, int):  # there are bytes in it that have a name alone
            number = int(number.xreplace(dict.fromkeys(number.free_symbols, 0)))
        return cls(number, expression)

    def _computed(self, operation: Callable[..., Any], *others: int) -> ExampleNumber:
        number = operation(int(self), *map(int, others))
        return ExampleNumber(number, operation(self.expression, *map(expression_of, others)))

    def __add__(self, other: int) -> ExampleNumber:
        return self._computed(operator.add, other)

    __radd__ = __add__

    def __sub__(self, other: int) -> ExampleNumber:
        return self._computed(operator.sub, other)

    def __rsub__(self, other: int) -> ExampleNumber:
        return self._computed(lambda mine, others: others - mine, other)

    def __mul__(self, other: int) -> ExampleNumber:
        return self._computed(operator.mul, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> ExampleNumber:
        return self._computed(operator.floordiv, other)

    def __rfloordiv__(self, other: int) -> ExampleNumber:
        return self._computed(lambda mine, others: others // mine, other)

    def __pow__(self, other: int, modulo: None = None) -> ExampleNumber:  # type: ignore[override]
        return self._computed(operator.pow, other)

    def __neg__(self) -> ExampleNumber:
        return self._computed(operator.neg)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExampleNumber):
            return int(self) == other
        return int(self) == int(other) and (self.expression - other.expression).expand() == 0

    def __bool__(self) -> bool:
        return bool(self.expression != 0)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__

    def __format__(self, specification: str) -> str:
        text = written(self.expression.expand()) if "," in specification else str(self.expression)
        return f"+{text}" if specification.startswith("+") and not text.startswith("-") else text

    def __str__(self) -> str:
        return format(self, "")

    __repr__ = __str__


SEVERAL = 11
"""What a size of one in the example is while costs in symbols are found: a number that is no other size by chance."""


def several(sizes: Mapping[str, int], most: Mapping[str, int | None] | None = None) -> dict[str, int]:
    """Sizes of which none is one, for what holds of an axis of one element does not hold of others; ``most`` are the
    largest that there may be."""
    bounds = most or {}
    return {name: size if size > 1 else min(SEVERAL, bounds.get(name) or SEVERAL) for name, size in sizes.items()}


def expression_of(number: int) -> Any:
    """The expression that a number is an example of; a number itself where it is of none."""
    return number.expression if isinstance(number, ExampleNumber) else int(number)


def least(a: int, b: int) -> int:
    """The smaller one, whatever the sizes."""
    if not (isinstance(a, ExampleNumber) or isinstance(b, ExampleNumber)):
        return min(a, b)
    import sympy

    return ExampleNumber(min(int(a), int(b)), sympy.Min(expression_of(a), expression_of(b)))


def as_example(value: Any, sizes: Mapping[str, int]) -> Any:
    """A record with numbers of the example in the place of expressions."""
    import sympy

    return mapped(value, sympy.Expr, lambda each: ExampleNumber.of(each, sizes))
