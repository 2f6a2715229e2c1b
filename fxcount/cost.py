"""`Cost`, the vector that every operator costs, and the conventions that read one number off it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from fxcount.errors import ConventionError


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
        return Cost(
            self.macs * times,
            self.mul * times,
            self.add * times,
            self.div * times,
            self.cmp * times,
            self.special * times,
        )

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


FIELDS = tuple(each.name for each in fields(Cost))


def total_cost(costs: Iterable[Cost]) -> Cost:
    """The sum of ``costs``, exact; ``Cost()`` of nothing."""
    total = None
    for cost in costs:
        total = cost if total is None else total + cost
    return _NOTHING if total is None else total


_NOTHING = Cost()


@dataclass(frozen=True)
class Convention:
    """What "FLOPs" means: a weight for each field of a `Cost`; a field that is not named weighs nothing."""

    name: str
    weights: Mapping[str, int]

    @classmethod
    def of(cls, convention: str | Mapping[str, int] | Convention) -> Convention:
        """The convention of that name, or the one that a mapping of fields to weights states.

        Raises:
            ConventionError: the name, a field or a weight is unknown; the message lists the known ones.
        """
        if isinstance(convention, Convention):
            return convention
        if isinstance(convention, str):
            if convention not in CONVENTIONS:
                raise ConventionError(f"unknown convention {convention!r}; the known ones are {', '.join(CONVENTIONS)}")
            return CONVENTIONS[convention]
        if not isinstance(convention, Mapping):
            raise ConventionError(
                f"a convention is a name ({', '.join(CONVENTIONS)}) or a mapping of fields to weights, "
                f"not {type(convention).__name__}"
            )
        for name, weight in convention.items():
            if name not in FIELDS:
                raise ConventionError(f"unknown field {name!r} in a convention; a Cost has {', '.join(FIELDS)}")
            if not isinstance(weight, int):
                raise ConventionError(f"the weight of {name!r} must be an int, so that counts stay exact: {weight!r}")
        return cls("custom", dict(convention))

    def read(self, cost: Cost) -> int:
        """The weighted sum of the fields of ``cost``."""
        return sum(weight * getattr(cost, field) for field, weight in self.weights.items())

    @property
    def meaning(self) -> str:
        """The weighted sum in words, such as ``macs + mul``."""
        return " + ".join(field if weight == 1 else f"{weight} {field}" for field, weight in self.weights.items())


CONVENTIONS: Mapping[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention("multiplications", {"macs": 1, "mul": 1}),
        Convention("macs", {"macs": 1}),
        Convention("torch", {"macs": 2}),
        Convention("arithmetic", {"macs": 2, "mul": 1, "add": 1, "div": 1, "special": 1}),
    )
}
"""The named conventions; ``multiplications`` is the default everywhere."""


@dataclass(frozen=True, slots=True)
class OperatorCost:
    """One call of one operator: its cost, and where the numbers come from."""

    name: str
    """The operator, such as ``aten.conv2d``."""
    cost: Cost
    """What the call costs; ``Cost()`` where the operator is free or not counted."""
    equation: str = ""
    """The formula's equation, one expression per field of the cost; empty where the operator is free."""
    quantities: Mapping[str, int] = field(default_factory=dict)
    """The values of the equation's names in this call."""
    uncounted: str = ""
    """Why the call is not counted; empty where it is."""
