"""The page of times at best beside measured ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tabulate import tabulate

from fxcount.analyses.device import Device
from fxcount.views.roofline_table import time_text
from tests.roofline.measured import Measured, rank_correlation

HEAD = """# Times at best, beside measured ones

Written by `python -m tests.roofline`: models in eval mode and single operators in float32, run on a CPU, the fastest of
the runs of some seconds each; `backward` is both passes. The bound is `cost.roofline(Device.measure())`, call by call,
with the higher rates of a measurement before and one after the runs: a measured time is not to be below it, and what is
stands under the tables. No GPU was there when this page was written, so none is on it.
"""


def page(device: Device, machine: str, results: Sequence[Measured], models: Collection[str]) -> str:
    """The whole page."""
    rates = ", ".join(f"{str(dtype)[6:]} {rate / 1e9:,.0f}" for dtype, rate in device.peak.items())
    parts = [
        HEAD,
        f"The machine: {machine}. Measured: {rates} · 10⁹ operations a second, {device.bandwidth / 1e9:,.0f} · 10⁹ "
        "bytes a second, both the highest rates of products and of copies of any size, in caches too.\n",
    ]
    for phase in dict.fromkeys(each.phase for each in results):
        some = [each for each in results if each.phase == phase]
        of_models = [each for each in some if each.name in models]
        rows = [
            (
                each.name,
                each.binds,
                time_text(each.fused),
                time_text(each.bound),
                time_text(each.seconds),
                f"{each.ratio:.2f}",
            )
            for each in some
        ]
        header = ("", "bound by", "fused", "at best", "measured", "at best / measured")
        parts += [f"## {phase.capitalize()}\n", tabulate(rows, header, "github", disable_numparse=True), ""]
        above = [each.name for each in some if each.ratio > 1]
        parts.append(f"Below their bound: {', '.join(above) or 'none'}.")
        if len(of_models) > 2:
            correlation = rank_correlation([each.bound for each in of_models], [each.seconds for each in of_models])
            parts.append(f"Spearman's rank correlation over the {len(of_models)} models: {correlation:.3f}.\n")
    return "\n".join(parts).rstrip("\n") + "\n"
