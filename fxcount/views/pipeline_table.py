"""What a step of a pipeline costs, as text and as plain data."""

from __future__ import annotations

import json
from typing import Any

from fxcount.analyses.pipeline import PipelineRecord, StageCost
from fxcount.views.legend import uncounted
from fxcount.views.roofline_table import time_text
from fxcount.views.text_table import Column, text_table
from fxcount.views.units import count_text, plural, size_text


def pipeline_table(pipeline: PipelineRecord, format: str = "simple", width: int | None = None) -> str:
    """The stages, a row each, for one microbatch, and how long the rank of each waits in a step.

    Args:
        format: any format of ``tabulate``.
        width: leave out columns to fit this many characters.

    Raises:
        InputError: there is no such format.
    """
    columns = [Column("stage", True), Column("rank", True), Column("params", True, spare=1), Column("MACs", True)]
    columns += [Column("backward", True)] if pipeline.cost.has_backward else []
    columns += [Column("sends on", True)]
    columns += [Column("sends back", True)] if pipeline.cost.has_backward else []
    columns += [Column("rank waits", True)]
    rows = [_row(pipeline, stage) for stage in pipeline.stages]
    return text_table(columns, rows, _notes(pipeline), format=format, width=width)


def _row(pipeline: PipelineRecord, stage: StageCost) -> list[str]:
    row = [str(stage.index), str(stage.rank), count_text(stage.params), count_text(stage.macs)]
    row += [] if stage.backward_macs is None else [count_text(stage.backward_macs)]
    row += [size_text(_sent(stage, "forward"))]
    row += [size_text(_sent(stage, "backward"))] if pipeline.cost.has_backward else []
    return [*row, _percent(pipeline.waits[stage.rank])]


def _sent(stage: StageCost, phase: str) -> int:
    """The bytes that a stage sends to others in a phase."""
    return sum(each.sent for each in stage.communication if each.name == "send" and each.phase == phase)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _notes(pipeline: PipelineRecord) -> list[str]:
    """What the numbers mean."""
    stages, ranks = plural(len(pipeline.stages), "stage"), plural(len(pipeline.order), "rank")
    count = "microbatch" if pipeline.microbatches == 1 else "microbatches"
    notes = [
        f"{pipeline.schedule}: {pipeline.microbatches:,} {count} through {stages} on {ranks}. A row is one microbatch; "
        "what ranks wait is of a step."
    ]
    if pipeline.bubble is not None:
        notes.append(f"The bubble, the share of the time of all ranks in which they wait, is {pipeline.bubble:.1%}.")
    if pipeline.device is None:
        notes.append("Time is taken to be as MACs are, and what is sent to take none.")
    else:
        sends = f"links over {pipeline.axis}" if pipeline.axis in pipeline.device.links else "sends in no time"
        notes.append(
            f"A step takes no less than {time_text(pipeline.length)} on {pipeline.device.name}, call by call, {sends}."
        )
    return [*notes, *uncounted(pipeline.cost)]


def pipeline_to_dict(pipeline: PipelineRecord) -> dict[str, Any]:
    """All numbers, exactly; sizes in bytes, ``length`` and ``takes`` in seconds, or in multiply-accumulates where there
    is no device."""
    return {
        "schema": 1,
        "schedule": pipeline.schedule,
        "microbatches": pipeline.microbatches,
        "device": None if pipeline.device is None else pipeline.device.name,
        "stages": [
            {
                "index": stage.index,
                "rank": stage.rank,
                "params": stage.params,
                "macs": stage.macs,
                "backward_macs": stage.backward_macs,
                "communication": [
                    {name: getattr(each, name) for name in ("axis", "name", "phase", "module", "calls", "sent")}
                    for each in stage.communication
                ],
                "takes": dict(stage.takes),
            }
            for stage in pipeline.stages
        ],
        "length": pipeline.length,
        "waits": {str(rank): share for rank, share in pipeline.waits.items()},
        "bubble": pipeline.bubble,
        "uncounted": pipeline.cost.uncounted,
    }


def pipeline_to_json(pipeline: PipelineRecord, indent: int | None = None) -> str:
    """`to_dict` as JSON."""
    return json.dumps(pipeline_to_dict(pipeline), indent=indent)
