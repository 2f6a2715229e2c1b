"""`Counts`: what is added up of nodes, modules and operators."""

from __future__ import annotations

from dataclasses import dataclass, field

from fxcount.cost import FIELDS, Convention, Cost


@dataclass(frozen=True, slots=True)
class Counts:
    """Parameters and costs. Counts add field by field and scale by an integer."""

    params: int = 0
    """Elements of parameters."""
    trainable: int = 0
    """Those of parameters that require a gradient."""
    cost: Cost = field(default_factory=Cost)
    """The cost of the call of the model."""
    backward: Cost | None = None
    """The cost of the backward pass; None unless it was asked for."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.params + other.params,
            self.trainable + other.trainable,
            self.cost + other.cost,
            other.backward if self.backward is None else self.backward + (other.backward or Cost()),
        )

    def __mul__(self, times: int) -> Counts:
        backward = None if self.backward is None else self.backward * times
        return Counts(self.params * times, self.trainable * times, self.cost * times, backward)

    @property
    def is_something(self) -> bool:
        """Whether anything is not zero."""
        return self.params > 0 or self.cost != Cost() or (self.backward or Cost()) != Cost()

    def numbers(self, convention: Convention) -> dict[str, int]:
        """Parameters, the fields of the costs, and FLOPs under a convention, by the names of columns."""
        known = {"params": self.params, "trainable": self.trainable, **_fields(self.cost, convention)}
        if self.backward is None:
            return known
        return known | {f"backward_{name}": number for name, number in _fields(self.backward, convention).items()}


def _fields(cost: Cost, convention: Convention) -> dict[str, int]:
    return {**cost.to_dict(), "flops": convention.read(cost)}


COUNTS = ("params", "trainable", *FIELDS, "flops")
"""The columns of a forward count."""

BACKWARD_COUNTS = tuple(f"backward_{name}" for name in (*FIELDS, "flops"))
"""Those of a backward pass."""
