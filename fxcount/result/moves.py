"""`Moves`: the bytes that the operators of a graph read and write, found out when somebody asks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from fxcount.cost import OperatorCost, Traffic
from fxcount.result.operator_calls import Storages


@dataclass(frozen=True)
class Moves:
    """What nodes and operators move. Which tensors of a call lie in the same memory is known of the whole graph alone,
    and few ask, so it is no part of a count, and is left out where counts are compared."""

    make_storages: Callable[[], Storages] | None = field(default=None, compare=False)
    """What tells which tensors of the graph lie in the same memory."""
    traffic_of: Callable[[OperatorCost], Traffic] = field(default=Traffic.of, compare=False)
    """What one call moves."""
    nodes: Mapping[str, Traffic] = field(default_factory=dict, compare=False)
    operators: Mapping[str, Traffic] = field(default_factory=dict, compare=False)
    """What is known without it, of nodes and operators by name."""

    @cached_property
    def _found(self) -> tuple[Mapping[str, Traffic], Mapping[str, Traffic]]:
        if self.make_storages is None:
            return self.nodes, self.operators
        nodes: defaultdict[str, Traffic] = defaultdict(Traffic)
        operators: defaultdict[str, Traffic] = defaultdict(Traffic)
        for call in self.make_storages().calls():
            traffic = self.traffic_of(call.operator)
            nodes[call.node] += traffic
            operators[call.operator.name] += traffic
        return nodes, operators

    def of_node(self, name: str) -> Traffic:
        """What a node moves in the forward pass."""
        return self._found[0].get(name, Traffic())

    def of_operator(self, name: str) -> Traffic:
        """What all calls of an operator move in the forward pass."""
        return self._found[1].get(name, Traffic())
