"""`Roofline`: how long a count takes at best on a device, with the views that people read it in."""

import json
from collections.abc import Sequence
from typing import Any

from fxcount.analyses.device import Device
from fxcount.analyses.devices import device_named
from fxcount.analyses.roofline import RooflineRecord, TimeAtBest, calls_at_best, contractions_at_peak
from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph
from fxcount.views.roofline_plot import roofline_picture
from fxcount.views.roofline_table import roofline_overview, roofline_table, rooflines_table, time_text
from fxcount.views.terminal import terminal_width


class Roofline(RooflineRecord):
    """The times of a count on one device; ``print`` shows them as a table."""

    def __str__(self) -> str:
        return roofline_overview(self, width=terminal_width())

    def __repr__(self) -> str:
        return f"Roofline({self.device.name}: {time_text(self.seconds)} at best, bound by {self.bound})"

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto">\n{roofline_overview(self, format="html")}\n</div>'

    # The functions of the views, whose first argument is the record.
    table = roofline_table
    plot = roofline_picture

    def to_dict(self) -> dict[str, Any]:
        """The times in plain dicts and numbers: the whole, by phase, module and operator."""

        def plain(time: TimeAtBest) -> dict[str, Any]:
            return {
                "seconds": time.seconds,
                "bound": time.bound,
                "compute_bound_seconds": time.compute,
                "operations": time.operations,
                "bytes": time.bytes,
            }

        groups = {"phases": self.by_phase(), "modules": self.by_module(), "operators": self.by_operator()}
        return {
            "schema": 1,
            "device": self.device.name,
            "source": self.device.source,
            **plain(self.total),
            "fused_seconds": self.fused_seconds,
            **{name: [{"name": key, **plain(time)} for key, time in each.items()] for name, each in groups.items()},
        }

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent)


class Rooflines(tuple[Roofline, ...]):
    """The times of a count on several devices; ``print`` shows them side by side."""

    def __str__(self) -> str:
        return rooflines_table(self, width=terminal_width())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto">\n{rooflines_table(self, format="html")}\n</div>'


def roofline(cost: CostedGraph, device: str | Device | Sequence[str | Device]) -> Roofline | Rooflines:
    """What `GraphCost.roofline` describes."""
    if isinstance(device, list | tuple):
        return Rooflines(Roofline(**vars(calls_at_best(cost, device_named(each)))) for each in device)
    record = calls_at_best(cost, device_named(device))  # type: ignore[arg-type]  # it is one
    return Roofline(**vars(record))


def mfu(cost: CostedGraph, seconds: float, device: str | Device) -> float:
    """What `GraphCost.mfu` describes."""
    if not seconds > 0:
        raise InputError(f"a measured time is positive, not {seconds}")
    if cost.sizes:
        raise InputError(f"a share is one of numbers: put them in with cost.at({'=..., '.join(cost.sizes)}=...)")
    return contractions_at_peak(cost, device_named(device)) / seconds
