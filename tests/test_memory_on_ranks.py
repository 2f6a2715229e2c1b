"""`count_memory` of models on several ranks: by hand, and beside real runs of two processes, to the byte."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import parallelize_module

from fxcount import InputError, TracingError, count_memory, count_step, fake_mesh
from tests.memory.ranks import gathered_decoder, step
from tests.tracing.on_ranks import PAIRS, PLAN, mesh_of_cuda, network

WEIGHT = 64 * 256 * 4

without_data = pytest.mark.skipif(torch.__version__.startswith("2.9."), reason="torch 2.9 gathers nothing without data")


@pytest.fixture(scope="module")
def mesh() -> Iterator[Any]:
    with fake_mesh((2, 4), ("dp", "tp")) as made:
        yield made


# By hand


@without_data
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_is_gathered_before_a_layer(mesh: Any, device: str) -> None:
    """A rank of four has a quarter of the weight. It gathers all quarters in a row, and makes the weight of them;
    the row is there until the next is gathered."""
    layer = fully_shard(nn.Linear(64, 256, bias=False, device=device), mesh=mesh["tp"])
    memory = count_memory(layer, torch.ones(8, 64, device=device))
    assert memory.at_peak == {
        "parameters": WEIGHT // 4,
        "inputs": 8 * 64 * 4,
        "gathered": 2 * WEIGHT,
        "activations": 8 * 256 * 4,
    }


@without_data
def test_what_is_gathered_is_not_kept_for_the_gradient(mesh: Any) -> None:
    layer = fully_shard(network(), mesh=mesh["tp"])
    memory = count_memory(layer, torch.ones(8, 64, device="meta"), backward=True)
    assert memory.saved == 8 * 64 * 4 + 8 * 256 * 4  # the input, and the result of the ReLU
    gradients = [each.size for each in memory.allocations if each.kind == "gradients"]
    assert sorted(gradients) == [8 * 64 * 4, 2 * WEIGHT // 4]  # of the result, and a quarter of those of both weights


def test_a_part_of_each_layer(mesh: Any) -> None:
    """A quarter of both weights and of what is between them; the whole result, which is summed."""
    model = parallelize_module(network(), mesh["tp"], PLAN)
    memory = count_memory(model, torch.ones(8, 64, device="meta"), backward=True)
    assert memory.before == {"parameters": 2 * WEIGHT // 4, "inputs": 8 * 64 * 4}
    assert memory.saved == 8 * 64 * 4 + 8 * 64 * 4


@pytest.mark.parametrize("as_views", [False, True])
def test_gradients_lie_in_buckets(mesh: Any, as_views: bool) -> None:
    model = nn.parallel.DistributedDataParallel(network("cpu"), gradient_as_bucket_view=as_views)
    memory = count_memory(model, torch.ones(8, 64), optimizer=torch.optim.SGD)
    assert memory.before == {"parameters": 2 * WEIGHT, "inputs": 8 * 64 * 4, "gradients": 2 * WEIGHT}
    gradients = sum(each.size for each in memory.allocations if each.kind == "gradients")
    assert gradients == 8 * 64 * 4 + (2 if as_views else 4) * WEIGHT
    with model.no_sync():  # the buckets are there, and gradients are gathered elsewhere
        memory = count_memory(model, torch.ones(8, 64), backward=True)
    assert sum(each.size for each in memory.allocations if each.kind == "gradients") == 8 * 64 * 4 + 4 * WEIGHT


@without_data
def test_a_step_on_a_device(mesh: Any) -> None:
    model, ids = gathered_decoder(mesh["dp"], "meta"), torch.ones(2, 16, dtype=torch.long)
    cost = count_step(model, ids, device="H100 SXM", optimizer=torch.optim.AdamW)
    parameters = sum(each.to_local().numel() for each in model.parameters())
    assert cost.memory.before["parameters"] == 4 * parameters == 4 * cost.cost.params
    assert "one rank of dp=2" in str(cost)


def test_counting_leaves_a_model_as_it_was(mesh: Any) -> None:
    model = gathered_decoder(mesh["dp"])
    before = {name: (id(each), each.to_local().clone()) for name, each in model.named_parameters()}
    ids = torch.ones(2, 16, dtype=torch.long)
    first = count_memory(model, ids, optimizer=torch.optim.AdamW)
    for _ in range(2):
        model(ids)
        with pytest.raises(InputError, match=r"the model has gathered its parameters, .* call its reshard\(\)"):
            count_memory(model, ids)
        model.reshard()
        assert count_memory(model, ids, optimizer=torch.optim.AdamW).at_peak == first.at_peak
    for name, each in model.named_parameters():
        assert id(each) == before[name][0]
        assert each.grad is None
        assert torch.equal(each.to_local(), before[name][1])


def test_a_mesh_of_other_devices_is_refused(mesh: Any) -> None:
    model = parallelize_module(network(), mesh_of_cuda(8), PLAN)
    with pytest.raises(TracingError, match="memory of a rank is counted on a mesh of cpu, not of cuda"):
        count_memory(model, torch.ones(8, 64, device="meta"))


# Real runs


def on_one_rank(rank: int, path: str) -> None:
    """Everything on one of two processes; an error ends both."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,), mesh_dim_names=("dp",))
    ids, make = torch.ones(2, 16, dtype=torch.long), torch.optim.AdamW
    real = step(gathered_decoder(mesh), ids, make)
    for device in ("cpu", "meta"):
        counted = count_memory(gathered_decoder(mesh, device), ids, optimizer=make, device="cpu").peak
        assert counted == real, (counted, real)
    for name, (pair, shape) in PAIRS.items():
        mesh = init_device_mesh("cpu", (2, 1) if "gathered" in name else (1, 2), mesh_dim_names=("dp", "tp"))
        x = torch.ones(shape, requires_grad=True)
        counted = count_memory(pair(mesh), x, optimizer=make, device="cpu").peak
        x.grad = None
        assert counted == step(pair(mesh), x, make), name
    for as_views in (False, True):
        wrapped = [
            nn.parallel.DistributedDataParallel(network("cpu"), gradient_as_bucket_view=as_views) for _ in range(2)
        ]
        counted = count_memory(wrapped[0], torch.ones(8, 64), optimizer=make, device="cpu").peak
        assert counted == step(wrapped[1], torch.ones(8, 64), make), as_views
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")
@without_data
def test_what_real_processes_hold(tmp_path: Path) -> None:
    mp.spawn(on_one_rank, (str(tmp_path / "store"),), nprocs=2)
