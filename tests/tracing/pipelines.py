"""Models in stages, for tests of pipelines: hand-made stages, and a decoder that torch splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.distributed.pipelining import (
    PipelineStage,
    Schedule1F1B,
    ScheduleGPipe,
    ScheduleInterleaved1F1B,
    ScheduleZBVZeroBubble,
    SplitPoint,
    pipeline,
)

from tests.tracing.on_ranks import Attention


class Layer(nn.Module):
    """A layer from one width to another, which hands on a table without a gradient and whole numbers."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.layer = nn.Linear(given, made)

    def forward(
        self, x: torch.Tensor, table: torch.Tensor, ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.layer(x).relu(), table * 2, ids + 1


def layers(count: int) -> list[nn.Module]:
    """So many of different widths: 8 to 16, 16 to 24, and so on."""
    return [Layer(8 * k, 8 * k + 8) for k in range(1, count + 1)]


def given(rows: int) -> tuple[torch.Tensor, ...]:
    """What the first of these takes, in so many rows."""
    return torch.ones(rows, 8), torch.ones(rows, 3), torch.ones(rows, 5, dtype=torch.int64)


class Block(nn.Module):
    """Attention and a network behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.network = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attention(x)
        return x + self.network(x)


class Decoder(nn.Module):
    """Four blocks between an embedding and a head, which is also given a weight for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 64)
        self.blocks = nn.ModuleList(Block() for _ in range(4))
        self.head = nn.Linear(64, 100)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x, weight = self.embedding(ids), ids.float()
        for block in self.blocks:
            x = block(x)
        result: torch.Tensor = self.head(x * weight.unsqueeze(-1))
        return result


def stages(parts: Sequence[nn.Module], device: str = "cpu", group: Any = None) -> list[Any]:
    """Stages of these modules, all of them, in a process group."""
    place, count = torch.device(device), len(parts)
    return [PipelineStage(part, index, count, place, group=group) for index, part in enumerate(parts)]


def of_rank(given: Sequence[Any], ranks: int, rank: int = 0, style: str = "loop") -> list[Any]:
    """The stages that a rank has: one in each round, whose direction changes in the style ``v``."""
    rounds = [range(start, start + ranks) for start in range(0, len(given), ranks)]
    turned = [places[::-1] if style == "v" and k % 2 else places for k, places in enumerate(rounds)]
    return [given[places[rank]] for places in turned]


def split(places: Sequence[int], device: str = "cpu") -> list[Any]:
    """A decoder that torch splits before these of its blocks."""
    with torch.device(device):
        decoder, ids = Decoder(), torch.ones(2, 6, dtype=torch.int64)
    pipe = pipeline(decoder, mb_args=(ids,), split_spec={f"blocks.{k}": SplitPoint.BEGINNING for k in places})
    return [pipe.build_stage(index, torch.device(device)) for index in range(pipe.num_stages)]


MICROBATCHES = 4


def total(output: Any, target: torch.Tensor) -> torch.Tensor:
    """A loss of the first result."""
    first: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return first.sum()


Case = tuple[Any, list[Any], tuple[torch.Tensor, ...]]
"""A schedule, the stages of all ranks, and what the first one is given for one microbatch."""


def cases(ranks: int, rank: int) -> Iterator[Case]:
    """Schedules of a rank, with a backward pass and without."""
    for single in (ScheduleGPipe, Schedule1F1B):
        for loss in (total, None):
            made = stages(layers(ranks))
            yield single(made[rank], MICROBATCHES, loss), made, given(2)
    made = split(range(1, 4) if ranks == 4 else [2])
    split_by = Schedule1F1B if ranks == 2 else ScheduleGPipe  # a result that skips stages stops the other one for ever
    yield split_by(made[rank], MICROBATCHES, total), made, (torch.ones(2, 6, dtype=torch.int64),)
    made = stages(layers(2 * ranks))
    yield ScheduleInterleaved1F1B(of_rank(made, ranks, rank), MICROBATCHES, total), made, given(2)
    made = stages(layers(2 * ranks))
    yield ScheduleZBVZeroBubble(of_rank(made, ranks, rank, "v"), MICROBATCHES, total), made, given(2)


def run(case: Case, rank: int, ranks: int) -> None:
    """A step of a case by its own schedule."""
    schedule, made, example = case
    own = of_rank(made, ranks, rank, "v") if isinstance(schedule, ScheduleZBVZeroBubble) else of_rank(made, ranks, rank)
    whole = [torch.cat([each] * MICROBATCHES) for each in example] if made[0] in own else []
    if schedule._loss_fn is None:
        schedule.eval(*whole)
    else:
        schedule.step(*whole, target=torch.ones(MICROBATCHES) if made[-1] in own else None)
