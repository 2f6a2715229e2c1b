"""`OperatorTotal`: what all calls of one operator cost."""

from dataclasses import dataclass

from fxcount.cost import Convention, Cost


@dataclass(frozen=True)
class OperatorTotal:
    """What all calls of one operator cost together."""

    name: str
    calls: int
    cost: Cost
    convention: Convention

    @property
    def flops(self) -> int:
        """The cost as one number, under the convention."""
        return self.convention.read(self.cost)
