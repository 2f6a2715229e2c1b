"""`MemoryRecord`: what one run of a model holds in memory, and for how long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import torch

from fxcount.cost import Cost
from fxcount.result.counted_call import CountedCall
from fxcount.result.module_cost import Submodule
from fxcount.result.module_paths import parent_of

KINDS = ("parameters", "buffers", "inputs", "cache", "activations", "gradients", "optimizer", "temporaries", "gathered")
"""What memory is for. ``cache``: an input that the model returns with more values in it, or writes new values into, and
what it returns of it. ``activations``: what the forward pass makes. ``gradients``: those of parameters and inputs, and
those that the outputs are given. ``optimizer``: its state. ``temporaries``: what else a backward pass or a step makes,
the gradients of activations among it. ``gathered``: what `fully_shard` gathers of parameters, while it is there."""


_OF_PARAMETERS = ("parameters", "gathered")
"""What is there, or is gathered again, whether autograd keeps it or not."""


class Allocation(NamedTuple):
    """A piece of memory: the storage of a tensor and of all its views."""

    size: int
    """In bytes."""
    kind: str
    """What it is for, one of `KINDS`."""
    shape: tuple[int, ...]
    """The shape of the tensor that it was made for."""
    dtype: torch.dtype
    """The type of its elements."""
    operator: str
    """The operator that made it; empty of what was there before the model ran."""
    module: str
    """The path of the module that called it."""
    made: int
    """The number of that operator in ``timeline``; -1 of what was there before."""
    freed: int
    """The number of the first operator that ran without it."""
    saved_by: frozenset[str] = frozenset()
    """The paths of the modules for whose operators autograd keeps it from the forward pass to the backward pass."""


class Moment(NamedTuple):
    """The memory that is held when an operator has run."""

    operator: str
    """The operator."""
    module: str
    """The path of the module that called it, in a backward pass of the one whose gradient it computes."""
    phase: str
    """``forward``, ``backward`` or ``optimizer``."""
    held: int
    """In bytes."""


@dataclass(frozen=True)
class ModuleMemory:
    """What a module holds, all that it contains included."""

    path: str
    """The path of the module; "" is the model itself."""
    kind: str
    """Its class name."""
    parameters: int
    """The bytes of its parameters."""
    peak: int
    """The most bytes at once of what its operators made, in the forward and the backward pass."""
    outputs: int
    """The bytes of what it returned, over all its calls."""
    saved: int
    """The bytes that autograd keeps for its operators until the backward pass, but for parameters."""
    checkpoint: int
    """How many of these bytes would not be kept if the module were a checkpoint: what it made itself, and is kept for
    nobody else."""
    again: Cost
    """What it would compute again then: its forward pass."""


@dataclass(frozen=True, eq=False)
class MemoryRecord:
    """What a run of a model holds in memory."""

    allocations: tuple[Allocation, ...]
    """All memory that was there, in the order in which it was made."""
    timeline: tuple[Moment, ...]
    """All operators that ran, in order."""
    modules: Mapping[str, Submodule]
    """By path: "", the model itself, and every module that was called, and those around them."""
    outputs: Mapping[str, frozenset[int]]
    """By path: the numbers of the allocations in what a module returned."""
    costs: Mapping[str, Cost]
    """By path: what a module's own operators cost in the forward pass."""
    device: str
    """The device whose kernels of attention, and whose form of an optimizer's step, it stands for."""
    has_backward: bool
    """Whether there is a backward pass."""
    optimizer: str
    """The class of the optimizer; empty without one."""
    call: CountedCall | None = None
    """The model, its mode, and the versions."""

    @cached_property
    def peak(self) -> int:
        """The most bytes that are held at once: in one call, and with an optimizer in its first step."""
        return max((moment.held for moment in self.timeline), default=sum(self.before.values()))

    @property
    def moment(self) -> int:
        """The number of the operator in ``timeline`` with which the peak is first reached; -1 if none ran."""
        return next((number for number, each in enumerate(self.timeline) if each.held == self.peak), -1)

    @cached_property
    def later_peak(self) -> int:
        """The peak of every step after the first: what the optimizer keeps is there from its start. Without an
        optimizer that is the peak."""
        state = sum(each.size for each in self.allocations if each.kind == "optimizer")
        if not state:
            return self.peak
        held = zip(self.timeline, self.held_by_kind(), strict=True)
        return max(moment.held - kinds.get("optimizer", 0) + state for moment, kinds in held)

    @property
    def peak_of_any(self) -> int:
        """The peak of the first step or of a later one, whichever is higher."""
        return max(self.peak, self.later_peak)

    @property
    def before(self) -> dict[str, int]:
        """The bytes that are there before the model runs, by kind."""
        return self._by_kind(each for each in self.allocations if each.made < 0)

    @property
    def at_peak(self) -> dict[str, int]:
        """The bytes that are held at the peak, by kind: they add up to it."""
        return self._by_kind(self.alive(self.moment))

    def alive(self, number: int) -> list[Allocation]:
        """What is held when the operator of this number in ``timeline`` has run, the largest first."""
        found = (each for each in self.allocations if each.made <= number < each.freed)
        return sorted(found, key=lambda each: -each.size)

    @property
    def saved(self) -> int:
        """The bytes that autograd keeps from the forward pass for the backward pass, but for parameters; 0 without a
        backward pass."""
        return sum(each.size for each in self.allocations if each.saved_by and each.kind not in _OF_PARAMETERS)

    @property
    def cache(self) -> dict[str, int]:
        """The bytes of a cache of keys and values, or what else is an input that the model adds values to: ``before``,
        as it was given, and ``after``, as it is returned."""
        own = [each for each in self.allocations if each.kind == "cache"]
        before, made = (sum(each.size for each in own if (each.made < 0) is given) for given in (True, False))
        return {"before": before, "after": made or before}

    def held_by_kind(self) -> list[dict[str, int]]:
        """The bytes of each kind when each operator of ``timeline`` has run."""
        changes: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(self.timeline) + 1))
        for each in self.allocations:
            changes[each.kind][max(each.made, 0)] += each.size
            changes[each.kind][min(each.freed, len(self.timeline))] -= each.size
        held = {kind: [*accumulate(changes[kind])] for kind in KINDS if kind in changes}
        return [{kind: numbers[k] for kind, numbers in held.items()} for k in range(len(self.timeline))]

    def by_module(self, depth: int | None = None) -> dict[str, ModuleMemory]:
        """Every module, to what it holds, all that it contains included; ``depth`` leaves out modules that lie
        deeper."""
        own = defaultdict(list)
        for each in self.allocations:
            for path in _around(each.module):
                own[path].append(each)
        costs: defaultdict[str, Cost] = defaultdict(Cost)
        for path, cost in self.costs.items():
            for around in _around(path):
                costs[around] += cost
        saved: defaultdict[str, set[int]] = defaultdict(set)
        for number, each in enumerate(self.allocations):
            for path in each.saved_by:
                for around in _around(path):
                    saved[around].add(number)
        return {
            path: self._of_module(path, module.kind, own[path], saved[path], costs[path])
            for path, module in self.modules.items()
            if depth is None or path.count(".") + bool(path) <= depth
        }

    def _of_module(self, path: str, kind: str, own: list[Allocation], saved: Iterable[int], cost: Cost) -> ModuleMemory:
        kept = [self.allocations[number] for number in saved]
        kept = [each for each in kept if each.kind not in _OF_PARAMETERS]
        alone = [
            each
            for each in kept
            if each.made >= 0 and _lies_in(each.module, path) and all(_lies_in(one, path) for one in each.saved_by)
        ]
        return ModuleMemory(
            path,
            kind,
            sum(each.size for each in own if each.kind == "parameters"),
            _most_at_once(each for each in own if each.made >= 0),
            sum(self.allocations[number].size for number in self.outputs.get(path, ())),
            sum(each.size for each in kept),
            sum(each.size for each in alone),
            cost,
        )

    @staticmethod
    def _by_kind(some: Iterable[Allocation]) -> dict[str, int]:
        sizes = dict.fromkeys(KINDS, 0)
        for each in some:
            sizes[each.kind] += each.size
        return {kind: size for kind, size in sizes.items() if size}


def _around(path: str) -> Iterator[str]:
    """The path itself, and those of all modules around it."""
    yield path
    while path:
        path = parent_of(path)
        yield path


def _lies_in(path: str, around: str) -> bool:
    return not around or path == around or path.startswith(f"{around}.")


def _most_at_once(some: Iterable[Allocation]) -> int:
    changes: defaultdict[int, int] = defaultdict(int)
    for each in some:
        changes[each.made] += each.size
        changes[each.freed] -= each.size
    return max(accumulate(changes[moment] for moment in sorted(changes)), default=0)
