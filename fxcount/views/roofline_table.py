"""Time at best as text: the module tree with what binds each module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fxcount.analyses.device import Device
from fxcount.analyses.roofline import RooflineRecord, TimeAtBest
from fxcount.errors import InputError
from fxcount.result.communication import Communication
from fxcount.result.module_paths import parent_of
from fxcount.views.folding import Branch, grow, lines
from fxcount.views.head import head
from fxcount.views.table import share
from fxcount.views.text_table import Column, text_table
from fxcount.views.tree import OWN
from fxcount.views.units import size_text

ROWS_THAT_FIT = 40
"""The module tree that is printed as a whole has about this many rows at most."""

UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def time_text(seconds: float) -> str:
    """A time in the largest unit of which there is one.

    >>> time_text(0.00237), time_text(1.5e-6), time_text(0.0)
    ('2.37 ms', '1.50 µs', '0')
    """
    if seconds <= 0:
        return "0"
    unit, size = next((each for each in UNITS if seconds >= each[1]), UNITS[-1])
    return f"{seconds / size:,.2f} {unit}"


@dataclass(frozen=True)
class Timed:
    """What a row of the tree says of a module."""

    kind: str
    time: TimeAtBest


def roofline_table(
    roofline: RooflineRecord,
    by: str = "module",
    depth: int | None = None,
    top: int | None = None,
    format: str = "simple",
    width: int | None = None,
) -> str:
    """The times as a table of text, its rows adding up to the whole.

    Args:
        by: ``module``, the tree in which equal siblings are one row, ``operator``, or ``phase``.
        depth: the levels of the module tree to show; None for all.
        top: how many rows to show, in the module tree of each module's children, the longest first; the rest is added
            up in one row. None for all.
        format: any format of ``tabulate``.
        width: shorten names to fit this many characters, and leave out columns.

    Raises:
        InputError: there is no such view or format, or ``top`` is negative.
    """
    if by not in TABLES:
        raise InputError(f"unknown view {by!r}; times are shown by {', '.join(TABLES)}")
    if top is not None and top < 0:
        raise InputError(f"top must not be negative: {top}")
    rows = TABLES[by](roofline, depth, top)
    names = [Column(by), Column("class", spare=2)] if by == "module" else [Column(by)]
    numbers = ("time", "share", "bound", "intensity", "operations", "bytes")
    columns = [*names, *(Column(each, each != "bound", SPARE.get(each, 0)) for each in numbers)]
    return text_table(columns, rows, notes(roofline), head=_head(roofline), format=format, width=width)


SPARE = {"bytes": 3, "operations": 3, "intensity": 1}


def roofline_overview(roofline: RooflineRecord, format: str = "simple", width: int | None = None) -> str:
    """The module tree to the depth that fits."""
    tree = _tree(roofline)
    depth = max((k for k in range(1, 100) if sum(1 for _ in lines(tree, k)) <= ROWS_THAT_FIT), default=1)
    return roofline_table(roofline, depth=depth, format=format, width=width)


def rooflines_table(several: Sequence[RooflineRecord], format: str = "simple", width: int | None = None) -> str:
    """The times on several devices, side by side."""
    columns = [Column("device"), *(Column(each, each != "bound") for each in ("time", "fused", "bound", "by compute"))]
    rows = [
        [each.device.name, time_text(each.seconds), time_text(each.fused_seconds), each.bound, share_of(each.total)]
        for each in several
    ]
    note = "Times at best: call by call, and however the calls are fused."
    return text_table(columns, rows, [note], head=_head(several[0]) if several else [], format=format, width=width)


def _head(roofline: RooflineRecord) -> list[str]:
    return [] if roofline.cost is None else head(roofline.cost)


def notes(roofline: RooflineRecord) -> list[str]:
    """What the numbers mean."""
    device, total = roofline.device, roofline.total
    phases = [f"{phase} {time_text(each.seconds)}" for phase, each in roofline.by_phase().items()]
    parts = f" ({', '.join(phases)})" if len(phases) > 1 else ""
    return [
        *_links(roofline),
        f"On {device.name} no less than {time_text(total.seconds)}, call by call{parts}; {share_of(total)} of it is "
        f"bound by compute. However the calls are fused, no less than {time_text(roofline.fused_seconds)}.",
        f"{BOUNDS}; what launches it, and whether all fits, is not in it.",
    ]


def _links(roofline: RooflineRecord) -> list[str]:
    """A line on what ranks send; none of a model on one."""
    cost = roofline.cost
    axes = {} if cost is None else Communication.of(cost.nodes, cost.optimizer).by_axis()
    known = [axis for axis in axes if axis in roofline.device.links]
    unknown = [axis for axis in axes if axis not in roofline.device.links]
    lines = []
    if known:
        seconds, how = time_text(roofline.total.linking), "one call after the other, or meanwhile where calls are fused"
        lines.append(f"One rank sends for {seconds} over {' and '.join(known)}: {how}.")
    if unknown:
        over = " and ".join(unknown)
        lines.append(f"What it sends over {over} is not in it: Device(..., links=...) has no rate for it.")
    return lines


BOUNDS = (  # what a time at best is
    "A call takes at best the longer of its operations (2 macs + mul + add + div + special) at the peak of their dtype "
    "and its bytes at the bandwidth"
)


def fit_text(device: Device, missing: int) -> str:
    """Whether it fits, in a sentence."""
    if device.memory is None:
        return f"The memory of {device.name} is not known."
    if missing:
        lack = size_text(missing)
        return f"It does not fit: {device.name} has {size_text(device.memory)}, {lack} too little, so no rate is given."
    return f"It fits into the {size_text(device.memory)} of {device.name}."


def share_of(time: TimeAtBest) -> str:
    """The part of a time that is bound by compute."""
    return f"{time.compute / time.seconds:.0%}" if time.seconds else "none"


def _tree(roofline: RooflineRecord) -> Branch[Timed]:
    whole = roofline.by_module()
    found = {path: Timed(roofline.kinds.get(path, ""), time) for path, time in whole.items()}
    step = sum((call.time for call in roofline.calls if call.phase == "optimizer"), TimeAtBest())
    for path in {parent_of(path): None for path in whole if path}:
        calls = [call.time for call in roofline.calls if call.module == path and call.phase != "optimizer"]
        if any(each.seconds for each in calls):
            found[f"{path}.{OWN}" if path else OWN] = Timed("", sum(calls, TimeAtBest()))
    if step.seconds:
        found["(optimizer)"] = Timed("", step)
    return grow(found, lambda each: False)


Item = TypeVar("Item")


def _longest(
    items: Sequence[Item], time: Callable[[Item], TimeAtBest], top: int | None
) -> tuple[list[Item], TimeAtBest]:
    """The ``top`` items of the longest time, and the time of the others together."""
    longest = sorted(items, key=lambda item: -time(item).seconds)
    return longest[:top], sum(map(time, longest[len(items) if top is None else top :]), TimeAtBest())


def _by_module(roofline: RooflineRecord, depth: int | None, top: int | None) -> list[list[str]]:
    def arrange(siblings: Sequence[Branch[Timed]]) -> Sequence[Branch[Timed]]:
        if top is None or len(siblings) <= top:
            return siblings
        shown, rest = _longest(siblings, lambda each: each.value.time * each.times, top)
        return [*shown, Branch(_more(len(siblings) - top), "", Timed("", rest))]

    return [
        ["  " * level + (branch.label or "(model)"), branch.value.kind, *_cells(branch.value.time * times, roofline)]
        for branch, level, times in lines(_tree(roofline), depth, arrange)
    ]


def _by_operator(roofline: RooflineRecord, depth: int | None, top: int | None) -> list[list[str]]:
    found = [(name, time) for name, time in roofline.by_operator().items() if time.seconds]
    shown, rest = _longest(found, lambda each: each[1], top)
    if len(shown) < len(found):
        shown.append((_more(len(found) - len(shown)), rest))
    return [[name, *_cells(time, roofline)] for name, time in shown]


def _by_phase(roofline: RooflineRecord, depth: int | None, top: int | None) -> list[list[str]]:
    return [[phase, *_cells(time, roofline)] for phase, time in roofline.by_phase().items()]


TABLES = {"module": _by_module, "operator": _by_operator, "phase": _by_phase}


def _more(number: int) -> str:
    return f"({number:,} more)"


def _cells(time: TimeAtBest, roofline: RooflineRecord) -> Sequence[str]:
    intensity = "" if time.intensity is None else f"{time.intensity:,.2f}"
    part = share(time.seconds, roofline.seconds)  # type: ignore[arg-type]  # of seconds as of FLOPs
    return time_text(time.seconds), part, time.bound, intensity, f"{time.operations:,.0f}", f"{time.bytes:,.0f}"
