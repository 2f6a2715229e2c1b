"""`OperatorCost`: the record of one call of one operator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
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
    offset: int = 0
    """The place of its first element in that memory, in elements."""
    stored: int | None = None
    """The bytes that it stores, where that is not told by shape and strides: of a sparse tensor."""

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return prod(self.shape)


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
    written: tuple[int, ...] = ()
    """The places in ``inputs`` of the tensors that it wrote to."""
    unread: tuple[int, ...] = ()
    """Those of them that it did not read before, as what is given as ``out``."""
    sent: int = 0
    """The bytes that a collective sends to other ranks."""
    group: str = ""
    """The axis of the mesh, or the name of the process group, over whose ranks it runs; empty of what is no
    collective."""


Place = tuple[int, int]
"""The number of a storage, and a place in it, in elements."""


def moved(operator: OperatorCost, start: Callable[[int], Place]) -> OperatorCost:
    """The record with its tensors in other storages: at ``start(storage)``, and as far behind it as they were."""

    def elsewhere(tensor: TensorInfo) -> TensorInfo:
        storage, offset = start(tensor.storage)
        return tensor._replace(storage=storage, offset=offset + tensor.offset)

    inputs, outputs = (tuple(map(elsewhere, some)) for some in (operator.inputs, operator.outputs))
    return replace(operator, inputs=inputs, outputs=outputs)
