"""The conventions: what "FLOPs" means, a weight for each field of a cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fxcount.errors import ConventionError

FIELDS = ("macs", "mul", "add", "div", "cmp", "special")
"""The fields of a `Cost`, in order."""


@dataclass(frozen=True)
class Convention:
    """What "FLOPs" means: a weight for each field of a `Cost`; a field that is not named weighs nothing."""

    name: str
    """One of `CONVENTIONS`, or ``custom``."""
    weights: Mapping[str, int]
    """The fields that count, each to its weight."""

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

    def read(self, cost: Any) -> int:
        """The weighted sum of the fields of ``cost``, a `Cost`."""
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
