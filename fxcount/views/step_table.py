"""What a step takes on a device, as text and as plain data."""

from __future__ import annotations

import json
from typing import Any

from fxcount.analyses.step import StepRecord
from fxcount.views.head import head
from fxcount.views.legend import uncounted
from fxcount.views.roofline_table import BOUNDS, fit_text, time_text
from fxcount.views.table import share
from fxcount.views.text_table import Column, text_table
from fxcount.views.units import count_text, size_text


def step_table(step: StepRecord, format: str = "simple", width: int | None = None) -> str:
    """The passes and the whole, a row each, and what is held.

    Args:
        format: any format of ``tabulate``.
        width: leave out columns to fit this many characters.

    Raises:
        InputError: there is no such format.
    """
    names = ("operations", "bytes", "time", "share", "bound")
    columns = [Column(""), *(Column(name, name != "bound") for name in names)]
    total = step.roofline.seconds
    rows = [
        [
            name,
            count_text(round(part.operations)),
            size_text(round(part.bytes)),
            time_text(part.seconds),
            share(part.seconds, total),  # type: ignore[arg-type]  # of seconds as of FLOPs
            part.bound,
        ]
        for name, part in step.parts.items()
    ]
    rows = rows if len(rows) > 2 else rows[:1]  # one pass is the whole
    return text_table(columns, rows, _notes(step), head=head(step.cost), format=format, width=width)


def _notes(step: StepRecord) -> list[str]:
    """What the numbers mean."""
    held = ", ".join(f"{kind} {size_text(size)}" for kind, size in step.memory.at_peak.items())
    first = "" if step.peak == step.memory.peak else f" in later steps; in the first one {size_text(step.memory.peak)}"
    dtype = str(step.dtype).removeprefix("torch.")
    given = f"{step.items:,} {step.item if step.items != 1 else step.item[:-1]}"
    notes = [
        f"{given} of {_model(step)} in {dtype} on {step.device.name}: {count_text(step.macs)} MACs, no less than "
        f"{time_text(step.roofline.seconds)} call by call, and {time_text(step.roofline.fused_seconds)} however calls "
        "are fused.",
        f"At the peak it holds {size_text(step.peak)}{first} ({held}). {fit_text(step.device, step.missing)}",
    ]
    rates = step.per_second(), step.per_second(fused=True)
    if rates[0] is not None and rates[1] is not None:
        notes.append(f"At best {rates[0]:,.0f} {step.item} a second call by call, {rates[1]:,.0f} fused.")
    if step.measured is not None and step.mfu is not None:
        notes.append(
            f"Measured were {time_text(step.measured)}, {step.items / step.measured:,.0f} {step.item} a second: "
            f"{step.mfu:.1%} of the peak (model FLOPs utilisation)."
        )
    return [*notes, f"{BOUNDS}; what launches it is not in it.", *uncounted(step.cost)]


def _model(step: StepRecord) -> str:
    return step.cost.modules[""].kind


def step_to_dict(step: StepRecord) -> dict[str, Any]:
    """All numbers, exactly; times in seconds, sizes in bytes."""
    return {
        "schema": 1,
        "model": _model(step),
        "dtype": str(step.dtype).removeprefix("torch."),
        "device": step.device.name,
        step.item: step.items,
        "macs": step.macs,
        "parts": {
            name: {"operations": part.operations, "bytes": part.bytes, "seconds": part.seconds, "bound": part.bound}
            for name, part in step.parts.items()
        },
        "fused_seconds": step.roofline.fused_seconds,
        f"{step.item}_per_second": step.per_second(),
        f"fused_{step.item}_per_second": step.per_second(fused=True),
        "uncounted": step.cost.uncounted,
        "peak": step.peak,
        "peak_of_the_first": step.memory.peak,
        "at_peak": step.memory.at_peak,
        "missing": step.missing,
        "measured": step.measured,
        "mfu": step.mfu,
    }


def step_to_json(step: StepRecord, indent: int | None = None) -> str:
    """`to_dict` as JSON."""
    return json.dumps(step_to_dict(step), indent=indent)
