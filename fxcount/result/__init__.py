"""The data of a count: its nodes, its tree of modules, its operators."""

from fxcount.result.costed_graph import CostedGraph
from fxcount.result.module_cost import ModuleCost, Submodule
from fxcount.result.module_paths import depth_of, holder_of, leaf_paths, parent_of
from fxcount.result.node_cost import NodeCost, Shape
from fxcount.result.operator_total import OperatorTotal

__all__ = [
    "CostedGraph",
    "ModuleCost",
    "NodeCost",
    "OperatorTotal",
    "Shape",
    "Submodule",
    "depth_of",
    "holder_of",
    "leaf_paths",
    "parent_of",
]
