"""`OperatorCost`: the record of one call of one operator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch

from fxcount.cost.vector import Cost


class TensorInfo(NamedTuple):
    """A tensor that an operator takes or returns."""

    shape: tuple[int, ...]
    """The size of each axis."""
    dtype: torch.dtype
    """The type of its elements."""
    stride: tuple[int, ...]
    """How many elements lie between two neighbours on each axis; empty where there are none, as of a sparse tensor."""
    storage: int
    """Which memory it lies in: of the same memory, such as that of a tensor and a view of it, the same number."""


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
    inputs: tuple[TensorInfo, ...] = ()
    """The tensors that it was given, those in lists too; none of an operator that a script runs beside torch's
    dispatcher. Their ``storage`` is numbered anew in every node, so that equal calls have equal records, and in the
    backward pass in every call; `CostedGraph.operator_calls` numbers it through the whole count."""
    outputs: tuple[TensorInfo, ...] = ()
    """The tensors that it returned; one that it wrote to, or a view, has the storage of that input."""
    phase: str = "forward"
    """``backward`` if the operator ran in a backward pass, one that the model takes itself or that was asked for, else
    ``forward``."""


def renumbered(operator: OperatorCost, number: Callable[[int], int]) -> OperatorCost:
    """The record with ``number(storage)`` for each storage."""
    inputs, outputs = (
        tuple(each._replace(storage=number(each.storage)) for each in some)
        for some in (operator.inputs, operator.outputs)
    )
    return replace(operator, inputs=inputs, outputs=outputs)
