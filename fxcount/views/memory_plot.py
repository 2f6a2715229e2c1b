"""A picture of memory over the operators that run, stacked by kind."""

from __future__ import annotations

from fxcount.result.memory_record import KINDS, Allocation, MemoryRecord
from fxcount.result.picture import Picture
from fxcount.views.chart import Axis, Layers, Point, chart
from fxcount.views.units import size_text

MOST_POINTS = 400
"""More operators are drawn in so many stretches, each by the moment at which most is held."""

LARGEST = 8
"""So many of the tensors that are held at the peak are named."""


def memory_picture(memory: MemoryRecord) -> Picture:
    """A picture of the memory over the operators, stacked by kind, the peak marked, with the largest tensors that are
    held then."""
    held, moments = memory.held_by_kind(), memory.timeline
    stretch = -(-len(moments) // MOST_POINTS) or 1
    shown = [
        max(range(start, min(start + stretch, len(moments))), key=lambda k: moments[k].held)
        for start in range(0, len(moments), stretch)
    ]
    values = {kind: [held[k].get(kind, 0) for k in shown] for kind in KINDS}
    texts = [f"{size_text(moments[k].held)} held after {_where(memory, k)}" for k in shown]
    layers = Layers(shown, {kind: each for kind, each in values.items() if any(each)}, texts, steps=True)
    x = Axis("operators", 0, max(len(moments), 1), lambda number: f"{number:,.0f}")
    y = Axis("bytes held", 0, max(memory.peak, 1), lambda number: size_text(round(number)), unit=_unit(memory.peak))
    title = f"{memory.modules[''].kind or 'the model'}: {size_text(memory.peak)} at the peak"
    return chart(title, x, y, layers, points=[*_peak(memory)])


def _unit(size: int) -> int:
    """The largest power of 1,024 that is no more."""
    return 1 if size < 1024 else 1024 * _unit(size // 1024)


def _peak(memory: MemoryRecord) -> list[Point]:
    if memory.moment < 0:
        return []
    largest = "\n".join(_line(each) for each in memory.alive(memory.moment)[:LARGEST])
    text = f"peak: {size_text(memory.peak)} after {_where(memory, memory.moment)}\n{largest}"
    return [Point(memory.moment, memory.peak, 5, 3, text)]


def _where(memory: MemoryRecord, moment: int) -> str:
    each = memory.timeline[moment]
    return f"{each.operator} in {each.module or 'the model itself'} ({each.phase})"


def _line(each: Allocation) -> str:
    made = f"{each.operator} {each.module}".strip()
    return f"{size_text(each.size)} {each.kind} {list(each.shape)} {made}"
