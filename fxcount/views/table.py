"""The table of nodes, as text."""

from __future__ import annotations

from collections.abc import Iterable

from tabulate import tabulate

from fxcount.cost import CONVENTIONS
from fxcount.costed_graph import CostedGraph, NodeCost, Shape

HEADERS = ("name", "operation", "target", "input", "output", "params", "MACs", "FLOPs", "share")
ALIGNMENT = ("left", "left", "left", "left", "left", "right", "right", "right", "right")


def node_table(cost: CostedGraph) -> str:
    """A row per node, a row of totals, and a line that says what the numbers mean."""
    total = cost.flops
    rows = [_row(node, total) for node in cost.nodes]
    rows.append(("total", "", "", "", "", f"{cost.params:,}", f"{cost.macs:,}", f"{total:,}", _share(total, total)))
    table = tabulate(rows, HEADERS, tablefmt="simple", colalign=ALIGNMENT, disable_numparse=True)
    return "\n".join((table, "", *legend(cost)))


def _row(node: NodeCost, total: int) -> tuple[str, ...]:
    return (
        node.name,
        node.op,
        node.target,
        _shapes(node.input_shapes),
        _shapes(node.output_shapes),
        f"{node.params:,}",
        f"{node.cost.macs:,}",
        f"{node.flops:,}",
        _share(node.flops, total),
    )


def _shapes(shapes: Iterable[Shape]) -> str:
    return ", ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def legend(cost: CostedGraph) -> list[str]:
    """What FLOPs means here, the total under the other conventions, and what is not counted."""
    convention = cost.convention
    others = ", ".join(
        f"{other.read(cost.total):,} {other.name} ({other.meaning})"
        for other in CONVENTIONS.values()
        if other != convention
    )
    lines = [
        f"FLOPs here are {convention.name} ({convention.meaning}): {cost.flops:,} in all.",
        f"Under the other conventions: {others}.",
    ]
    if cost.uncounted:
        names = ", ".join(f"{name} ({calls} calls)" for name, calls in cost.uncounted.items())
        lines.append(f"Not counted: {names}.")
    return lines
