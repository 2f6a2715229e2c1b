"""`docs/benchmarks.md`, from what was measured."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from tabulate import tabulate

from tests.benchmarks.attention import HEADS, MACS, TOKENS, WIDTH
from tests.benchmarks.tools import (
    FORWARD,
    FXCOUNT,
    ON_META,
    PEERS_ON_CPU,
    TOOLS,
    TRAINED,
    TRAINED_ON_META,
    WITH_WEIGHTS,
    versions,
)

Times = Mapping[str, Mapping[str, float | str]]
"""Model to tool to the seconds of its best run, or why it fails."""


@dataclass(frozen=True)
class Limits:
    """What `tests.benchmarks.limits` measures."""

    by_depth: Mapping[int, float]
    by_steps: Mapping[int, float]
    by_batch: Mapping[str, float]
    in_symbols: Mapping[str, float]
    memory: int
    import_seconds: float
    help_seconds: float
    first_counts: Mapping[str, Mapping[str, float]]
    attention: Mapping[str, int | str]


def ratios(times: Times, tool: str, others: Sequence[str]) -> dict[str, float]:
    """For each model the time of ``tool`` over the fastest of ``others``, where there are both."""
    found = {}
    for model, by_tool in times.items():
        own = by_tool[tool]
        rivals = [seconds for other in others if isinstance(seconds := by_tool[other], float)]
        if isinstance(own, float) and rivals:
            found[model] = own / min(rivals)
    return found


def growth(times: Mapping[int, float]) -> list[float]:
    """The factor from each size to the next, which is twice as large."""
    seconds = list(times.values())
    return [after / before for before, after in pairwise(seconds)]


def report(times: Times, limits: Limits | None, command: str, rounds: int) -> str:
    """The page, in Markdown; without limits only the comparison."""
    parts = [
        "# Benchmarks",
        f"Written by `{command}`: one process per tool, the tools taking turns within one run, the best of {rounds} "
        "rounds after one that is not timed. A tool that is measured on meta and on the CPU has both models in its "
        "process. A time is the whole call, from the model to the result; with the backward pass, of both.",
        f"The machine: {machine()}. Versions: {versions()}.",
        "## The time of fxcount over the time of others",
        "Less than 1 means that fxcount is faster. `fxcount` counts a model without weights, `fxcount, weights` the "
        "same model with real weights; the tools on the CPU run the model with real weights. `fxcount, backward` "
        "counts the backward pass too, and `FlopCounterMode, backward` counts while autograd runs both.",
        table(["model", *(_over(tool) for tool in _others())], [_ratio_row(times, model) for model in times]),
    ]
    failures = [f"- {tool} on {model}: {why}" for model in times for tool, why in times[model].items() if _failed(why)]
    if failures:
        parts += ["A dash is a failure:", "\n".join(failures)]
    parts += ["## What must hold", table(["measured", "must be", "is", "holds"], list(_requirements(times, limits)))]
    if limits is not None:
        parts += [
            "## Growth",
            "In a round each size is counted as often as makes the largest, by turns; a time is the mean over a round, "
            "and the best round counts.",
            table(["layers, no two alike", "seconds", "times the line before"], list(_growth_rows(limits.by_depth))),
            table(
                ["steps of a loop in Python", "seconds", "times the line before"], list(_growth_rows(limits.by_steps))
            ),
            "## The first count of a process",
            "From the import of the tool, after torch and the model are there, to the end of the first count, in a new "
            "process each time.",
            table(
                ["network", *_OF_FIRST, "fxcount / FlopCounterMode"], [*map(_first_row, limits.first_counts.items())]
            ),
            "## Attention",
            f"What each tool counts for `scaled_dot_product_attention` of {HEADS} heads, {TOKENS} tokens and {WIDTH} "
            f"features, called as a function: 2 * {HEADS} * {TOKENS} * {TOKENS} * {WIDTH} = {MACS:,} macs.",
            table(["tool", "macs", "of all"], [*map(_attention_row, limits.attention.items())]),
            "## Batches",
            table(["resnet50", "ms"], [(name, f"{seconds * 1e3:.1f}") for name, seconds in limits.by_batch.items()]),
            "## Symbolic sizes",
            "A decoder of 32 layers; the time in symbols has that of the counts in numbers that it is checked by.",
            table(
                ["llama, 32 layers", "ms"], [(name, f"{each * 1e3:.1f}") for name, each in limits.in_symbols.items()]
            ),
        ]
    parts += [
        "## Milliseconds on this machine",
        table(["model", *TOOLS], [(model, *map(_milliseconds, times[model].values())) for model in times]),
    ]
    return "\n\n".join(parts) + "\n"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    alignment = ["left", *("right" for _ in headers[1:])]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True, colalign=alignment if rows else None)


def machine() -> str:
    """The processor, how much of it torch uses, and the versions of what it runs."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    processor = named[1].strip() if named else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, Python {platform.python_version()}"


def _others() -> list[str]:
    return [tool for tool in TOOLS if tool not in (FXCOUNT, WITH_WEIGHTS, TRAINED)]


def _against(tool: str) -> str:
    """With real weights against tools that run on them, with the backward pass against one that runs it; without
    against the others."""
    if tool == TRAINED_ON_META:
        return TRAINED
    return WITH_WEIGHTS if TOOLS[tool].device == "cpu" else FXCOUNT


def _over(tool: str) -> str:
    return f"{_against(tool)} / {tool}"


def _ratio_row(times: Times, model: str) -> tuple[str, ...]:
    cells = [ratios({model: times[model]}, _against(tool), [tool]).get(model) for tool in _others()]
    return (model, *("-" if cell is None else f"{cell:.2f}" for cell in cells))


def _failed(measured: float | str) -> bool:
    return isinstance(measured, str)


def _milliseconds(measured: float | str) -> str:
    return "-" if isinstance(measured, str) else f"{measured * 1e3:.1f}"


def _requirements(times: Times, limits: Limits | None) -> list[tuple[str, str, str, str]]:
    on_meta, on_cpu = ratios(times, FXCOUNT, [ON_META]), ratios(times, WITH_WEIGHTS, PEERS_ON_CPU)
    trained = ratios(times, TRAINED, [TRAINED_ON_META])
    forward, weights = ratios(times, FXCOUNT, [FORWARD]), ratios(times, WITH_WEIGHTS, [FXCOUNT])
    rows = [
        _row("over FlopCounterMode on meta, median", 0.25, median(on_meta.values())),
        _row("over FlopCounterMode on meta, slowest model", 0.4, max(on_meta.values())),
        _row("with the backward pass, over FlopCounterMode's, median", 0.5, median(trained.values())),
        _row("with the backward pass, over FlopCounterMode's, slowest model", 1.0, max(trained.values())),
        _row("over the fastest peer on CPU, slowest model", 0.95, max(on_cpu.values())),
        _row("over a plain forward on meta, median", 0.75, median(forward.values())),
        _row("real weights over meta, slowest model", 1.2, max(weights.values())),
    ]
    if limits is not None:
        first, *others = limits.by_batch.values()
        rows += [
            _row("real weights over meta, largest batch", 1.2, max(others) / first),
            _row("twice as many layers, no two alike: time", 2.2, max(growth(limits.by_depth))),
            _row("twice as many steps: time", 2.2, max(growth(limits.by_steps))),
            _row(
                "a decoder of 32 layers in symbolic sizes, over one in numbers",
                10,
                limits.in_symbols["in batch and length"] / limits.in_symbols["in numbers"],
            ),
            _row("Llama-3.1-405B, 8,192 tokens: growth of memory, MB", 150, limits.memory / 1e6, digits=0),
            _row("the first count of a process over FlopCounterMode's, slowest", 0.4, max(_first_ratios(limits))),
            _row("importing fxcount after torch, ms", 50, limits.import_seconds * 1e3, digits=0),
            _row("fxcount --help, more than Python that does nothing, ms", 150, limits.help_seconds * 1e3, digits=0),
        ]
    return rows


_OF_FIRST = ("fxcount", "FlopCounterMode")


def _first_ratios(limits: Limits) -> list[float]:
    return [times["fxcount"] / times["FlopCounterMode"] for times in limits.first_counts.values()]


def _first_row(measured: tuple[str, Mapping[str, float]]) -> tuple[str, ...]:
    network, times = measured
    seconds = (f"{times[tool]:.2f} s" for tool in _OF_FIRST)
    return (network, *seconds, f"{times['fxcount'] / times['FlopCounterMode']:.2f}")


def _attention_row(measured: tuple[str, int | str]) -> tuple[str, str, str]:
    tool, macs = measured
    return (tool, f"{macs:,}", f"{macs / MACS:.0%}") if isinstance(macs, int) else (tool, macs, "-")


def _row(what: str, at_most: float, found: float, digits: int = 2) -> tuple[str, str, str, str]:
    return what, f"at most {at_most:.{digits}f}", f"{found:.{digits}f}", "yes" if found <= at_most else "no"


def _growth_rows(times: Mapping[int, float]) -> list[tuple[str, str, str]]:
    factors = ["", *(f"{factor:.2f}" for factor in growth(times))]
    return [
        (f"{size:,}", f"{seconds:.3f}", factor) for (size, seconds), factor in zip(times.items(), factors, strict=True)
    ]
