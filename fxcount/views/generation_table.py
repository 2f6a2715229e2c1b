"""What a generation costs as text and as plain data."""

from __future__ import annotations

import json
from typing import Any

from fxcount.analyses.generation import GenerationPart, GenerationRecord
from fxcount.views.roofline_table import BOUNDS, fit_text, time_text
from fxcount.views.text_table import Column, text_table
from fxcount.views.units import count_text, size_text


def generation_table(generation: GenerationRecord, format: str = "simple", width: int | None = None) -> str:
    """The prefill, the first and the last step, and the whole, a row each.

    Args:
        format: any format of ``tabulate``.
        width: leave out columns to fit this many characters.

    Raises:
        InputError: there is no such format.
    """
    timed, fits = generation.device is not None, not generation.missing
    columns = [Column(""), Column("tokens", True, spare=2), Column("MACs", True), Column("bytes", True, spare=3)]
    columns += [Column("cache", True, spare=1), Column("memory", True)]
    columns += [Column("time", True), Column("bound")] if timed else []
    columns += [Column("tokens/s", True), Column("fused", True)] if timed and fits else []
    rows = [_row(generation, name, part) for name, part in generation.parts.items()]
    return text_table(columns, [row[: len(columns)] for row in rows], _notes(generation), format=format, width=width)


def _row(generation: GenerationRecord, name: str, part: GenerationPart) -> list[str]:
    sizes = [size_text(each) for each in (part.traffic.total, part.cache, part.memory)]
    row = [name, f"{part.tokens:,}", count_text(part.cost.macs), *sizes]
    if part.time is not None:
        row += [time_text(part.time.seconds), part.time.bound]
        rates = (generation.tokens_per_second(name, fused) for fused in (False, True))
        row += ["" if rate is None else f"{rate:,.0f}" if rate >= 100 else f"{rate:,.2f}" for rate in rates]
    return row


def _notes(generation: GenerationRecord) -> list[str]:
    """What the numbers mean."""
    batch, steps, device = generation.batch, generation.steps, generation.device
    sequences = f"{batch:,} sequences" if batch > 1 else "One sequence"
    dtype, mode = str(generation.dtype).removeprefix("torch."), "train" if generation.training else "eval"
    notes = [
        f"{sequences} of {generation.model} in {dtype}, {mode} mode: a prompt of {generation.prompt:,} tokens and "
        f"{generation.generate:,} more, the first by the prefill, each other by one of {steps:,} steps. "
        f"Parameters and buffers take {size_text(generation.parameters)}."
    ]
    first, last = generation.first, generation.last
    if first is not None and last is not None and steps > 1:
        more = (last.cache - first.cache) / (steps - 1) / batch
        mean = " on average" if len(generation.stretches) > 1 else ""  # a window may fill
        notes.append(f"The cache grows by {more:,.0f} bytes for each token of a sequence{mean}.")
    for each in generation.stretches[:AT_MOST]:
        line = _line(*each.lines["macs"])
        notes.append(f"With n tokens in the cache, from {each.first:,} to {each.last:,}, a step takes {line} MACs.")
    if len(generation.stretches) > AT_MOST:
        notes.append(f"And so on, in {len(generation.stretches) - AT_MOST:,} further lines of `stretches`.")
    if generation.positions is not None and generation.positions < generation.prompt + generation.generate:
        notes.append(f"The model was made for {generation.positions:,} positions.")
    if generation.uncounted:
        notes.append(f"Not counted: {', '.join(generation.uncounted)}.")
    if device is None:
        return notes
    notes.append(fit_text(device, generation.missing))
    if not generation.missing:
        notes.append(
            "tokens/s: of all sequences, at best, call by call; fused: at best if nothing but parameters, inputs and "
            "cache went through memory."
        )
    return [*notes, f"{BOUNDS}; what launches it is not in it."]


AT_MOST = 3
"""So many stretches are told as lines."""


def _line(start: int, slope: int) -> str:
    """A line in n."""
    return f"{start:,}" if not slope else f"{start:,} {'+' if slope > 0 else '-'} {abs(slope):,} n"


def generation_to_dict(generation: GenerationRecord) -> dict[str, Any]:
    """All numbers, exactly, and in the units that their names say; times in seconds."""
    device = generation.device
    return {
        "schema": 1,
        "model": generation.model,
        "mode": "train" if generation.training else "eval",
        "dtype": str(generation.dtype).removeprefix("torch."),
        "parameters": generation.parameters,
        "batch": generation.batch,
        "prompt": generation.prompt,
        "generate": generation.generate,
        "device": None if device is None else device.name,
        "missing": generation.missing,
        "uncounted": [*generation.uncounted],
        "stretches": [
            {"first": each.first, "last": each.last, **{name: [*line] for name, line in each.lines.items()}}
            for each in generation.stretches
        ],
        "parts": {name: _plain(generation, name, part) for name, part in generation.parts.items()},
    }


def _plain(generation: GenerationRecord, name: str, part: GenerationPart) -> dict[str, Any]:
    times: dict[str, Any] = {}
    for kind, time in {"": part.time, "fused_": part.fused}.items():
        if time is not None:
            rate = generation.tokens_per_second(name, fused=bool(kind))
            times |= {f"{kind}seconds": time.seconds, f"{kind}bound": time.bound, f"{kind}tokens_per_second": rate}
    return {
        "calls": part.calls,
        "tokens": part.tokens,
        **part.cost.to_dict(),
        "read": part.traffic.read,
        "written": part.traffic.written,
        "cache": part.cache,
        "memory": part.memory,
        **times,
    }


def generation_to_json(generation: GenerationRecord, indent: int | None = None) -> str:
    """`to_dict` as JSON."""
    return json.dumps(generation_to_dict(generation), indent=indent)
