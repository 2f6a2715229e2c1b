"""What a cost is: the vector, the conventions that read it, equations, the record of one operator call."""

from fxcount.cost.conventions import CONVENTIONS, FIELDS, Convention
from fxcount.cost.equation import Equation, Quantities, Size
from fxcount.cost.operator_cost import OperatorCost, Place, TensorInfo, moved
from fxcount.cost.optimizer_step import OptimizerStep
from fxcount.cost.traffic import Traffic, total_traffic
from fxcount.cost.vector import Cost, total_cost

__all__ = [
    "CONVENTIONS",
    "FIELDS",
    "Convention",
    "Cost",
    "Equation",
    "OperatorCost",
    "OptimizerStep",
    "Place",
    "Quantities",
    "Size",
    "TensorInfo",
    "Traffic",
    "moved",
    "total_cost",
    "total_traffic",
]
