"""The picture of a roofline: the rate that each module can reach, by the operations that it does for each byte."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from fxcount.analyses.roofline import RooflineRecord
from fxcount.views.plot import PALETTE, plotly_traces
from fxcount.views.roofline_table import time_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_POINTS = 400
"""The longest modules are drawn, at most so many."""


def roofline_figure(roofline: RooflineRecord) -> Figure:
    """An interactive picture, a plotly figure: the roof of the device for each dtype, and under it a point for each
    module that calls operators itself, as large as its share of the time.

    Raises:
        FxcountError: plotly is not installed; ``fxcount[plot]`` brings it.
    """
    traces = plotly_traces()
    device, figure = roofline.device, traces.Figure()
    modules = {path: time for path, time in roofline.own_by_module().items() if time.seconds and time.bytes}
    longest = sorted(modules.items(), key=lambda item: -item[1].seconds)[:MOST_POINTS]
    reached = [time.operations / time.bytes for _, time in longest if time.operations]
    ridge = max(device.peak.values()) / device.bandwidth
    left, right = min([*reached, ridge]) / 4, max([*reached, ridge]) * 4
    for dtype, peak in device.peak.items():
        bends = [left, peak / device.bandwidth, right]
        figure.add_trace(
            traces.Scatter(
                x=bends,
                y=[min(peak, each * device.bandwidth) for each in bends],
                mode="lines",
                name=str(dtype).removeprefix("torch."),
                line={"color": "grey"},
                hovertemplate=f"{html.escape(str(dtype))}: %{{y:.3s}} operations a second<extra></extra>",
            )
        )
    kinds = list(dict.fromkeys(roofline.kinds.get(path, "") for path, _ in longest))
    shown = [(path, time) for path, time in longest if time.operations]
    total = roofline.seconds
    figure.add_trace(
        traces.Scatter(
            x=[time.operations / time.bytes for _, time in shown],
            y=[time.operations / time.seconds for _, time in shown],
            mode="markers",
            name="modules",
            marker={
                "size": [6 + 40 * (time.seconds / total) ** 0.5 for _, time in shown],
                "color": [PALETTE[kinds.index(roofline.kinds.get(path, "")) % len(PALETTE)] for path, _ in shown],
                "line": {"width": 1, "color": "black"},
            },
            text=[
                f"<b>{html.escape(path or '(model)')}</b> {html.escape(roofline.kinds.get(path, ''))}<br>"
                f"{time_text(time.seconds)}, {time.seconds / total:.1%}, bound by {time.bound}"
                for path, time in shown
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    title = f"{device.name}: no less than {time_text(total)}, call by call"
    figure.update_layout(
        title={"text": html.escape(title), "x": 0.01},
        xaxis={"type": "log", "title": {"text": "operations for each byte"}},
        yaxis={"type": "log", "title": {"text": "operations a second, at best"}},
    )
    return figure
