"""`PipelineRecord`: what each stage of a pipeline computes and sends, and how long its ranks wait for one another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from fxcount.analyses.device import Device
from fxcount.analyses.roofline import RooflineRecord
from fxcount.errors import InputError
from fxcount.result.communication import Communication
from fxcount.result.costed_graph import CostedGraph


class Action(NamedTuple):
    """What a rank does at a time: a pass of one stage on one microbatch."""

    stage: int
    """The index of the stage."""
    kind: str
    """As torch writes it: ``F`` forward, ``B`` backward, ``I`` and ``W`` the two halves of that, the gradients of what
    the stage was given and those of its weights."""
    microbatch: int
    """The number of the microbatch."""


class Received(NamedTuple):
    """A tensor that a stage is given by another one."""

    source: int
    """The index of the stage that has made it."""
    size: int
    """The bytes that a rank has of it."""
    has_gradient: bool
    """Whether its gradient is given back."""


@dataclass(frozen=True)
class StageCost:
    """What one rank does for one stage, in one microbatch."""

    index: int
    """The place of the stage in the pipeline."""
    rank: int
    """The rank that has it, in the group of the pipeline."""
    params: int
    """The elements of its parameters that the rank has."""
    macs: int
    """The multiply-accumulates of its forward pass."""
    backward_macs: int | None
    """Those of its backward pass; None unless it was asked for."""
    received: tuple[Received, ...]
    """The tensors that other stages give it."""
    communication: Communication
    """What the rank sends: results to later stages, gradients to earlier ones, and the collectives of the stage's
    own modules."""
    takes: Mapping[str, float]
    """How long an `Action` of each kind takes: seconds at best on a device, or else multiply-accumulates."""


@dataclass(frozen=True)
class PipelineRecord:
    """A step of a pipeline: every microbatch through every stage, in the order of a schedule."""

    schedule: str
    """The class of the schedule."""
    microbatches: int
    """How many there are in a step."""
    stages: tuple[StageCost, ...]
    """The stages, in their order in the model."""
    order: Mapping[int, tuple[Action, ...]]
    """What each rank does, in the order of the schedule."""
    cost: CostedGraph
    """One microbatch through all stages."""
    device: Device | None = None
    """What each rank is; None where multiply-accumulates stand for time."""
    axis: str = "pp"
    """The axis over which stages send."""

    @cached_property
    def _ends(self) -> Mapping[Action, float]:
        """When each action ends, if every rank does what it is to do next as soon as it has what that needs."""
        rate = None if self.device is None else self.device.links.get(self.axis)
        takers: dict[int, list[tuple[int, Received]]] = {stage.index: [] for stage in self.stages}
        for stage in self.stages:
            for each in stage.received:
                takers[each.source].append((stage.index, each))

        def later(sender: int, taker: int, size: int) -> float:
            away = self.stages[sender].rank != self.stages[taker].rank
            return size / rate if rate and away else 0

        def needs(action: Action) -> Iterable[tuple[Action, float]]:
            stage, kind, microbatch = action
            if kind == "F":
                for each in self.stages[stage].received:
                    yield Action(each.source, "F", microbatch), later(each.source, stage, each.size)
            elif kind == "W":
                yield Action(stage, "I", microbatch), 0
            else:
                yield Action(stage, "F", microbatch), 0
                for taker, each in takers[stage]:
                    if each.has_gradient:
                        yield Action(taker, "I", microbatch), later(taker, stage, each.size)

        return ends(self.order, lambda action: self.stages[action.stage].takes[action.kind], needs)

    @property
    def length(self) -> float:
        """How long a step takes, from the first action to the last: in seconds at best, or in multiply-accumulates."""
        return max(self._ends.values())

    @property
    def waits(self) -> dict[int, float | None]:
        """The share of a step in which each rank waits; None where a step takes no time."""
        return {rank: _share(self.length - self._busy(rank), self.length) for rank in self.order}

    @property
    def bubble(self) -> float | None:
        """The share of the time of all ranks in which they wait; None where a step takes no time."""
        whole = self.length * len(self.order)
        return _share(whole - sum(map(self._busy, self.order)), whole)

    def _busy(self, rank: int) -> float:
        return sum(self.stages[each.stage].takes[each.kind] for each in self.order[rank])


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def ends(
    order: Mapping[int, Sequence[Action]],
    takes: Callable[[Action], float],
    needs: Callable[[Action], Iterable[tuple[Action, float]]],
) -> dict[Action, float]:
    """When each action ends that a rank begins as soon as it has ended the one before, and what the action needs has
    ended some time ago. A backward pass as a whole has the gradients of what the stage was given, as its half has.

    Raises:
        InputError: ranks wait for one another for ever.
    """
    found: dict[Action, float] = {}
    free = dict.fromkeys(order, 0.0)
    waiting = {rank: deque(actions) for rank, actions in order.items()}
    while any(waiting.values()):
        before = len(found)
        for rank, actions in waiting.items():
            while actions and all(need in found for need, _ in needs(actions[0])):
                action = actions.popleft()
                begins = max([free[rank], *(found[need] + later for need, later in needs(action))])
                free[rank] = begins + takes(action)
                found[action._replace(kind="I") if action.kind == "B" else action] = free[rank]
        if len(found) == before:
            stuck = next(actions[0] for actions in waiting.values() if actions)
            raise InputError(f"the order of the schedule has no end: {stuck} waits for what comes later")
    return found


def seconds_of_stages(roofline: RooflineRecord) -> dict[tuple[str, str], float]:
    """The time at best of each module that the model itself calls, by its name and the phase."""
    found: dict[tuple[str, str], float] = {}
    for call in roofline.calls:
        key = call.module.partition(".")[0], call.phase
        found[key] = found.get(key, 0.0) + call.time.seconds
    return found
