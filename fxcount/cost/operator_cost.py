"""`OperatorCost`: the record of one call of one operator."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fxcount.cost.vector import Cost


@dataclass(frozen=True, slots=True)
class OperatorCost:
    """One call of one operator: its cost, and where the numbers come from."""

    name: str
    """The operator, such as ``aten.conv2d``."""
    cost: Cost
    """What the call costs; ``Cost()`` where the operator is free or not counted."""
    equation: str = ""
    """The formula's equation, one expression per field of the cost; empty where the operator is free."""
    quantities: Mapping[str, int] = field(default_factory=dict)
    """The values of the equation's names in this call."""
    uncounted: str = ""
    """Why the call is not counted; empty where it is."""
