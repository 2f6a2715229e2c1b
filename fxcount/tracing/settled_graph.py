"""`settle`: what the nodes of a graph say in torch's own symbolic sizes, in expressions."""

from typing import Any

from torch import fx
from torch.fx.node import map_aggregate

from fxcount.engine.symbolic_sizes import SymbolicSizes, has_symbols

_RECORDS = ("operators", "cost", "shapes", "storages", "backward")


def settle(graph: fx.Graph, sizes: SymbolicSizes) -> None:
    """Costs and shapes become expressions in the names of the sizes; what the graph runs on, and its metadata, are the
    numbers of the example."""
    done: dict[int, tuple[Any, Any]] = {}
    for node in graph.nodes:
        for name in _RECORDS:
            if name in node.meta:
                node.meta[name] = sizes.settled(node.meta[name], done)
        if "tensor_meta" in node.meta:
            node.meta["tensor_meta"] = sizes.in_example(node.meta["tensor_meta"])
        if has_symbols(node.args):
            node.args = map_aggregate(node.args, sizes.number)
        if has_symbols(node.kwargs):
            node.kwargs = map_aggregate(node.kwargs, sizes.number)
