"""What `DistributedDataParallel` sends: it sums gradients over ranks, in buckets, as soon as they are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn

from fxcount.cost import Cost, OperatorCost
from fxcount.engine.sharding import part_of
from fxcount.formulas import formula_named

FIRST_BUCKET = 2**20
"""The first bucket is closed at this many bytes, so that it is sent early; the others at what the wrapper was given."""


@dataclass(frozen=True)
class GradientSums:
    """The sums of one wrapper."""

    group: str
    """The axis of the mesh that it was given, or ``all ranks``."""
    ranks: int
    """How many ranks there are in it."""
    largest: int
    """The bytes at which a bucket is closed."""
    parameters: tuple[nn.Parameter, ...]
    """Those that require a gradient, in their order in the model."""

    @classmethod
    def of(cls, wrapper: nn.parallel.DistributedDataParallel) -> GradientSums:
        """Those of a wrapper."""
        trained = tuple(each for each in wrapper.module.parameters() if each.requires_grad)
        mesh = getattr(wrapper, "device_mesh", None)
        names = () if mesh is None else mesh.mesh_dim_names or ()
        return cls(next(iter(names), "all ranks"), int(wrapper.process_group.size()), wrapper.bucket_bytes_cap, trained)

    def operators(self) -> Iterator[OperatorCost]:
        """A call for each bucket: gradients come from the last parameter to the first."""
        formula = formula_named("c10d.allreduce_")
        assert formula is not None
        assert formula.equation is not None
        for payload in self._buckets():
            quantities = {"payload": payload, "ranks": self.ranks}
            text, sent = formula.equation.text, formula.equation.sent(quantities)
            call = OperatorCost("c10d.allreduce_", Cost(), text, quantities, phase="backward")
            yield replace(call, sent=sent, group=self.group)

    def _buckets(self) -> Iterator[int]:
        """The bytes of each."""
        for some in _by_dtype(self.parameters):
            held, limit = 0, FIRST_BUCKET
            for parameter in reversed(some):
                held += part_of(parameter).numel() * parameter.dtype.itemsize
                if held >= limit:
                    yield held
                    held, limit = 0, self.largest
            if held:
                yield held


def _by_dtype(parameters: Iterable[nn.Parameter]) -> Iterable[list[nn.Parameter]]:
    found: dict[torch.dtype, list[nn.Parameter]] = {}
    for each in parameters:
        found.setdefault(each.dtype, []).append(each)
    return found.values()
