"""Experts on several ranks: counted where each rank has a part of every expert, refused where a rank has some of them,
for how many rows it gets is a matter of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
import transformers
from torch import nn
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from transformers.distributed.configuration_utils import DistributedConfig

from fxcount import TracingError, count_graph, fake_mesh
from tests.optional import TORCH, optional

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def mesh() -> Iterator[Any]:
    with fake_mesh((2, 4), ("dp", "tp")) as made:
        yield made["tp"]


def with_experts_of_their_own(mesh: Any, device: str, way: str) -> nn.Module:
    """A Mixtral of which each of four ranks has one of four experts, as transformers does it."""
    config = transformers.MixtralConfig(
        vocab_size=96,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=8,
        num_key_value_heads=4,
        num_local_experts=4,
    )
    with torch.device(device):
        model = transformers.MixtralForCausalLM(config)
    asked = DistributedConfig(tp_size=4, ep_size=4, ep_implementation=way)
    model.maybe_distribute_model(model, asked, SimpleNamespace(get_mesh=lambda axes: mesh))
    return model


def skip_below_2_11() -> None:
    if TORCH < (2, 11):
        pytest.skip("below torch 2.11 transformers asks where the weights of experts lie, and c10d has no shape rules")


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("all_to_all", "an all-to-all sends as many rows as there are for each rank"),
        ("all_reduce", "this rank has some of the matrices of aten._grouped_mm"),
    ],
)
def test_ranks_with_experts_of_their_own(way: str, reason: str, device: str, mesh: Any) -> None:
    if device == "meta":
        skip_below_2_11()
    model = with_experts_of_their_own(mesh, device, way)
    for backward in (False, True):
        with pytest.raises(TracingError, match=f"data-dependent shards: {reason}; what one rank computes is not what"):
            count_graph(model, torch.zeros(1, 16, dtype=torch.long), backward=backward)


def experts(x: torch.Tensor, weight: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    product: torch.Tensor = optional("nn.functional.grouped_mm")(x, weight, offs=ends)
    return product


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("rows", "weights"), [(Replicate(), Shard(2)), (Shard(1), Shard(1)), (Replicate(), Shard(0))])
def test_products_that_torch_splits(rows: Any, weights: Any, device: str, mesh: Any) -> None:
    """32 rows of 64 numbers meet one of four matrices of 64 x 128 each: a quarter of that on each rank. Whole matrices
    on each rank torch first sends to where parts of them are."""
    x = distribute_tensor(torch.randn(32, 64, dtype=torch.bfloat16, device=device), mesh, [rows])
    weight = distribute_tensor(torch.randn(4, 64, 128, dtype=torch.bfloat16, device=device), mesh, [weights])
    ends = distribute_tensor(torch.tensor([8, 16, 24, 32], dtype=torch.int32, device=device), mesh, [Replicate()])
    assert count_graph(experts, (x, weight, ends)).macs == 32 * 64 * 128 // 4


def exchanged(mesh: Any, sizes: list[int] | None) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        dist.all_to_all_single(out, x, sizes, sizes, group=mesh.get_group())
        return out

    return run


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_rows_that_are_exchanged(device: str, mesh: Any) -> None:
    """Of 8 rows of 4 numbers, two for each rank, six are sent."""
    if device == "meta":
        skip_below_2_11()
    x = torch.ones(8, 4, device=device)
    for sizes in (None, [2, 2, 2, 2]):
        assert count_graph(exchanged(mesh, sizes), x).communication.sent == 6 * 4 * 4
    for sizes, given in (([5, 1, 1, 1], x), (None, x.long())):
        with pytest.raises(TracingError, match="data-dependent shards"):
            count_graph(exchanged(mesh, sizes), given)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_axis_of_what_is_sent_is_named(device: str) -> None:
    with fake_mesh((4,), ("rows",)) as mesh:
        x = distribute_tensor(torch.ones(32, 64, device=device), mesh, [Shard(0)])
        cost = count_graph(lambda given: given.redistribute(placements=[Replicate()]), x)
        assert cost.communication.by_axis() == {"rows": 32 * 64 * 4 * 3 // 4}
