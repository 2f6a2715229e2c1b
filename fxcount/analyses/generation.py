"""`GenerationRecord`: what a language model costs that reads a prompt and generates, step by step, with a cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch

from fxcount.analyses.device import Device
from fxcount.analyses.roofline import TimeAtBest, at_best, bytes_given, dtypes_of, operations_of
from fxcount.cost import FIELDS, Cost, Traffic
from fxcount.result.operator_calls import OperatorCall

NUMBERS = (*FIELDS, "read", "written")
"""The numbers of a call: the fields of its cost, and bytes."""


class StepCall(NamedTuple):
    """What one call of an operator takes."""

    operator: str
    """The operator, such as ``aten.linear``."""
    dtypes: frozenset[torch.dtype]
    """Those that its operations are done on."""
    numbers: tuple[int, ...]
    """The fields of its cost, and the bytes that it reads and writes."""
    operations: float
    """The operations that count against the peak."""

    @property
    def cost(self) -> Cost:
        """Its cost."""
        return Cost(*self.numbers[: len(FIELDS)])

    @property
    def traffic(self) -> Traffic:
        """The bytes that it moves."""
        return Traffic(*self.numbers[len(FIELDS) :])

    def between(self, other: StepCall, weight: int, whole: int) -> StepCall:
        """What lies ``weight`` of ``whole`` parts of the way to the same call of another step."""
        numbers = (
            (a * (whole - weight) + b * weight) // whole for a, b in zip(self.numbers, other.numbers, strict=True)
        )
        operations = (self.operations * (whole - weight) + other.operations * weight) / whole
        return self._replace(numbers=tuple(numbers), operations=operations)


class Step(NamedTuple):
    """The calls of operators in one call of the model."""

    calls: tuple[StepCall, ...]
    """In order."""
    given: int
    """The bytes of what they are given, parameters and cache, each element once."""

    @classmethod
    def of(cls, calls: Iterable[OperatorCall]) -> Step:
        """What these calls take."""
        operators = [call.operator for call in calls]
        return cls(
            tuple(
                StepCall(
                    each.name,
                    frozenset(dtypes_of(each)),
                    (*each.cost.to_dict().values(), (moved := Traffic.of(each)).read, moved.written),
                    operations_of(each),
                )
                for each in operators
            ),
            bytes_given(operators),
        )


@dataclass(frozen=True)
class Stretch:
    """Steps one after the other in which every number grows by the same amount from each to the next."""

    first: int
    """How many tokens the cache holds before the first of them."""
    last: int
    """Before the last of them."""
    calls: Mapping[tuple[StepCall, StepCall], int]
    """The calls in the first and in the last step, and how many are equal in both."""
    given: tuple[int, int]
    """The bytes that these two are given."""

    @classmethod
    def between(cls, first: int, last: int, one: Step, other: Step) -> Stretch:
        """The steps between two, which they are among."""
        pairs = Counter(zip(one.calls, other.calls, strict=True))
        return cls(first, last, pairs, (one.given, other.given))

    @property
    def steps(self) -> int:
        """How many there are."""
        return self.last - self.first + 1

    @property
    def total(self) -> tuple[Cost, Traffic]:
        """The sum over the steps: so many times the mean of the first and the last."""
        cost, traffic = Cost(), Traffic()
        for (one, other), times in self.calls.items():
            sums = [times * self.steps * (a + b) // 2 for a, b in zip(one.numbers, other.numbers, strict=True)]
            cost, traffic = cost + Cost(*sums[: len(FIELDS)]), traffic + Traffic(*sums[len(FIELDS) :])
        return cost, traffic

    @property
    def lines(self) -> dict[str, tuple[int, int]]:
        """Each field of the cost of a step, and the bytes that it reads and writes, as a line in the length of the
        cache: what there would be without any tokens in it, and what each adds."""
        ends = [[0] * len(NUMBERS), [0] * len(NUMBERS)]
        for pair, times in self.calls.items():
            for total, call in zip(ends, pair, strict=True):
                total[:] = [sum_ + times * number for sum_, number in zip(total, call.numbers, strict=True)]
        more = [(b - a) // max(self.last - self.first, 1) for a, b in zip(*ends, strict=True)]
        return {name: (a - self.first * b, b) for name, a, b in zip(NUMBERS, ends[0], more, strict=True)}

    def at(self, past: int) -> tuple[dict[StepCall, int], int]:
        """The calls of one step, each with how often it is made, and the bytes that the step is given."""
        weight, whole = past - self.first, max(self.last - self.first, 1)
        calls: Counter[StepCall] = Counter()
        for (one, other), times in self.calls.items():
            calls[one.between(other, weight, whole)] += times
        return calls, (self.given[0] * (whole - weight) + self.given[1] * weight) // whole


def stretches(step: Callable[[int], Step], first: int, last: int) -> list[Stretch]:
    """The steps from a cache of ``first`` tokens to one of ``last``, in as few stretches as halving finds. Counted are
    those at both ends of a stretch, those next to them, and the one in the middle; only where all lie on one line, the
    others are taken to lie there too."""
    found: list[tuple[int, int]] = []
    for start, end in _halved(step, first, last):
        if found and _is_straight(step, found[-1][0], end, (found[-1][1], start)):  # halves of what has no bend there
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return [Stretch.between(start, end, step(start), step(end)) for start, end in found]


def _halved(step: Callable[[int], Step], first: int, last: int) -> list[tuple[int, int]]:
    """Lengths of the cache from one to another between which nothing is seen to bend."""
    middle = (first + last) // 2
    if _is_straight(step, first, last, {first + 1, middle, last - 1} if last > first else ()):
        return [(first, last)]
    return [*_halved(step, first, middle), *_halved(step, middle + 1, last)]


def _is_straight(step: Callable[[int], Step], first: int, last: int, inner: Iterable[int]) -> bool:
    """Whether the steps at these lengths lie on the line between the first and the last one, and have their calls."""
    one, other = step(first), step(last)
    return all(_is_between(step(past), one, other, past - first, last - first) for past in (*sorted(inner), last))


def _is_between(found: Step, one: Step, other: Step, weight: int, whole: int) -> bool:
    """Whether a step has the same calls as two others, and all its numbers lie so far on the way between theirs."""

    def fits(number: int, first: int, last: int) -> bool:
        return number * whole == first * (whole - weight) + last * weight

    if [call[:2] for call in one.calls] != [call[:2] for call in found.calls] or len(other.calls) != len(one.calls):
        return False
    calls = zip(found.calls, one.calls, other.calls, strict=True)
    return fits(found.given, one.given, other.given) and all(
        all(map(fits, each.numbers, first.numbers, last.numbers)) for each, first, last in calls
    )


@dataclass(frozen=True)
class GenerationPart:
    """One or several calls of the model."""

    calls: int
    """How many calls of the model."""
    tokens: int
    """How many tokens of each sequence they are given, or in the whole, how many they generate."""
    cost: Cost
    """What they compute."""
    traffic: Traffic
    """The bytes that they read and write, call by call."""
    cache: int
    """The bytes that the cache holds when they have run."""
    memory: int
    """The most bytes that are held at once."""
    time: TimeAtBest | None = None
    """What they take at best, call by call; None without a device."""
    fused: TimeAtBest | None = None
    """What they take at best however calls are fused; None without a device."""


@dataclass(frozen=True)
class GenerationRecord:
    """A prompt that is read, and tokens that are generated, for a batch of sequences."""

    model: str
    """The class of the model."""
    training: bool
    """Whether it is in train mode."""
    dtype: torch.dtype
    """That of its parameters, of the first one if they differ."""
    parameters: int
    """The bytes of its parameters and buffers."""
    batch: int
    """The sequences."""
    prompt: int
    """The tokens of each prompt."""
    generate: int
    """The tokens that are generated for each: the first by the prefill, each other one by a step."""
    device: Device | None
    """What it runs on."""
    prefill: GenerationPart
    """The prompt, at once."""
    first: GenerationPart | None
    """The first step; None where the prefill generates all that is asked for."""
    last: GenerationPart | None
    """The last step."""
    stretches: tuple[Stretch, ...]
    """All steps."""
    uncounted: tuple[str, ...] = ()
    """The operators that have no formula, and are in no number."""
    positions: int | None = None
    """The positions that the model was made for, where its configuration says."""

    @property
    def parts(self) -> dict[str, GenerationPart]:
        """By name: the prefill, the first and the last step, and the whole."""
        named = {"prefill": self.prefill, "first step": self.first, "last step": self.last, "whole": self.whole}
        return {name: each for name, each in named.items() if each is not None}

    @cached_property
    def whole(self) -> GenerationPart:
        """The prefill and all steps."""
        cost, traffic = self.prefill.cost, self.prefill.traffic
        for each in self.stretches:
            more, moved = each.total
            cost, traffic = cost + more, traffic + moved
        end = self.last or self.prefill
        time = fused = None
        if self.device is not None and self.prefill.time is not None and self.prefill.fused is not None:
            times = [times_of(*each.at(past), self.device) for each in self.stretches for past in _pasts(each)]
            time = sum((each for each, _ in times), self.prefill.time)
            fused = sum((each for _, each in times), self.prefill.fused)
        memory = max(self.prefill.memory, end.memory)
        return GenerationPart(1 + self.steps, self.generate, cost, traffic, end.cache, memory, time, fused)

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return sum(each.steps for each in self.stretches)

    @property
    def missing(self) -> int:
        """The bytes that the device lacks to hold it; 0 where it fits, or where no memory is known."""
        return 0 if self.device is None else self.device.lacks(self.whole.memory)

    def tokens_per_second(self, name: str = "whole", fused: bool = False) -> float | None:
        """The tokens of all sequences, in the part of that name, over its time at best; None where there is no device,
        or it does not hold all."""
        part = self.parts[name]
        time = part.fused if fused else part.time
        return None if time is None or self.missing or not time.seconds else self.batch * part.tokens / time.seconds


def _pasts(stretch: Stretch) -> Sequence[int]:
    return range(stretch.first, stretch.last + 1)


def times_of(calls: Mapping[StepCall, int], given: int, device: Device) -> tuple[TimeAtBest, TimeAtBest]:
    """What a call of the model takes at best: operator by operator, and however they are fused."""
    time = TimeAtBest()
    for each, times in calls.items():
        rate = device.rate(each.dtypes, reduced=each.cost.macs > 0)
        time += at_best(each.operations, each.traffic.total, rate, device) * times
    return time, time.fused(given, device)
