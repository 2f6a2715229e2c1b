"""`GraphCost`: the costs that `count_graph` returns, with the views that people read them in."""

from __future__ import annotations

from fxcount.costed_graph import CostedGraph
from fxcount.views.table import node_table


class GraphCost(CostedGraph):
    """The costs of a model's graph; ``print`` shows them as a table."""

    def __str__(self) -> str:
        return node_table(self)

    def __repr__(self) -> str:
        return (
            f"GraphCost(flops={self.flops:,} ({self.convention.name}), macs={self.macs:,}, params={self.params:,}, "
            f"{len(self.nodes)} nodes, {self.tracer})"
        )
