"""`Communication`: what a rank sends to others, by axis of the mesh, collective and module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from fxcount.cost import OperatorCost, OptimizerStep
from fxcount.result.node_cost import NodeCost


@dataclass(frozen=True, slots=True)
class Collective:
    """The calls of one collective by one module."""

    axis: str
    """The axis of the mesh, or the name of a process group that belongs to none."""
    name: str
    """``all_reduce``, ``all_gather``, ``reduce_scatter``, ``all_to_all``, ``broadcast`` or ``send``."""
    phase: str
    """``forward``, ``backward`` or ``optimizer``."""
    module: str
    """The path of the module that calls it, in a backward pass of that whose gradient asks for it; none in a step."""
    calls: int
    """How often it is called."""
    sent: int
    """The bytes that this rank sends in all of them."""


class Communication(tuple[Collective, ...]):
    """All collectives of a count."""

    @classmethod
    def of(cls, nodes: Iterable[NodeCost], step: OptimizerStep | None = None) -> Self:
        """Those of these nodes, of their gradients, and of the step of an optimizer."""
        found: dict[tuple[str, str, str, str], tuple[int, int]] = {}
        of_step = (("", each) for each in (step.collectives if step is not None else ()))
        for owner, operator in (*_in_nodes(nodes), *of_step):
            key = (operator.group, collective_name(operator.name), operator.phase, owner)
            calls, sent = found.get(key, (0, 0))
            found[key] = (calls + 1, sent + operator.sent)
        return cls(Collective(*key, *totals) for key, totals in found.items())

    @property
    def sent(self) -> int:
        """The bytes that this rank sends."""
        return sum(each.sent for each in self)

    def by_axis(self) -> dict[str, int]:
        """The bytes that this rank sends over each axis of the mesh."""
        found: dict[str, int] = {}
        for each in self:
            found[each.axis] = found.get(each.axis, 0) + each.sent
        return found


def _in_nodes(nodes: Iterable[NodeCost]) -> Iterator[tuple[str, OperatorCost]]:
    """Those of nodes and of their gradients, each with the module that calls it."""
    for node in nodes:
        for operator in (*node.operators, *(node.backward_operators or ())):
            if operator.group:
                yield node.owner, operator


NAMES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "send")


def collective_name(operator: str) -> str:
    """The kind of a collective, by whatever operator it is called: ``c10d._allgather_base_`` is an ``all_gather``."""
    plain = operator.rpartition(".")[2].replace("_", "").replace("sharddim", "")
    return next((name for name in NAMES if name.replace("_", "") in plain), operator)
