"""The picture of a roofline: the rate that each module can reach, by the operations that it does for each byte."""

from __future__ import annotations

from math import floor, log10

from fxcount.analyses.roofline import RooflineRecord
from fxcount.result.picture import Picture
from fxcount.views.chart import Axis, Point, chart
from fxcount.views.roofline_table import time_text
from fxcount.views.units import count_text

MOST_POINTS = 400
"""The longest modules are drawn, at most so many."""


def roofline_picture(roofline: RooflineRecord) -> Picture:
    """A picture of the roof of the device for each dtype, and under it a point for each module that calls operators
    itself, as large as its share of the time."""
    device, total = roofline.device, roofline.seconds
    modules = {path: time for path, time in roofline.own_by_module().items() if time.operations and time.bytes}
    longest = sorted(modules.items(), key=lambda item: -item[1].seconds)[:MOST_POINTS]
    reached = [(time.operations / time.bytes, time.operations / time.seconds) for _, time in longest]
    peaks = {str(dtype).removeprefix("torch."): peak for dtype, peak in device.peak.items()}
    if device.reduced_float32 is not None:
        peaks["float32 with fewer bits"] = device.reduced_float32
    ridges = [peak / device.bandwidth for peak in peaks.values()]
    across = [*(each for each, _ in reached), *ridges]
    x = Axis("operations for each byte", min(across) / 4, max(across) * 4, _power, log=True)
    low = min([*(each for _, each in reached), *peaks.values()])
    y = Axis("operations a second, at best", low / 4, max(peaks.values()) * 2, _power, log=True)
    start = max(x.low, y.low / device.bandwidth)
    lines = [
        (
            f"{name}: {count_text(round(peak))} operations a second",
            [(each, min(peak, each * device.bandwidth)) for each in (start, max(start, ridge), x.high)],
        )
        for (name, peak), ridge in zip(peaks.items(), ridges, strict=True)
    ]
    kinds = list(dict.fromkeys(roofline.kinds.get(path, "") for path, _ in longest))
    points = [
        Point(
            *place,
            3 + 20 * (time.seconds / total) ** 0.5,
            kinds.index(roofline.kinds.get(path, "")),
            f"{path or '(model)'} {roofline.kinds.get(path, '')}\n"
            f"{time_text(time.seconds)}, {time.seconds / total:.1%}, bound by {time.bound}",
        )
        for (path, time), place in zip(longest, reached, strict=True)
    ]
    title = f"{device.name}: no less than {time_text(total)}, call by call"
    return chart(title, x, y, lines=lines, points=points, kinds=[kind or "(none)" for kind in kinds])


def _power(number: float) -> str:
    """A power of ten: ``0.1``, ``10``, ``1 G``."""
    power = round(log10(number))
    if power < 0:
        return f"{10.0**power:g}"
    thousands = min(floor(power / 3), 6)
    return f"{10 ** (power - 3 * thousands)} {' KMGTPE'[thousands]}".strip()
