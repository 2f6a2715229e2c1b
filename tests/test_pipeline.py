"""Pipelines of torch: their stages against the model that is not split, their bubbles against counts by hand and
published ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.pipelining import (
    Schedule1F1B,
    ScheduleDualPipeV,
    ScheduleGPipe,
    ScheduleInterleaved1F1B,
    ScheduleInterleavedZeroBubble,
    ScheduleLoopedBFS,
    ScheduleZBVZeroBubble,
    SplitPoint,
    pipeline,
)
from torch.distributed.tensor import Shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from fxcount import (
    Collective,
    Device,
    InputError,
    PipelineCost,
    TracingError,
    count_graph,
    count_memory,
    count_pipeline,
    fake_mesh,
)
from tests.tracing.on_ranks import PLAN, network
from tests.tracing.pipelines import Decoder, layers, of_rank, split, stages
from tests.tracing.pipelines import given as given_to_layers

IDS = torch.ones(2, 6, dtype=torch.int64)


@pytest.fixture
def two() -> Iterator[None]:
    with fake_mesh((2,), ("pp",)):
        yield


def equal(count: int) -> list[nn.Module]:
    """So many products of 4 x 8 with 8 x 8, 256 macs each."""
    with torch.device("meta"):
        return [nn.Linear(8, 8, bias=False) for _ in range(count)]


def several(*numbers: int) -> list[nn.Module]:
    """Stages of so many of these each."""
    return [nn.Sequential(*equal(number)) for number in numbers]


def trained(make: Callable[..., Any], parts: Sequence[nn.Module], microbatches: int, ranks: int) -> PipelineCost:
    """A step of training."""
    made = stages(parts, "meta")
    own = made[0] if len(parts) == ranks else of_rank(made, ranks)
    if make in (ScheduleZBVZeroBubble, ScheduleDualPipeV):
        own = of_rank(made, ranks, 0, "v")
    return count_pipeline(make(own, microbatches), made, torch.ones(4, 8, device="meta"), backward=True)


# What stages cost


@pytest.mark.parametrize("numbers", [(1, 3), (2, 2), (3, 1)])
def test_stages_are_the_model(two: None, numbers: tuple[int, ...]) -> None:
    parts = several(*numbers)
    cost = trained(ScheduleGPipe, parts, 2, 2)
    whole = count_graph(nn.Sequential(*parts), torch.ones(4, 8), backward=True)
    assert [stage.macs for stage in cost.stages] == [256 * number for number in numbers]
    # A gradient of each weight, and of what each but the first is given.
    assert [stage.backward_macs for stage in cost.stages] == [256 * (2 * numbers[0] - 1), 512 * numbers[1]]
    assert sum(stage.backward_macs or 0 for stage in cost.stages) == whole.backward.macs
    assert [stage.params for stage in cost.stages] == [64 * number for number in numbers]


@pytest.mark.parametrize("places", [[1], [2], [1, 3], [1, 2, 3]])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_stages_that_torch_has_split_are_the_model(places: list[int], device: str) -> None:
    with fake_mesh((len(places) + 1,), ("pp",)):
        made = split(places, device)
        cost = count_pipeline(Schedule1F1B(made[0], 4), made, IDS, backward=True)
    whole = count_graph(Decoder(), IDS, backward=True)
    assert sum(stage.macs for stage in cost.stages) == whole.macs
    assert sum(stage.backward_macs or 0 for stage in cost.stages) == whole.backward.macs
    assert sum(stage.params for stage in cost.stages) == whole.params
    # Two rows of six tokens of width 64, in four bytes; and the weights of tokens, from the first stage to the last
    # one, which gives back their gradient too.
    assert cost.stages[0].communication.sent == 3072 + 48
    assert cost.stages[-1].communication.sent == 3072 + 48
    assert [stage.communication.sent for stage in cost.stages[1:-1]] == [2 * 3072] * (len(places) - 1)


def test_what_is_sent(two: None) -> None:
    """Of two rows: 16 numbers, a table of 3, and 5 ids of 8 bytes. The gradient of the first alone comes back."""
    made = stages(layers(2))
    cost = count_pipeline(ScheduleGPipe(made[0], 2), made, given_to_layers(2), backward=True)
    assert [[*stage.communication] for stage in cost.stages] == [
        [Collective("pp", "send", "forward", "", 3, 2 * (16 * 4 + 3 * 4 + 5 * 8))],
        [Collective("pp", "send", "backward", "", 1, 2 * 16 * 4)],
    ]
    forward = count_pipeline(ScheduleGPipe(made[0], 2), made, given_to_layers(2))
    assert [stage.communication.sent for stage in forward.stages] == [2 * (16 * 4 + 3 * 4 + 5 * 8), 0]
    assert forward.stages[0].backward_macs is None


def test_stages_of_one_rank_send_each_other_nothing(two: None) -> None:
    cost = trained(ScheduleZBVZeroBubble, equal(4), 4, 2)
    assert [stage.rank for stage in cost.stages] == [0, 1, 1, 0]
    sent = [[(each.phase, each.sent) for each in stage.communication] for stage in cost.stages]
    assert sent == [[("forward", 128)], [("backward", 128)], [("forward", 128)], [("backward", 128)]]


class Skipping(nn.Module):
    """What the first of three stages makes goes to both others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = equal(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        z: torch.Tensor = self.third(self.second(y)) + y
        return z


def test_a_result_that_skips_a_stage_is_sent_to_both() -> None:
    x = torch.ones(4, 8, device="meta")
    with fake_mesh((3,), ("pp",)):
        spec = {"second": SplitPoint.BEGINNING, "third": SplitPoint.BEGINNING}
        pipe = pipeline(Skipping(), mb_args=(x,), split_spec=spec)
        made = [pipe.build_stage(index, torch.device("meta")) for index in range(3)]
        cost = count_pipeline(ScheduleGPipe(made[0], 2), made, x)
    received = [sorted((each.source, each.size) for each in stage.received) for stage in cost.stages]
    assert received == [[], [(0, 128)], [(0, 128), (1, 128)]]
    assert [stage.communication.sent for stage in cost.stages] == [256, 128, 0]


def test_a_stage_that_is_split_over_ranks_too() -> None:
    """A quarter of two products of 8 x 64 x 256, and an all-reduce of the result, 2 * 8 * 64 * 4 * 3 / 4 bytes."""
    with fake_mesh((2, 4), ("stages", "tp")) as mesh:
        parts = [parallelize_module(network(), mesh["tp"], PLAN) for _ in range(2)]
        made = stages(parts, "meta", mesh.get_group("stages"))
        cost = count_pipeline(ScheduleGPipe(made[0], 2), made, torch.ones(8, 64, device="meta"), backward=True)
    assert [stage.macs for stage in cost.stages] == [2 * 8 * 64 * 256 // 4] * 2
    assert [stage.params for stage in cost.stages] == [2 * 64 * 256 // 4] * 2
    sent = [{(each.name, each.phase, each.module): each.sent for each in s.communication} for s in cost.stages]
    of_result, of_gradient = (("all_reduce", "forward", "2"), ("all_reduce", "backward", "0"))
    assert sent[0] == {("send", "forward", ""): 8 * 64 * 4, of_result: 3072}
    assert sent[1] == {("send", "backward", ""): 8 * 64 * 4, of_result: 3072, of_gradient: 3072}
    assert {each.axis for stage in cost.stages for each in stage.communication} == {"stages", "tp"}


def test_a_result_in_parts_is_sent_in_parts() -> None:
    """Of 32 rows each of four ranks has 8, and sends these on."""
    plan = {
        "0": ColwiseParallel(input_layouts=Shard(0)),
        "2": RowwiseParallel(output_layouts=Shard(0), use_local_output=False),
    }
    with fake_mesh((2, 4), ("pp", "tp")) as mesh:
        parts = [parallelize_module(network(), mesh["tp"], plan) for _ in range(2)]
        made = stages(parts, "meta", mesh.get_group("pp"))
        cost = count_pipeline(ScheduleGPipe(made[0], 2), made, torch.ones(8, 64, device="meta"), backward=True)
    assert [stage.macs for stage in cost.stages] == [2 * 32 * 64 * 256 // 4] * 2
    assert [stage.received for stage in cost.stages] == [(), ((0, 8 * 64 * 4, True),)]


# How long ranks wait


def test_gpipe_by_hand(two: None) -> None:
    """A stage of three products, whose backward pass is five, before one of one and two. The first ends three forward
    passes at 9, the other at 10; that ends its backward passes at 12, 14, 16, and the first at 17, 22, 27."""
    cost = trained(ScheduleGPipe, several(3, 1), 3, 2)
    assert cost.length == 256 * 27
    assert cost.waits == {0: pytest.approx(3 / 27), 1: pytest.approx(18 / 27)}
    assert cost.bubble == pytest.approx(21 / 54)


def test_1f1b_by_hand(two: None) -> None:
    """The same stages: the second ends its first backward pass at 6, so that the first need not wait at all."""
    cost = trained(Schedule1F1B, several(3, 1), 3, 2)
    assert cost.length == 256 * 24
    assert cost.waits == {0: 0, 1: pytest.approx(15 / 24)}


def test_looped_bfs_by_hand(two: None) -> None:
    """Four equal stages, two microbatches: forward passes end at 5; the last stage goes back from 5 to 9, the third
    from 7 to 11, the second from 9 to 13, and the first, which gives no gradient back, from 11 to 12 and 13 to 14."""
    cost = trained(ScheduleLoopedBFS, equal(4), 2, 2)
    assert cost.length == 256 * 14
    assert cost.waits == {0: pytest.approx(4 / 14), 1: pytest.approx(2 / 14)}


def test_forward_passes_alone_by_hand(two: None) -> None:
    """A stage of one product before one of three: from 0 to 1, and from 1 to 7."""
    made = stages(several(1, 3), "meta")
    cost = count_pipeline(Schedule1F1B(made[0], 2), made, torch.ones(4, 8, device="meta"))
    assert cost.length == 256 * 7
    assert cost.waits == {0: pytest.approx(5 / 7), 1: pytest.approx(1 / 7)}


def alike(make: Callable[..., Any], ranks: int, rounds: int, microbatches: int) -> PipelineCost:
    """Stages that all take equally long, forward as long as backward: with weights that are not trained."""
    with fake_mesh((ranks,), ("pp",)):
        made = stages([part.requires_grad_(False) for part in equal(ranks * rounds)], "meta")
        schedule = make(made[0] if rounds == 1 else of_rank(made, ranks), microbatches)
        x = torch.ones(4, 8, device="meta", requires_grad=True)
        return count_pipeline(schedule, made, x, backward=True)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([ScheduleGPipe, Schedule1F1B]), st.integers(1, 5), st.integers(0, 6))
def test_the_bubble_that_is_published(make: Callable[..., Any], ranks: int, more: int) -> None:
    """Of p stages and m microbatches (p - 1) / (m + p - 1). (Huang et al. 2019, GPipe, section 2.3.)"""
    cost = alike(make, ranks, 1, ranks + more)
    assert cost.bubble == pytest.approx(float(Fraction(ranks - 1, ranks + more + ranks - 1)))


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([ScheduleInterleaved1F1B, ScheduleLoopedBFS]),
    st.integers(2, 4),
    st.integers(2, 3),
    st.integers(1, 3),
)
def test_the_bubble_of_several_stages_a_rank(make: Callable[..., Any], ranks: int, rounds: int, times: int) -> None:
    """With v stages a rank it is (p - 1) / (v m + p - 1), m a multiple of p. (Narayanan et al. 2021, section 2.2.2,
    which has it over the rest, (p - 1) / (v m).)"""
    cost = alike(make, ranks, rounds, times * ranks)
    work = rounds * times * ranks
    assert cost.bubble == pytest.approx(float(Fraction(ranks - 1, work + ranks - 1)))


@pytest.mark.parametrize(("ranks", "times"), [(2, 1), (2, 3), (3, 2), (4, 2)])
def test_the_bubble_of_zero_bubble_schedules(ranks: int, times: int) -> None:
    """ZB-H1 waits (p - 1) (F + I - W), with the halves I and W of a backward pass. (Qi et al. 2023, table 1, where they
    are B and W.) Here each is one product."""
    with fake_mesh((ranks,), ("pp",)):
        cost = trained(ScheduleInterleavedZeroBubble, equal(2 * ranks), times * ranks, ranks)
    assert cost.stages[1].takes == {"F": 256, "B": 512, "I": 256, "W": 256}
    assert cost.stages[0].takes == {"F": 256, "B": 256, "I": 0, "W": 256}  # nothing wants its gradient
    work = 3 * 2 * times * ranks
    assert cost.length == 256 * (work + ranks - 1)
    assert cost.waits[1] == pytest.approx((ranks - 1) / (work + ranks - 1))


@pytest.mark.parametrize("make", [ScheduleZBVZeroBubble, ScheduleDualPipeV])
def test_every_pass_of_a_schedule_is_there(make: Callable[..., Any], two: None) -> None:
    """Two stages a rank: three products for each microbatch, but in the first stage two."""
    cost = trained(make, equal(4), 8, 2)
    busy = {rank: (1 - float(share or 0)) * cost.length for rank, share in cost.waits.items()}
    assert busy == {0: pytest.approx(256 * 8 * (2 + 3)), 1: pytest.approx(256 * 8 * 6)}


def test_the_model_is_left_as_it_was(two: None) -> None:
    parts = equal(4)
    parts[2].requires_grad_(False)
    trained(ScheduleZBVZeroBubble, parts, 4, 2)
    assert [part.weight.requires_grad for part in parts] == [True, True, False, True]


def test_time_on_a_device_by_hand(two: None) -> None:
    """A product of 4 x 8 with 8 x 8 is 512 operations on 512 bytes; 128 bytes take as long as 128 operations do over
    the link. One microbatch: forward, sent on, forward, backward twice, sent back, backward."""
    made = stages(equal(2), "meta")
    device = Device("slow", {torch.float32: 1e9}, bandwidth=1e12, links={"pp": 1e9})
    cost = count_pipeline(
        ScheduleGPipe(made[0], 1), made, torch.ones(4, 8, device="meta"), backward=True, device=device
    )
    assert cost.length == pytest.approx((512 + 128 + 512 + 1024 + 128 + 512) / 1e9)
    assert cost.waits[0] == pytest.approx(1 - 1024 / 2816)
    assert "A step takes no less than 2.82 µs on slow, call by call, links over pp." in cost.table()


# What is shown, and what is refused


def test_what_is_shown(two: None) -> None:
    cost = trained(Schedule1F1B, several(3, 1), 3, 2)
    lines = cost.table().splitlines()
    assert " ".join(lines[0].split()) == "stage rank params MACs backward sends on sends back rank waits"
    assert lines[3].split() == ["1", "1", "64", "256", "512", "0", "B", "128", "B", "62.5%"]
    assert "Schedule1F1B: 3 microbatches through 2 stages on 2 ranks." in str(cost)
    assert "in which they wait, is 31.2%" in str(cost)
    assert repr(cost) == "PipelineCost(Schedule1F1B, 2 stages, 3 microbatches)"
    assert "<table>" in cost._repr_html_()
    read = json.loads(cost.to_json())
    assert (read["length"], read["bubble"], read["stages"][1]["macs"]) == (cost.length, cost.bubble, 256)


def test_stages_that_compute_nothing_have_no_bubble(two: None) -> None:
    cost = trained(ScheduleGPipe, [nn.Identity(), nn.Identity()], 2, 2)
    assert cost.bubble is None
    assert cost.waits == {0: None, 1: None}
    assert "bubble" not in cost.table()


def test_bad_input(two: None) -> None:
    x, made = torch.ones(4, 8), stages(equal(2), "meta")
    schedule = ScheduleGPipe(made[0], 2)
    with pytest.raises(InputError, match="that is made has an order, and ScheduleGPipe has none"):
        count_pipeline(ScheduleGPipe, made, x)
    with pytest.raises(InputError, match="a stage is a PipelineStage, or what pipe"):
        count_pipeline(schedule, equal(2), x)
    with pytest.raises(InputError, match=r"the schedule has \[0, 1\], and here are \[0\]"):
        count_pipeline(schedule, made[0], x)
    with pytest.raises(InputError, match="unknown device"):
        count_pipeline(schedule, made, x, device="H1")
    for count in (count_graph, count_memory):
        for wrong in (made[0], schedule):
            with pytest.raises(InputError, match=f"not {type(wrong).__name__}: count_pipeline counts it"):
                count(wrong, x)


class Named(nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"x": x}


def test_a_stage_that_returns_no_tensors(two: None) -> None:
    made = stages([Named(), nn.Identity()])
    with pytest.raises(InputError, match="what stage 1 is given is no tensor: stages send tensors"):
        count_pipeline(ScheduleGPipe(made[0], 2), made, torch.ones(4, 8))


class Asking(nn.Module):
    """The second of two stages needs what the model is given."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = equal(2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z: torch.Tensor = self.second(self.first(x)) + y
        return z


def test_an_argument_of_the_model_that_a_later_stage_needs(two: None) -> None:
    example = (torch.ones(4, 8, device="meta"), torch.ones(4, 8, device="meta"))
    pipe = pipeline(Asking(), mb_args=example, split_spec={"second": SplitPoint.BEGINNING})
    made = [pipe.build_stage(index, torch.device("meta")) for index in range(2)]
    with pytest.raises(InputError, match="stage 1 is given y, which only the first stage has"):
        count_pipeline(ScheduleGPipe(made[0], 2), made, example)


@pytest.mark.parametrize("wrap", [fully_shard, nn.parallel.DistributedDataParallel])
def test_what_is_sent_once_in_a_step_is_refused(two: None, wrap: Callable[[nn.Module], nn.Module]) -> None:
    made = stages([nn.Linear(8, 8), wrap(nn.Linear(8, 8))])
    with pytest.raises(TracingError, match="stage 1 is also split over ranks with their own data"):
        count_pipeline(ScheduleGPipe(made[0], 2), made, torch.ones(4, 8))
