"""`Counts`: what is added up of nodes, modules and operators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fxcount.cost import CONVENTIONS, FIELDS, Convention, Cost, Traffic


class ReadsAndWrites:
    """What has ``traffic``."""

    if TYPE_CHECKING:
        traffic: Traffic

    @property
    def read(self) -> int:
        """The bytes that are read: each distinct element that the arguments of an operator hold, once."""
        return self.traffic.read

    @property
    def written(self) -> int:
        """The bytes that are written: each element of an operator's result, once."""
        return self.traffic.written


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
    traffic: Traffic = field(default_factory=Traffic)
    """The bytes that the call of the model reads and writes."""
    backward_traffic: Traffic | None = None
    """Those of the backward pass."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.params + other.params,
            self.trainable + other.trainable,
            self.cost + other.cost,
            other.backward if self.backward is None else self.backward + (other.backward or Cost()),
            self.traffic + other.traffic,
            None
            if self.backward is None and other.backward is None
            else (self.backward_traffic or Traffic()) + (other.backward_traffic or Traffic()),
        )

    def __mul__(self, times: int) -> Counts:
        backward = None if self.backward is None else self.backward * times
        moved = None if self.backward_traffic is None else self.backward_traffic * times
        return Counts(
            self.params * times, self.trainable * times, self.cost * times, backward, self.traffic * times, moved
        )

    @property
    def is_something(self) -> bool:
        """Whether anything is not zero."""
        return self.params > 0 or self.cost != Cost() or (self.backward or Cost()) != Cost()

    @property
    def moves_something(self) -> bool:
        """Whether any bytes are read or written."""
        return any(each is not None and each.total > 0 for each in (self.traffic, self.backward_traffic))

    def numbers(self, convention: Convention) -> dict[str, int]:
        """Parameters, the fields of the costs, and FLOPs under a convention, by the names of columns."""
        own = {"params": self.params, "trainable": self.trainable}
        known = own | _fields(self.cost, convention, self.traffic)
        if self.backward is None:
            return known
        backward = _fields(self.backward, convention, self.backward_traffic or Traffic())
        return known | {f"backward_{name}": number for name, number in backward.items()}


def _fields(cost: Cost, convention: Convention, traffic: Traffic) -> dict[str, int]:
    return {**cost.to_dict(), "flops": convention.read(cost), "read": traffic.read, "written": traffic.written}


def intensity(counts: Counts) -> float | None:
    """Floating-point operations of a forward pass for each byte that it reads or writes; None where nothing moves."""
    moved = counts.traffic.total
    return CONVENTIONS["arithmetic"].read(counts.cost) / moved if moved else None


COUNTS = ("params", "trainable", *FIELDS, "flops", "read", "written")
"""The columns of a forward count."""

BACKWARD_COUNTS = tuple(f"backward_{name}" for name in (*FIELDS, "flops", "read", "written"))
"""Those of a backward pass."""
