"""The tables of nodes, modules and operators, as text."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar

from fxcount.cost import CONVENTIONS, FIELDS, Cost
from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counts import BACKWARD_COUNTS, COUNTS
from fxcount.sizes.example_numbers import ExampleNumber
from fxcount.views.folding import FOLDED, Branch
from fxcount.views.head import head, shapes_text
from fxcount.views.in_example import in_example
from fxcount.views.legend import legend
from fxcount.views.rows import UNUSED, Row, check_view, rows_by
from fxcount.views.rows import columns as columns_of
from fxcount.views.terminal import draws_bars
from fxcount.views.text_table import Column, fits, text_table, whole_width
from fxcount.views.tree import OWN, Amount, module_tree, together, tree_rows
from fxcount.views.units import check_units, count_text, size_text

SHOWN = {
    "node": ("name", "op", "target", "input_shapes", "output_shapes", "params", "macs", "flops", "share"),
    "module": ("name", "kind", "calls", "params", "macs", "flops", "share"),
    "operator": ("name", "calls", "macs", "flops", "share"),
}
"""The columns that a table of a forward count shows unless others are asked for."""

HEADERS = {
    "op": "operation",
    "input_shapes": "input",
    "output_shapes": "output",
    "kind": "class",
    "macs": "MACs",
    "flops": "FLOPs",
    "backward_calls": "backward calls",
    **{name: name.replace("_", " ").replace("macs", "MACs").replace("flops", "FLOPs") for name in BACKWARD_COUNTS},
}
"""The headers of the columns whose header is not their name."""

SPARE = {
    "op": 5,
    "target": 4,
    "module": 4,
    "input_shapes": 3,
    "kind": 1,
    "nodes": 2,
    "output_shapes": 1,
    "calls": 2,
    "backward_calls": 1,
}
"""The columns that a narrow table can do without, those with the largest number first."""


@in_example
def table(
    cost: CostedGraph,
    by: str = "node",
    depth: int | None = None,
    top: int | None = None,
    sort: str | None = None,
    columns: Sequence[str] | None = None,
    format: str = "simple",
    width: int | None = None,
    units: str = "auto",
) -> str:
    """The costs as a table of text, its rows adding up to the total, and what its numbers mean.

    Args:
        by: ``node``, ``operator``, or ``module`` for the tree of modules, in which equal siblings are one row, such
            as ``layers.0-31  x32``, and ``(own)`` is what a module does and holds besides its submodules.
        depth: the levels of the module tree to show, 0 for the model alone; None for all.
        top: how many rows to show, in the module tree of each module's children; the rest is added up in one row.
        sort: the column to sort by, numbers from the largest down; None for the order of the graph, or, with
            ``top``, for ``flops``, with those of the backward pass. The module tree sorts each module's children.
        columns: the columns to show; an unknown one lists what there is. ``read`` and ``written`` are bytes,
            ``intensity`` floating-point operations for each byte that is read or written.
        format: any format of ``tabulate``, such as ``github`` or ``html``.
        width: shorten names and shapes to fit this many characters, and leave out columns, with a sign for all
            that is missing; None for as wide as it is.
        units: how counts are written: ``exact``, in ``K``, ``M``, ``G``, ``T`` or ``P``, or ``auto`` for exact ones
            where they fit the width, and else three digits in the unit that each has.

    Raises:
        InputError: a view, column, format or unit is unknown, or a number negative.
    """
    check_view(by)
    check_units(units)
    if depth is not None and by != "module":
        raise InputError(f"depth is for the tree of modules, by='module', not for by={by!r}")
    for name, number in (("depth", depth), ("top", top)):
        if number is not None and number < 0:
            raise InputError(f"{name} must not be negative: {number}")
    chosen, known = shown_columns(cost, by) if columns is None else tuple(columns), known_columns(cost, by)
    for name in (*chosen, *filter(None, (sort,))):
        if name not in known:
            hint = "; backward_... are there after count_graph(..., backward=True)" if name in BACKWARD_COUNTS else ""
            raise InputError(f"unknown column {name!r}; by {by} there are {', '.join(known)}{hint}")
    if by == "module":
        tree = module_tree(cost, with_bytes=not MOVED.isdisjoint(chosen))
        rows = branch_rows(cost, tree, depth, top, sort, chosen)
    else:
        rows = _arranged(rows_by(cost, by), lambda row: row, _sum_of_rows, top, sort)
        rows.append({"name": "total", **cost.counts.numbers(cost.convention)})
    return rendered(rows, by, chosen, cost.flops, legend(cost), format, width, head(cost), units)


def known_columns(cost: CostedGraph, by: str) -> tuple[str, ...]:
    """The columns that a table can show."""
    return (*(name for name in columns_of(cost, by) if not name.startswith("own_")), "intensity", "share")


def shown_columns(cost: CostedGraph, by: str) -> tuple[str, ...]:
    """Those that it shows unless others are asked for."""
    if not cost.has_backward:
        return SHOWN[by]
    frozen = ("trainable",) if cost.frozen else ()
    calls = ("backward_calls",) if by == "operator" else ()
    beside = {"params": ("params", *frozen), "flops": ("flops", *calls, "backward_flops")}
    return tuple(chain.from_iterable(beside.get(name, (name,)) for name in SHOWN[by]))


Item = TypeVar("Item")


def _arranged(
    items: Sequence[Item],
    row_of: Callable[[Item], Row],
    merge: Callable[[Sequence[Item]], Item],
    top: int | None,
    sort: str | None,
) -> list[Item]:
    """The items sorted by a column, numbers from the largest down; those after the first ``top`` as one."""
    by = "flops" if sort == "share" or (sort is None and top is not None) else sort

    def key(item: Item) -> tuple[bool, Any]:
        row = row_of(item)
        value = row.get(by or "")
        if value is None:
            return True, 0
        if sort is None:
            value += row.get("backward_flops", 0)
        return False, -value if isinstance(value, int) else value

    arranged = sorted(items, key=key) if by else list(items)
    if top is None or len(arranged) <= top:
        return arranged
    return [*arranged[:top], merge(arranged[top:])]


def _sum_of_rows(rows: Sequence[Row]) -> Row:
    names = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, int))
    return {"name": f"({len(rows):,} more)", **{name: sum(row.get(name, 0) for row in rows) for name in names}}


def branch_rows(
    cost: CostedGraph,
    tree: Branch[Amount],
    depth: int | None = None,
    top: int | None = None,
    sort: str | None = None,
    chosen: Sequence[str] | None = None,
) -> list[Row]:
    """The rows of a module tree, siblings arranged; an (own) row of zeros is not shown."""
    chosen = shown_columns(cost, "module") if chosen is None else chosen

    def row_of(branch: Branch[Amount]) -> Row:
        amount = branch.value * branch.times
        row = {"name": branch.label, "kind": amount.kind, "calls": amount.calls, "nodes": amount.nodes}
        return row | amount.counts.numbers(cost.convention)

    def arrange(siblings: Sequence[Branch[Amount]]) -> Sequence[Branch[Amount]]:
        return _arranged(siblings, row_of, together, top, sort)

    rows = tree_rows(cost, tree, depth, arrange)
    counts = [name for name in (*COUNTS, *BACKWARD_COUNTS) if name in chosen]
    return [row for row in rows if row["name"].lstrip() != OWN or any(row[name] for name in counts)]


def rendered(
    rows: Sequence[Row],
    by: str,
    chosen: Sequence[str],
    total: int,
    notes: Iterable[str],
    format: str = "simple",
    width: int | None = None,
    above: Sequence[str] = (),
    units: str = "auto",
) -> str:
    """The rows as text, ``above`` them what they are of; shares are of ``total`` FLOPs. Expressions in sizes that do
    not fit the width are left out for the numbers of the example."""
    columns, notes = [_column(name, by) for name in chosen], (*_signs(rows), *notes)
    cells = [[_text(name, row, total, "exact" if units == "auto" else units) for name in chosen] for row in rows]
    has_expressions = any(map(_has_expressions, rows))
    if units == "auto" and width is not None and not has_expressions and not fits(columns, cells, format, width):
        cells = [[_text(name, row, total, units) for name in chosen] for row in rows]
    if width is not None and chosen[-1] == "share" and draws_bars():
        columns, cells = _with_bars(columns, cells, rows, total, format, width)
    text = text_table(columns, cells, notes, head=above, format=format, width=width)
    if width is None or max(map(len, text.split("\n"))) <= width or not has_expressions:
        return text
    cells = [[_text(name, _numbers(row), total, "auto") for name in chosen] for row in rows]
    return text_table(columns, cells, (IN_NUMBERS.format(width), *notes), head=above, format=format, width=width)


BAR = 10
"""How many characters wide the bar of the whole is."""


def _with_bars(
    columns: list[Column], cells: list[list[str]], rows: Sequence[Row], total: int, format: str, width: int
) -> tuple[list[Column], list[list[str]]]:
    """The table with a bar for each share, if there is room for them."""
    drawn = [[*cell, bar(row["flops"], total)] for cell, row in zip(cells, rows, strict=True)]
    wider = [*columns, Column("")]
    return (wider, drawn) if whole_width(wider, drawn, format) <= width else (columns, cells)


def bar(part: int, whole: int) -> str:
    """A bar for ``part``, where that of the ``whole`` is ten characters wide, in eighths of one.

    >>> bar(1, 2), bar(1, 80)
    ('█████', '▏')
    """
    eighths = round(8 * BAR * part / whole) if whole else 0
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


IN_NUMBERS = "The rows are numbers of the example, for expressions in the sizes do not fit {} columns."


def _has_expressions(row: Row) -> bool:
    return any(isinstance(value, ExampleNumber) for value in row.values())


def _numbers(row: Row) -> Row:
    """The numbers of the example in the place of expressions."""
    return {name: int(value) if isinstance(value, ExampleNumber) else value for name, value in row.items()}


def _signs(rows: Iterable[Row]) -> list[str]:
    """What the signs in the names mean."""
    names = [row["name"].lstrip() for row in rows]
    notes = []
    if any(FOLDED.search(name) for name in names):
        notes.append("x2 and more: so many equal modules are in one row, which adds them up.")
    if OWN in names:
        notes.append(f"{OWN}: what a module does in its own forward, and the parameters that it holds itself.")
    if UNUSED in names:
        notes.append(f"{UNUSED}: parameters that no node uses.")
    return notes


def _column(name: str, by: str) -> Column:
    header = by if name == "name" and by != "node" else HEADERS.get(name, name)
    return Column(header, numeric=name in _NUMERIC, spare=SPARE.get(name, 0))


_NUMERIC = frozenset({*COUNTS, *BACKWARD_COUNTS, "calls", "backward_calls", "nodes", "intensity", "share"})

_COUNTS = frozenset({*COUNTS, *BACKWARD_COUNTS})

_ARITHMETIC = CONVENTIONS["arithmetic"]

SIZES = frozenset({"read", "written", "backward_read", "backward_written"})
"""The columns that are bytes."""


MOVED = SIZES | {"intensity"}
"""Those that tell of bytes."""


def _text(name: str, row: Row, total: int, units: str) -> str:
    if name == "share":
        return share(row["flops"], total)
    if name == "intensity":
        moved = row["read"] + row["written"]
        return f"{_ARITHMETIC.read(Cost(**{each: row[each] for each in FIELDS})) / moved:,.2f}" if moved else ""
    value = row.get(name)
    if name in SIZES and isinstance(value, int):
        return size_text(value)
    if value is None:
        return ""
    if isinstance(value, int):
        return count_text(value, units) if name in _COUNTS else f"{value:,}"
    return value if isinstance(value, str) else shapes_text(value)


def share(part: int, whole: int) -> str:
    """``part`` in percent of ``whole``; a dash where there is nothing to share."""
    return f"{part / whole:.1%}" if whole else "-"
