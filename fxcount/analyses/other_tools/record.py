"""`ToolRecord`: what another tool prints for a counted call, taken apart into operators."""

from __future__ import annotations

from dataclasses import dataclass

from fxcount.result.costed_graph import CostedGraph


@dataclass(frozen=True)
class ToolPart:
    """What a tool counts for one operator for one reason, beside what is counted here."""

    operator: str
    """The operator, such as ``aten.conv2d``; empty for what belongs to none."""
    why: str
    """What the tool counts there, or that it does not see it."""
    calls: int
    """How many calls of the operator this is of."""
    theirs: int
    """What the tool counts."""
    ours: int
    """What is counted here, under the convention of the count; that of an operator stands with its first reason."""

    @property
    def difference(self) -> int:
        """Theirs less ours."""
        return self.theirs - self.ours


@dataclass(frozen=True)
class ToolRecord:
    """What a tool prints for a counted call."""

    tool: str
    """The name of the tool."""
    unit: str
    """What it calls its number, and what that is."""
    rule: str
    """What it counts, in a sentence or two."""
    parts: tuple[ToolPart, ...]
    """Its number and ours taken apart, the largest differences first; both sums are exact."""
    notes: tuple[str, ...]
    """Where the tool prints another number for the same call."""
    cost: CostedGraph
    """The count."""

    @property
    def total(self) -> int:
        """The number that it prints."""
        return sum(part.theirs for part in self.parts)

    @property
    def difference(self) -> int:
        """Its number less ours: the sum of the differences of the parts."""
        return self.total - self.cost.flops

    def __int__(self) -> int:
        return self.total
