"""A model on several ranks is counted as what one of them does: against counts worked out by hand, and what torch's own
`CommDebugMode` sees in the same run."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from fxcount import Cost, Device, GraphCost, InputError, TracingError, count_graph, fake_mesh
from tests.tracing.on_ranks import (
    OF_HEADS,
    PAIRS,
    PLAN,
    Attention,
    gathered_over,
    mesh_of_cuda,
    network,
    sequence_parallel,
)

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def mesh() -> Iterator[Any]:
    with fake_mesh((2, 4), ("dp", "tp")) as made:
        yield made


def sent(cost: GraphCost) -> dict[tuple[str, str, str, str], tuple[int, int]]:
    """Calls and bytes, by axis, collective, phase and module."""
    return {(each.axis, each.name, each.phase, each.module): (each.calls, each.sent) for each in cost.communication}


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_network_split_over_its_features(device: str, mesh: Any) -> None:
    """On 8 rows: a quarter of 8 x 16,384 macs a layer. The second layer's results, 8 x 64 numbers of 4 bytes, are
    summed over the four ranks, and in a ring each sends twice three quarters of them. Backward: the first layer's
    weight has a gradient, its input is data; the second has both."""
    model = parallelize_module(network(device), mesh["tp"], PLAN)
    cost = count_graph(model, torch.randn(8, 64, device=device), backward=True)
    assert (cost.macs, cost.backward.macs) == (2 * 8 * 16_384 // 4, 3 * 8 * 16_384 // 4)
    assert cost.params == 2 * 16_384 // 4
    assert sent(cost) == {("tp", "all_reduce", "forward", "2"): (1, 2 * 8 * 64 * 4 * 3 // 4)}
    assert cost.communication.by_axis() == {"tp": 3_072}
    assert not cost.uncounted


def test_the_gradient_of_an_input_is_summed_too(mesh: Any) -> None:
    model = parallelize_module(network(), mesh["tp"], PLAN)
    x = torch.randn(8, 64, device="meta", requires_grad=True)
    cost = count_graph(model, x, backward=True)
    assert cost.backward.macs == 4 * 8 * 16_384 // 4
    assert sent(cost)["tp", "all_reduce", "backward", "0"] == (1, 3_072)


def test_bytes_are_those_of_the_dtype(mesh: Any) -> None:
    model = parallelize_module(network().bfloat16(), mesh["tp"], PLAN)
    cost = count_graph(model, torch.randn(8, 64, device="meta", dtype=torch.bfloat16))
    assert cost.communication.sent == 2 * 8 * 64 * 2 * 3 // 4


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_parameters_that_are_gathered_layer_by_layer(device: str, mesh: Any) -> None:
    """Each layer's 16,384 weights of 4 bytes are gathered over two ranks before it runs and once more for its gradient,
    which is scattered: each time a rank sends half. The work is not split."""
    model = network(device)
    for part in (model[0], model[2], model):
        fully_shard(part, mesh=mesh["dp"])
    cost = count_graph(model, torch.randn(8, 64, device=device), backward=True)
    assert (cost.macs, cost.backward.macs) == (2 * 8 * 16_384, 3 * 8 * 16_384)
    assert cost.params == 2 * 16_384 // 2
    totals = Counter[tuple[str, str]]()
    for each in cost.communication:
        totals[each.name, each.phase] += each.calls
        assert (each.axis, each.sent) == ("dp", each.calls * 16_384 * 4 // 2)
    assert totals == {("all_gather", "forward"): 2, ("all_gather", "backward"): 2, ("reduce_scatter", "backward"): 2}


def test_both_at_once(mesh: Any) -> None:
    """Split over four ranks, what is left is gathered over two."""
    model = parallelize_module(network(), mesh["tp"], PLAN)
    for part in (model[0], model[2], model):
        fully_shard(part, mesh=mesh["dp"])
    cost = count_graph(model, torch.randn(8, 64, device="meta"), backward=True)
    assert (cost.macs, cost.backward.macs) == (2 * 8 * 16_384 // 4, 3 * 8 * 16_384 // 4)
    assert cost.params == 2 * 16_384 // 8
    assert cost.communication.by_axis() == {"dp": 6 * 16_384, "tp": 3_072} | {"dp": 6 * (16_384 // 4) * 4 // 2}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("split", "gathered", "ranks"), [(True, False, 4), (False, True, 2), (True, True, 8)])
def test_an_optimizer_steps_on_what_a_rank_has(split: bool, gathered: bool, ranks: int, device: str, mesh: Any) -> None:
    """Of each of its parameters SGD takes a gradient times the rate: a product and a sum each."""
    model = parallelize_module(network(device), mesh["tp"], PLAN) if split else network(device)
    model = gathered_over(mesh, model) if gathered else model
    x, held = torch.ones(8, 64, device=device), 32_768 // ranks
    step = count_graph(model, x, optimizer=torch.optim.SGD).optimizer
    assert step is not None
    assert step.cost == Cost(mul=held, add=held)
    assert (step.traffic.read, step.traffic.written) == (2 * 4 * held, 4 * held)
    assert not step.collectives


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_an_optimizer_has_gradients_summed_that_are_in_parts(device: str, mesh: Any) -> None:
    """Those of the weight and the bias of a norm whose rows are split, 64 numbers each, wherever AdamW uses them: once
    for the mean of gradients, and twice for that of their squares."""
    model = sequence_parallel(mesh).to(device)
    cost = count_graph(model, torch.ones(8, 64, device=device), optimizer=torch.optim.AdamW)
    assert sent(cost)["tp", "all_reduce", "optimizer", ""] == (6, 6 * 2 * 64 * 4 * 3 // 4)
    roofline = cost.roofline(Device("slow", {torch.float32: 1e12}, 1e12, links={"tp": 1.0}))
    assert sum(each.time.linking for each in roofline.calls if each.phase == "optimizer") == 6 * 384
    again = GraphCost.from_json(cost.to_json())
    assert (again.optimizer, sent(again)) == (cost.optimizer, sent(cost))


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("split", "gathered"), [(True, False), (False, True), (True, True)])
def test_one_rank_alone_does_what_a_model_does_that_is_not_split(split: bool, gathered: bool, device: str) -> None:
    alone = count_graph(network(device), torch.ones(8, 64, device=device), optimizer=torch.optim.AdamW)
    with fake_mesh((1, 1), ("dp", "tp")) as mesh:
        model = parallelize_module(network(device), mesh["tp"], PLAN) if split else network(device)
        model = gathered_over(mesh, model) if gathered else model
        cost = count_graph(model, torch.ones(8, 64, device=device), optimizer=torch.optim.AdamW)
    assert (cost.params, cost.macs, cost.backward, cost.optimizer_step) == (
        alone.params,
        alone.macs,
        alone.backward,
        alone.optimizer_step,
    )
    assert cost.communication.sent == 0


def test_an_attention_split_over_its_heads(mesh: Any) -> None:
    """On 16 rows: four products of 16 x 64 x 64, and 2 x 8 heads x 16 x 16 x 8 for scores and mean, over four ranks."""
    with torch.device("meta"):
        whole, split = Attention(), parallelize_module(Attention(), mesh["tp"], OF_HEADS)
    x = torch.randn(1, 16, 64, device="meta")
    cost = count_graph(split, x, backward=True)
    assert cost.macs == (4 * 16 * 64 * 64 + 2 * 8 * 16 * 16 * 8) // 4
    alone = count_graph(whole, x, backward=True)
    assert (4 * cost.macs, 4 * cost.backward.macs) == (alone.macs, alone.backward.macs)
    # Each of query, key and value gives back a part of the gradient of what they are given.
    assert sent(cost) == {
        ("tp", "all_reduce", "forward", "out"): (1, 2 * 16 * 64 * 4 * 3 // 4),
        **{("tp", "all_reduce", "backward", path): (1, 2 * 16 * 64 * 4 * 3 // 4) for path in ("query", "key", "value")},
    }


def _seen(debug: CommDebugMode) -> Counter[str]:
    names = {
        "all_reduce": "all_reduce",
        "allreduce": "all_reduce",
        "all_gather": "all_gather",
        "allgather": "all_gather",
    }
    names |= {"reduce_scatter": "reduce_scatter", "all_to_all": "all_to_all", "alltoall": "all_to_all"}
    found = Counter[str]()
    for operator, calls in debug.get_comm_counts().items():
        found[next(name for part, name in names.items() if part in str(operator))] += calls
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_collectives_are_those_that_torch_sees(name: str, mesh: Any) -> None:
    make, shape = PAIRS[name]
    x = torch.randn(shape, requires_grad=True)
    cost = count_graph(make(mesh), x, backward=True)
    found = Counter[str]()
    for each in cost.communication:
        found[each.name] += each.calls
    model = make(mesh)
    with CommDebugMode() as debug:
        out = model(x)
        out = out.to_local() if isinstance(out, DTensor) else out
        out.backward(torch.ones_like(out))
    assert found == _seen(debug)
    assert sum(found.values()) > 0


@pytest.mark.parametrize("name", PAIRS)
def test_without_gradients_a_model_costs_the_same(name: str, mesh: Any) -> None:
    make, shape = PAIRS[name]
    alone, trained = (
        count_graph(make(mesh), torch.ones(shape)),
        count_graph(make(mesh), torch.ones(shape), backward=True),
    )
    assert alone.macs == trained.macs
    forward = [each for each in trained.communication if each.phase == "forward"]
    assert [*alone.communication] == forward


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("backward", [False, True])
def test_a_bias_does_not_change_how_products_are_split(backward: bool, device: str) -> None:
    """In a process that has split nothing before: what is found out then is kept for later."""
    code = f"""
import torch
from torch import nn
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from fxcount import count_graph, fake_mesh
with fake_mesh((4,), ("tp",)) as mesh:
    with torch.device("{device}"):
        model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64))
    model = parallelize_module(model, mesh, {{"0": ColwiseParallel(), "2": RowwiseParallel()}})
    cost = count_graph(model, torch.randn(16, 64, device="{device}"), backward={backward})
    print(cost.macs, *(each.name for each in cost.communication))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(16 * 64 * 128 * 2 // 4), "all_reduce"]
    assert "unwaited" not in run.stderr


def test_gradients_that_are_summed_over_all_ranks(mesh: Any) -> None:
    """32,768 gradients of 4 bytes in one bucket over eight ranks, beside a step of an optimizer."""
    model = nn.parallel.DistributedDataParallel(network("cpu"))
    cost = count_graph(model, torch.ones(8, 64), optimizer=torch.optim.SGD)
    assert sent(cost) == {("all ranks", "all_reduce", "backward", "0"): (1, 2 * 32_768 * 4 * 7 // 8)}


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_a_wrapper_inside_a_model(mesh: Any, tracer: str) -> None:
    """Over four ranks of eight: 256 means, 256 variances and one number before it runs; the gradients of 256 x 64
    weights, as many biases, and 512 of the norm."""
    inner = nn.Sequential(nn.Linear(64, 256), nn.BatchNorm1d(256))
    wrapper = nn.parallel.DistributedDataParallel(inner, device_mesh=mesh["tp"])
    model = nn.Sequential(nn.ReLU(), wrapper, nn.Linear(256, 64))
    cost = count_graph(model, torch.ones(8, 64), backward=True, tracer=tracer)
    assert sent(cost) == {
        ("tp", "broadcast", "forward", "1.module.0"): (2, 512 * 4 + 8),
        ("tp", "all_reduce", "backward", "1.module.0"): (1, 2 * (256 * 64 + 256 + 512) * 4 * 3 // 4),
    }
    assert cost.macs == 2 * 8 * 16_384
    assert cost.call is not None
    assert cost.call.mesh == "tp=4"


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_a_wrapper_that_is_called_twice(mesh: Any, tracer: str) -> None:
    """It gives its buffers to all each time; the gradients of both calls are summed together."""
    wrapper = nn.parallel.DistributedDataParallel(nn.BatchNorm1d(64), device_mesh=mesh["tp"])
    cost = count_graph(nn.Sequential(wrapper, wrapper), torch.ones(8, 64), backward=True, tracer=tracer)
    assert sent(cost) == {
        ("tp", "broadcast", "forward", "0.module"): (4, 2 * (128 * 4 + 8)),
        ("tp", "all_reduce", "backward", "0.module"): (1, 2 * 128 * 4 * 3 // 4),
    }


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
@pytest.mark.parametrize("detached", [False, True])
def test_a_wrapper_whose_parameters_get_no_gradient_sums_none(mesh: Any, tracer: str, detached: bool) -> None:
    class Taught(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.teacher, self.student = nn.parallel.DistributedDataParallel(network("cpu")), nn.Linear(64, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.set_grad_enabled(detached):
                taught = self.teacher(x)
            return self.student(x) - taught.detach()

    assert not count_graph(Taught(), torch.ones(8, 64), backward=True, tracer=tracer).communication


def test_a_wrapper_that_does_not_run_sends_nothing(mesh: Any) -> None:
    model = network("cpu")
    model.register_module("spare", None)
    model.spare = nn.parallel.DistributedDataParallel(nn.BatchNorm1d(64))
    model.forward = lambda x: model[0](x)
    assert not count_graph(model, torch.ones(8, 64)).communication


def test_what_a_wrapper_sends_is_known_or_refused(mesh: Any) -> None:
    class Hidden:
        wrapper = nn.parallel.DistributedDataParallel(network("cpu"))

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return self.wrapper(x)

    with pytest.raises(TracingError, match="a DistributedDataParallel runs that is no module of the model"):
        count_graph(Hidden(), torch.ones(8, 64))
    hooked = nn.parallel.DistributedDataParallel(network("cpu"))
    hooked.register_comm_hook(None, lambda state, bucket: None)
    sparse = nn.parallel.DistributedDataParallel(nn.Embedding(8, 4, sparse=True))
    for model in (hooked, nn.Sequential(sparse)):
        with pytest.raises(TracingError, match="what it sends is not counted"):
            count_graph(model, torch.ones(8, 64))
    split = parallelize_module(network("cpu"), mesh["tp"], PLAN)
    with pytest.raises(TracingError, match="around a model that is split"):
        count_graph(nn.parallel.DistributedDataParallel(split, device_mesh=mesh["dp"]), torch.ones(8, 64))


def test_a_gradient_that_a_wrapper_would_wait_for(mesh: Any) -> None:
    """Torch ends the next step with an error, unless the wrapper asks which parameters are used: a whole number for
    each of two, over eight ranks."""

    class First(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self[0](x)

    made = {
        find: nn.parallel.DistributedDataParallel(First(*network("cpu")), find_unused_parameters=find)
        for find in (False, True)
    }
    with pytest.raises(TracingError, match=r"2\.weight has no gradient, and the model is a DistributedDataParallel"):
        count_graph(made[False], torch.ones(8, 64), backward=True)
    cost = count_graph(made[True], torch.ones(8, 64), backward=True)
    assert sent(cost) == {("all ranks", "all_reduce", "backward", "0"): (2, 2 * (32_768 * 4 + 2 * 4) * 7 // 8)}


def test_an_input_in_parts(mesh: Any) -> None:
    """A product whose rows are split over four ranks: a quarter of 16 x 8 x 4 macs."""
    x = distribute_tensor(torch.randn(16, 8), mesh["tp"], [Shard(0)])
    weight = distribute_tensor(torch.randn(8, 4), mesh["tp"], [Replicate()])
    cost = count_graph(torch.matmul, (x, weight))
    assert cost.macs == 16 * 8 * 4 // 4
    assert not cost.communication


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_result_in_parts_has_a_gradient_in_parts(mesh: Any, device: str) -> None:
    """Of a product whose terms are summed over four ranks, each has 8 x 4 x 4 macs, and as many for each gradient. The
    gradient of the sum is whole on every rank, so that nothing is sent, as torch sees it."""
    left, right = (torch.randn(*shape, device=device) for shape in ((8, 16), (16, 4)))
    x = distribute_tensor(left, mesh["tp"], [Shard(1)]).requires_grad_()
    weight = distribute_tensor(right, mesh["tp"], [Shard(0)]).requires_grad_()
    cost = count_graph(torch.matmul, (x, weight), backward=True)
    assert (cost.macs, cost.backward.macs) == (8 * 4 * 4, 2 * 8 * 4 * 4)
    assert not cost.communication
    out = torch.matmul(x, weight)
    with CommDebugMode() as debug:
        out.backward(torch.ones_like(out))
    assert not _seen(debug)


def test_work_that_every_rank_does_is_whole(mesh: Any) -> None:
    given = tuple(distribute_tensor(torch.randn(*shape), mesh["tp"], [Replicate()]) for shape in ((16, 8), (8, 4)))
    assert count_graph(torch.matmul, given).macs == 16 * 8 * 4


def test_it_is_said_what_is_counted(mesh: Any) -> None:
    cost = count_graph(parallelize_module(network(), mesh["tp"], PLAN), torch.randn(8, 64, device="meta"))
    assert cost.call is not None
    assert cost.call.mesh == "tp=4"
    assert "one rank of tp=4. Input: " in cost.table()
    assert "It sends 3.0 KiB over tp (1 all_reduce), as rings do." in cost.table()
    assert "sent = 2 * payload * (ranks - 1) // ranks = 2 * 2,048 * (4 - 1) // 4 = 3,072" in cost.explain("2")
    assert sent(GraphCost.from_json(cost.to_json())) == sent(cost)


def test_it_is_said_what_is_split_and_what_is_whole(mesh: Any) -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.LayerNorm(64), network())
    parallelize_module(model, mesh["tp"], {"1.0": ColwiseParallel(), "1.2": RowwiseParallel()})
    cost = count_graph(model, torch.randn(8, 64, device="meta"))
    assert "Whole on every rank: 128 parameters, of 0." in cost.table()
    assert "weight [64]: 64, whole on every rank" in cost.explain("0")
    text = " ".join(cost.explain("1.2").split())
    assert "1.2.weight [64, 64]: 64 * 64 = 4,096, a part of [64, 256], axis 1 over tp" in text
    assert GraphCost.from_json(cost.to_json()).call == cost.call


def test_parts_that_are_not_equal_are_refused(mesh: Any) -> None:
    model = parallelize_module(nn.Sequential(nn.Linear(64, 90)), mesh["tp"], {"0": ColwiseParallel()})
    with pytest.raises(TracingError, match=r"0.weight of shape \[90, 64\] is split unevenly, axis 0 over 4 ranks"):
        count_graph(model, torch.randn(8, 64))


def test_a_symbolic_trace_does_not_know_how_results_are_split(mesh: Any) -> None:
    model = parallelize_module(network(), mesh["tp"], PLAN)
    with pytest.raises(TracingError, match="not traced symbolically"):
        count_graph(model, torch.randn(8, 64, device="meta"), tracer="symbolic")


def test_a_wrapper_that_needs_devices_is_refused(mesh: Any) -> None:
    wrapped = FullyShardedDataParallel(network("cpu"), device_id=torch.device("cpu"))
    for model in (wrapped, nn.Sequential(wrapped)):
        with pytest.raises(TracingError, match="FullyShardedDataParallel, which needs the devices of its ranks"):
            count_graph(model, torch.randn(8, 64))


def test_a_model_that_was_not_split_beside_one_that_was(mesh: Any) -> None:
    parallelize_module(network(), mesh["tp"], PLAN)
    assert count_graph(network(), torch.randn(8, 64, device="meta")).macs == 2 * 8 * 16_384


def test_a_mesh_leaves_nothing_behind() -> None:
    with fake_mesh((2, 2), ("dp", "tp")) as mesh:
        assert mesh.mesh_dim_names == ("dp", "tp")
        with pytest.raises(InputError, match="there is a process group already"), fake_mesh((2,), ("tp",)):
            pass
    assert not dist.is_initialized()
    with pytest.raises(InputError, match="a name for each of its axes"), fake_mesh((2, 2), ("tp",)):
        pass
    assert not dist.is_initialized()


def test_a_mesh_of_a_device_that_is_not_there() -> None:
    with fake_mesh((4,), ("tp",)):
        model = parallelize_module(network(), mesh_of_cuda(4), PLAN)
        assert count_graph(model, torch.randn(8, 64, device="meta"), backward=True).macs == 2 * 8 * 16_384 // 4
