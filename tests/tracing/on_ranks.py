"""Models on several ranks, each with what it is given; every rank makes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)


def network(device: str = "meta") -> nn.Module:
    """64 to 256 features and back: 16,384 weights each."""
    with torch.device(device):
        return nn.Sequential(nn.Linear(64, 256, bias=False), nn.ReLU(), nn.Linear(256, 64, bias=False))


def mesh_of_cuda(ranks: int) -> Any:
    """A mesh of devices that are not there, in the process group that there is."""
    try:
        return init_device_mesh("cuda", (ranks,), mesh_dim_names=("tp",))
    except ZeroDivisionError:  # up to torch 2.9
        pytest.skip("this torch looks for the devices of a mesh")


PLAN = {"0": ColwiseParallel(), "2": RowwiseParallel()}


class Attention(nn.Module):
    """Eight heads of width 8, query, key and value apart."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.query, self.key, self.value, self.out = (nn.Linear(64, 64, bias=False) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        heads = (part(y).unflatten(-1, (-1, 8)).transpose(1, 2) for part in (self.query, self.key, self.value))
        return x + self.out(nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


OF_HEADS: dict[str, Any] = {**dict.fromkeys(("query", "key", "value"), ColwiseParallel()), "out": RowwiseParallel()}


def planned(plan: dict[str, Any]) -> Callable[[Any], nn.Module]:
    """The network, split over the axis ``tp``."""
    return lambda mesh: parallelize_module(network("cpu"), mesh["tp"], plan)


def sequence_parallel(mesh: Any) -> nn.Module:
    """Between the layers every rank has some of the rows."""
    plan = {
        "0": SequenceParallel(sequence_dim=0),
        "1": PrepareModuleInput(input_layouts=Shard(0), desired_input_layouts=Replicate()),
        "1.0": ColwiseParallel(),
        "1.2": RowwiseParallel(output_layouts=Shard(0)),
    }
    return parallelize_module(nn.Sequential(nn.LayerNorm(64), network("cpu")), mesh["tp"], plan)


def attention(mesh: Any) -> nn.Module:
    """Its heads are split over ``tp``."""
    return parallelize_module(Attention(), mesh["tp"], OF_HEADS)


def gathered_over(mesh: Any, model: nn.Module) -> nn.Module:
    """Both layers gathered over ``dp``, one after the other."""
    for part in (model[0], model[2], model):
        fully_shard(part, mesh=mesh["dp"])
    return model


PAIRS: dict[str, tuple[Callable[[Any], nn.Module], tuple[int, ...]]] = {
    "columns and rows": (planned(PLAN), (8, 64)),
    "rows, then columns": (
        planned({"0": RowwiseParallel(input_layouts=Replicate()), "2": ColwiseParallel(output_layouts=Replicate())}),
        (8, 64),
    ),
    "a result that stays split": (
        planned({"0": ColwiseParallel(), "2": RowwiseParallel(output_layouts=Shard(0))}),
        (8, 64),
    ),
    "rows of the input split": (
        planned({"0": ColwiseParallel(input_layouts=Shard(0)), "2": RowwiseParallel()}),
        (8, 64),
    ),
    "sequence parallel": (sequence_parallel, (8, 64)),
    "attention": (attention, (1, 16, 64)),
    "gathered": (lambda mesh: gathered_over(mesh, network("cpu")), (8, 64)),
    "split and gathered": (lambda mesh: gathered_over(mesh, planned(PLAN)(mesh)), (8, 64)),
}
"""A model, made of a mesh with the axes ``dp`` and ``tp``, and the shape of its input."""
