"""What `print` shows of a count: all nodes while they fit a screen, else the module tree as far as it does."""

from __future__ import annotations

from collections.abc import Sequence

from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counts import Counts
from fxcount.views.head import head
from fxcount.views.in_example import in_example
from fxcount.views.legend import legend
from fxcount.views.table import branch_rows, rendered, shown_columns, table
from fxcount.views.tree import Amount, depth_that_fits, gathered, module_tree

ROWS_THAT_FIT = 30
"""Without scrolling, beside the lines on what the numbers mean."""

SMALL = 0.01
"""Modules that have less of the FLOPs and of the parameters together do not get rows of their own."""

HOW_TO_SEE = {False: ("print(cost.table('module'))", "print(cost.table())"), True: ("--all", "--by node")}
"""What shows all modules and all nodes, in Python and on the command line."""


@in_example
def overview(
    cost: CostedGraph,
    format: str = "simple",
    width: int | None = None,
    units: str = "auto",
    on_command_line: bool = False,
    columns: Sequence[str] | None = None,
) -> str:
    """A row per node while they fit, else the module tree to the depth that fits, what is small in one row, and how to
    see all. ``format``, ``width`` and ``units`` are as for `table`; with ``columns`` of their own, such as bytes, it is
    always the tree, and nothing is taken to be small."""
    if columns is None and len(cost.nodes) <= ROWS_THAT_FIT:
        return table(cost, format=format, width=width, units=units)
    tree = module_tree(cost, with_bytes=columns is not None)
    deepest = depth_that_fits(tree, 0)[1]
    short = gathered(tree, lambda part: _is_small(cost, part)) if columns is None else tree
    depth, _ = depth_that_fits(short, ROWS_THAT_FIT)
    is_wide = depth <= 1  # then the largest are shown, and the others are one row
    if is_wide:
        rows = branch_rows(cost, tree, depth, ROWS_THAT_FIT, chosen=columns)
    else:
        rows = branch_rows(cost, short, depth, chosen=columns)
    modules, nodes = HOW_TO_SEE[on_command_line]
    has_rest = any(row["name"].endswith(" more)") for row in rows)
    is_whole = depth >= deepest and not has_rest
    shown = "All modules are shown" if is_whole else f"Modules are shown to depth {depth} of {deepest}"
    gathers = f", and in one row those that make up less than {SMALL:.0%}" if has_rest and not is_wide else ""
    whole = "" if is_whole else f"{modules} shows all of them, and "
    note = f"{shown}{gathers}; {whole}{nodes} all {len(cost.nodes):,} nodes."
    notes = (note, *legend(cost))
    chosen = shown_columns(cost, "module") if columns is None else columns
    return rendered(rows, "module", chosen, cost.flops, notes, format, width, head(cost), units)


def _is_small(cost: CostedGraph, part: Amount) -> bool:
    """Whether a part of the model is one that few look for."""
    params, flops = (part.counts.params, cost.params), (_flops(cost, part.counts), _flops(cost, cost.counts))
    shares = [some / whole for some, whole in (params, flops) if whole]
    return bool(shares) and max(shares) < SMALL


def _flops(cost: CostedGraph, counts: Counts) -> int:
    """Those of both passes."""
    return cost.convention.read(counts.cost) + (0 if counts.backward is None else cost.convention.read(counts.backward))
