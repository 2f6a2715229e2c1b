"""A picture of memory over the operators that run, stacked by kind, drawn by plotly."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from fxcount.result.memory_record import KINDS, Allocation, MemoryRecord
from fxcount.views.plot import PALETTE, plotly_traces
from fxcount.views.units import size_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_POINTS = 2_000
"""More operators are drawn in so many stretches, each by the moment at which most is held."""

LARGEST = 8
"""So many of the tensors that are held at the peak are named."""


def memory_figure(memory: MemoryRecord) -> Figure:
    """An interactive picture, a plotly figure: the memory over the operators, stacked by kind, the peak marked, with
    the largest tensors that are held then.

    Raises:
        FxcountError: plotly is not installed; ``fxcount[plot]`` brings it.
    """
    traces = plotly_traces()
    held, moments = memory.held_by_kind(), memory.timeline
    stretch = -(-len(moments) // MOST_POINTS) or 1
    shown = [
        max(range(start, min(start + stretch, len(moments))), key=lambda k: moments[k].held)
        for start in range(0, len(moments), stretch)
    ]
    figure = traces.Figure()
    for kind, colour in zip(KINDS, PALETTE, strict=False):
        sizes = [held[k].get(kind, 0) for k in shown]
        if any(sizes):
            figure.add_trace(
                traces.Scatter(
                    x=shown,
                    y=sizes,
                    name=kind,
                    stackgroup="memory",
                    line={"width": 0, "shape": "hv", "color": colour},
                    text=[size_text(size) for size in sizes],
                    hovertemplate="%{text}",
                )
            )
    peak = memory.moment
    if peak >= 0:
        moment = moments[peak]
        largest = "<br>".join(_line(each) for each in memory.alive(peak)[:LARGEST])
        where = f"{moment.operator} in {moment.module or 'the model itself'} ({moment.phase})"
        figure.add_trace(
            traces.Scatter(
                x=[peak],
                y=[memory.peak],
                mode="markers",
                name="peak",
                marker={"color": "black", "size": 9},
                text=[f"<b>peak: {size_text(memory.peak)}</b><br>after {html.escape(where)}<br><br>{largest}"],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    title = f"{memory.modules[''].kind or 'the model'}: {size_text(memory.peak)} at the peak"
    figure.update_layout(title={"text": html.escape(title)}, xaxis_title="operators", yaxis_title="bytes held")
    return figure


def _line(each: Allocation) -> str:
    made = f"{each.operator} {each.module}".strip()
    return html.escape(f"{size_text(each.size)} {each.kind} {list(each.shape)} {made}")
