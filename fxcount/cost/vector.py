"""`Cost`, the vector that every operator costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fxcount.cost.conventions import FIELDS, Convention


@dataclass(frozen=True, slots=True)
class Cost:
    """Exact counts of arithmetic, by kind. Costs add field by field and scale by an integer.

    >>> Cost(macs=6, add=2) + Cost(add=1)
    Cost(macs=6, add=3)
    >>> 3 * Cost(mul=2)
    Cost(mul=6)
    """

    macs: int = 0
    """Multiply-accumulates inside a contraction: convolution, matrix product, attention, recurrent gate."""
    mul: int = 0
    """Multiplications outside contractions."""
    add: int = 0
    """Additions and subtractions outside contractions."""
    div: int = 0
    """Divisions and reciprocals."""
    cmp: int = 0
    """Comparisons, min, max, abs, neg, sign, rounding and select."""
    special: int = 0
    """Special functions: exp, log, sqrt, sin, tanh, erf, a non-integer power, and so on."""

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(
            self.macs + other.macs,
            self.mul + other.mul,
            self.add + other.add,
            self.div + other.div,
            self.cmp + other.cmp,
            self.special + other.special,
        )

    def __mul__(self, times: int) -> Cost:
        if not isinstance(times, int):
            return NotImplemented
        return Cost(**{name: amount * times for name, amount in self.to_dict().items()})

    __rmul__ = __mul__

    def __repr__(self) -> str:
        shown = (f"{name}={value}" for name, value in self.to_dict().items() if value)
        return f"Cost({', '.join(shown)})"

    def to_dict(self) -> dict[str, int]:
        """The six fields by name, zeros included."""
        return {name: getattr(self, name) for name in FIELDS}

    def under(self, convention: str | Mapping[str, int] | Convention) -> int:
        """The one number that ``convention`` reads off this cost.

        >>> Cost(macs=100, mul=5).under("multiplications")
        105
        """
        return Convention.of(convention).read(self)


def total_cost(costs: Iterable[Cost]) -> Cost:
    """The sum of ``costs``, exact; ``Cost()`` of nothing."""
    total = None
    for cost in costs:
        total = cost if total is None else total + cost
    return _NOTHING if total is None else total


_NOTHING = Cost()
