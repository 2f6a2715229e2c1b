"""The memory of a model as text: the peak by kind, what is held then, and the module tree."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fxcount.cost import CONVENTIONS
from fxcount.errors import InputError
from fxcount.result.memory_record import Allocation, MemoryRecord, ModuleMemory, Moment
from fxcount.views.folding import Branch, grow, lines
from fxcount.views.head import line_of, shapes_text
from fxcount.views.shown_text import ShownText
from fxcount.views.table import share
from fxcount.views.text_table import Column, text_table
from fxcount.views.units import size_text

ROWS_THAT_FIT = 30
"""The module tree that is printed as a whole has about this many rows at most."""

SCHEMA = 1
"""The version of the form that `memory_to_dict` writes."""


def memory_table(
    memory: MemoryRecord,
    by: str = "module",
    depth: int | None = None,
    top: int | None = None,
    format: str = "simple",
    width: int | None = None,
) -> str:
    """The memory as a table of text.

    Args:
        by: ``module``, the tree of modules, ``kind``, what the peak is made of, ``tensor``, what is held at the peak,
            the largest first, or ``operator``, what is held when each operator has run.
        depth: the levels of the module tree to show; None for all.
        top: how many rows to show of tensors or operators; None for all.
        format: any format of ``tabulate``.
        width: shorten names to fit this many characters, and leave out columns.

    Raises:
        InputError: there is no such view or format.
    """
    if by not in TABLES:
        raise InputError(f"unknown view {by!r}; memory is shown by {', '.join(TABLES)}")
    columns, rows = TABLES[by](memory, depth)
    more = [] if top is None or len(rows) <= top else [f"{len(rows) - top:,} more rows are not shown."]
    return text_table(
        columns, rows[:top], [*more, *_notes(memory, by)], head=memory_head(memory), format=format, width=width
    )


def memory_overview(memory: MemoryRecord, format: str = "simple", width: int | None = None) -> str:
    """The peak, what it is made of, and the module tree to the depth that fits."""
    tree = _tree(memory)
    depth = max((k for k in range(1, 100) if _rows_to(tree, k) <= ROWS_THAT_FIT), default=1)
    kinds = text_table(*_by_kind(memory, None), head=memory_head(memory), format=format, width=width)
    columns, rows = _by_module(memory, depth)
    modules = text_table(columns, rows, _notes(memory, "module"), format=format, width=width)
    return ShownText("\n\n".join((kinds, modules)))


def memory_head(memory: MemoryRecord) -> list[str]:
    """A line on what was counted."""
    if memory.call is None:
        return []
    given = [
        f"{shapes_text([each.shape])} {dtype_text(each)}"
        for each in memory.allocations
        if each.made < 0 and each.kind in ("inputs", "cache")
    ]
    return [line_of(memory.call, given, f"Device: {memory.device}")]


def _rows_to(tree: Branch[ModuleMemory], depth: int) -> int:
    return sum(1 for _ in lines(tree, depth))


def _tree(memory: MemoryRecord) -> Branch[ModuleMemory]:
    """The tree of modules; those that are equal but for their paths are folded."""
    return grow({path: replace(each, path="") for path, each in memory.by_module().items()}, lambda each: False)


def _by_module(memory: MemoryRecord, depth: int | None) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("module"), Column("class", spare=2), Column("parameters", True), Column("peak", True)]
    columns.append(Column("outputs", True, spare=1))
    if memory.has_backward:
        columns += [
            Column("saved", True),
            Column("checkpoint saves", True, spare=1),
            Column("for FLOPs", True, spare=3),
        ]
    rows = []
    for branch, level, _ in lines(_tree(memory), depth):
        value = branch.value
        sizes = [value.parameters, value.peak, value.outputs]
        row = ["  " * level + (branch.label or "(model)"), value.kind, *map(_size, sizes)]
        if memory.has_backward:
            again = f"{CONVENTIONS['multiplications'].read(value.again):,}" if value.checkpoint else ""
            row += [_size(value.saved), _size(value.checkpoint), again]
        rows.append(row)
    return columns, rows


def _by_kind(memory: MemoryRecord, depth: int | None) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("at the peak"), Column("bytes", True, spare=1), Column("", True), Column("share", True)]
    held = memory.at_peak
    rows = [[kind, f"{size:,}", size_text(size), share(size, memory.peak)] for kind, size in held.items()]
    return columns, [*rows, ["total", f"{memory.peak:,}", size_text(memory.peak), ""]]


def _by_tensor(memory: MemoryRecord, depth: int | None) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("kind"), Column("shape"), Column("dtype", spare=2), Column("", True)]
    columns += [Column("times", True), Column("made by", spare=1), Column("module")]
    equal = Counter(
        (each.kind, str(list(each.shape)), dtype_text(each), size_text(each.size), each.operator, each.module)
        for each in memory.alive(memory.moment)
    )
    return columns, [[*row[:4], f"{times:,}", *row[4:]] for row, times in equal.items()]


def _by_operator(memory: MemoryRecord, depth: int | None) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("", True), Column("operator"), Column("module"), Column("phase", spare=1), Column("held", True)]
    rows = [
        [str(number), each.operator, each.module, each.phase, size_text(each.held)]
        for number, each in enumerate(memory.timeline)
    ]
    return columns, rows


TABLES = {"module": _by_module, "kind": _by_kind, "tensor": _by_tensor, "operator": _by_operator}


def dtype_text(each: Allocation) -> str:
    """The type of its elements, such as ``float32``."""
    return str(each.dtype).removeprefix("torch.")


def _size(size: int) -> str:
    return size_text(size) if size else ""


def _notes(memory: MemoryRecord, by: str) -> list[str]:
    """What the numbers mean."""
    last = f"the first step of {memory.optimizer}" if memory.optimizer else "the backward pass"
    run = f"a call with gradients, and {last}" if memory.has_backward else "a call without gradients"
    where = ", as on a GPU" if memory.device != "cpu" else ""
    notes = [f"Of {run}{where}: the peak is {memory.peak:,} bytes ({size_text(memory.peak)}){_where(memory)}."]
    if memory.has_backward:
        notes.append(
            f"Kept from the forward pass for the backward pass: {size_text(memory.saved)}, but for parameters."
        )
    if any(memory.cache.values()):
        before, after = map(size_text, memory.cache.values())
        notes.append(f"A cache is given and returned: {before} before the call, {after} after it.")
    if by == "module":
        notes.append("peak: the most at once of what a module's operators make; outputs: what it returns.")
        if memory.has_backward:
            notes.append(
                "saved: what autograd keeps for its operators; checkpoint saves: how much of it would not be kept if "
                "the module were a checkpoint, for so many FLOPs (multiplications) that it would compute again."
            )
    return notes


def _where(memory: MemoryRecord) -> str:
    if memory.moment < 0:
        return ""
    moment = memory.timeline[memory.moment]
    return f", held after {moment.operator} in {moment.module or 'the model itself'} ({moment.phase})"


def memory_to_dict(memory: MemoryRecord) -> dict[str, Any]:
    """All that is known, as numbers and texts that JSON has: bytes, exactly."""
    return {
        "schema": SCHEMA,
        "device": memory.device,
        "backward": memory.has_backward,
        "optimizer": memory.optimizer,
        "peak": memory.peak,
        "at_peak": memory.at_peak,
        "later_peak": memory.later_peak,
        "saved": memory.saved,
        "cache": memory.cache,
        "modules": [_module_row(module) for module in memory.by_module().values()],
        "timeline": [*map(_moment_row, memory.timeline)],
        "allocations": [_allocation_row(each) for each in memory.allocations],
    }


def memory_to_json(memory: MemoryRecord, indent: int | None = None) -> str:
    """`to_dict` as JSON."""
    return json.dumps(memory_to_dict(memory), indent=indent)


def memory_to_csv(memory: MemoryRecord, by: str = "module") -> str:
    """The rows by ``module``, ``kind``, ``tensor`` (at the peak) or ``operator`` as CSV, in exact bytes.

    Raises:
        InputError: there is no such view.
    """
    if by not in TABLES:
        raise InputError(f"unknown view {by!r}; memory is shown by {', '.join(TABLES)}")
    rows: Sequence[Mapping[str, Any]] = {
        "module": lambda: [_module_row(module) for module in memory.by_module().values()],
        "kind": lambda: [{"kind": kind, "bytes": size} for kind, size in memory.at_peak.items()],
        "tensor": lambda: [_allocation_row(each) for each in memory.alive(memory.moment)],
        "operator": lambda: _timeline_rows(memory),
    }[by]()
    text = io.StringIO()
    writer = csv.DictWriter(text, [*(rows[0] if rows else ())], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _module_row(module: ModuleMemory) -> dict[str, Any]:
    sizes = {name: getattr(module, name) for name in ("parameters", "peak", "outputs", "saved", "checkpoint")}
    return {"name": module.path, "kind": module.kind, **sizes, **_again(module)}


def _again(module: ModuleMemory) -> dict[str, int]:
    return {f"again_{name}": number for name, number in module.again.to_dict().items()}


def _allocation_row(each: Allocation) -> dict[str, Any]:
    own = {name: getattr(each, name) for name in ("size", "kind", "operator", "module", "made", "freed")}
    return {**own, "shape": list(each.shape), "dtype": dtype_text(each), "saved_by": sorted(each.saved_by)}


def _timeline_rows(memory: MemoryRecord) -> list[dict[str, Any]]:
    kinds = [dict.fromkeys(_kinds(memory), 0) | each for each in memory.held_by_kind()]
    return [{**_moment_row(moment), **held} for moment, held in zip(memory.timeline, kinds, strict=True)]


def _moment_row(moment: Moment) -> dict[str, Any]:
    return {name: getattr(moment, name) for name in ("operator", "module", "phase", "held")}


def _kinds(memory: MemoryRecord) -> Iterable[str]:
    return dict.fromkeys(each.kind for each in memory.allocations)
