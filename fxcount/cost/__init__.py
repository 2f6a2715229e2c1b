"""What a cost is: the vector, the conventions that read it, equations, the record of one operator call."""

from fxcount.cost.conventions import CONVENTIONS, FIELDS, Convention
from fxcount.cost.equation import Equation, Quantities, Size
from fxcount.cost.operator_cost import OperatorCost, TensorInfo, renumbered
from fxcount.cost.optimizer_step import OptimizerStep
from fxcount.cost.vector import Cost, total_cost

__all__ = [
    "CONVENTIONS",
    "FIELDS",
    "Convention",
    "Cost",
    "Equation",
    "OperatorCost",
    "OptimizerStep",
    "Quantities",
    "Size",
    "TensorInfo",
    "renumbered",
    "total_cost",
]
