"""fxcount: what a PyTorch model costs, exactly, and why.

>>> import torch, fxcount
>>> fxcount.count_graph(torch.nn.Linear(4, 3), torch.randn(2, 4)).macs
24
"""

from fxcount.cost import CONVENTIONS, Convention, Cost, OperatorCost
from fxcount.count import count_graph
from fxcount.errors import (
    ConventionError,
    DataNeededError,
    FormulaError,
    FxcountError,
    InputError,
    TracingError,
    UncountedError,
)
from fxcount.formulas import register_formula
from fxcount.graph_cost import GraphCost
from fxcount.result.costed_graph import OperatorTotal
from fxcount.result.module_cost import ModuleCost
from fxcount.result.node_cost import NodeCost

__all__ = [
    "CONVENTIONS",
    "Convention",
    "ConventionError",
    "Cost",
    "DataNeededError",
    "FormulaError",
    "FxcountError",
    "GraphCost",
    "InputError",
    "ModuleCost",
    "NodeCost",
    "OperatorCost",
    "OperatorTotal",
    "TracingError",
    "UncountedError",
    "count_graph",
    "register_formula",
]
