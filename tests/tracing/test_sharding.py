"""A model in parts on several ranks is refused; what is whole on each rank, or gathered while it runs, is counted."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore

from fxcount import TracingError, count_graph
from tests.tracing.graphs import TRACERS

pytestmark = pytest.mark.filterwarnings("ignore")

X = torch.randn(16, 8)
MACS = 16 * 8 * 12 * 2


@pytest.fixture(autouse=True)
def _four_ranks() -> Iterator[None]:
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    yield
    torch.distributed.destroy_process_group()


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 8))


def split(*sizes: int) -> nn.Module:
    mesh = init_device_mesh("cpu", sizes, mesh_dim_names=("data", "tensor")[-len(sizes) :])
    return parallelize_module(network(), mesh["tensor"], {"0": ColwiseParallel(), "2": RowwiseParallel()})


def split_and_gathered() -> nn.Module:
    """Gathered over two ranks, and still split over the other two."""
    model, mesh = split(2, 2), init_device_mesh("cpu", (2, 2), mesh_dim_names=("data", "tensor"))
    return fully_shard(model, mesh=mesh["data"])


def with_one_split_buffer() -> nn.Module:
    model = network()
    model.register_buffer("table", distribute_tensor(torch.ones(8), init_device_mesh("cpu", (4,)), [Shard(0)]))
    return model


SPLIT: dict[str, Callable[[], nn.Module]] = {
    "linear layers": lambda: split(4),
    "linear layers, gathered": split_and_gathered,
    "a buffer": with_one_split_buffer,
    "wrapped": lambda: FullyShardedDataParallel(network(), device_id=torch.device("cpu")),
    "wrapped inside": lambda: nn.Sequential(FullyShardedDataParallel(network(), device_id=torch.device("cpu"))),
}


@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
@pytest.mark.parametrize("name", SPLIT)
def test_a_model_in_parts(name: str, tracer: str) -> None:
    with pytest.raises(TracingError, match="what one rank computes is not counted"):
        count_graph(SPLIT[name](), X, tracer=tracer)


@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
def test_an_input_in_parts(tracer: str) -> None:
    mesh = init_device_mesh("cpu", (4,))
    example: Any = (distribute_tensor(X, mesh, [Shard(0)]), distribute_tensor(torch.randn(8, 4), mesh, [Replicate()]))
    with pytest.raises(TracingError, match="an example input is in parts on 4 ranks"):
        count_graph(torch.matmul, example, tracer=tracer)


@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
def test_a_tensor_in_parts_that_no_module_has(tracer: str) -> None:
    weight = distribute_tensor(torch.randn(8, 4), init_device_mesh("cpu", (4,)), [Shard(1)])
    x = distribute_tensor(X, weight.device_mesh, [Replicate()])
    with pytest.raises(TracingError, match=r"that aten\.\w+\.default is given is in parts on 4 ranks"):
        count_graph(lambda x: x @ weight, x, tracer=tracer)


def has_shape_rule(operator: str) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(operator, "Meta")


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_what_is_gathered_while_it_runs_is_whole(tracer: str) -> None:
    if tracer == "recorded" and not has_shape_rule("c10d::_allgather_base_"):
        pytest.skip(f"torch {torch.__version__} cannot gather tensors without data")
    model = network()
    for part in (model[0], model[2], model):
        fully_shard(part, mesh=init_device_mesh("cpu", (4,)))
    cost = count_graph(model, X, tracer=tracer)
    assert cost.macs == MACS
    assert cost.params == (8 + 1) * 12 + (12 + 1) * 8


def test_a_model_that_was_not_split_beside_one_that_was() -> None:
    split(4)
    assert count_graph(network(), X).macs == MACS
