"""`ToolCount`: what another tool prints for a count, with the table that people read it in."""

from __future__ import annotations

from typing import Any

from fxcount.analyses.other_tools import ToolRecord, counted_by
from fxcount.result.costed_graph import CostedGraph
from fxcount.views.terminal import terminal_width
from fxcount.views.tool_table import tool_table


class ToolCount(ToolRecord):
    """What another tool prints for a count; ``int`` gives its number, and ``print`` shows the difference from ours,
    taken apart into operators."""

    def __str__(self) -> str:
        return tool_table(self, width=terminal_width())

    def __repr__(self) -> str:
        return f"ToolCount({self.tool}: {self.total:,} {self.unit})"

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto">\n{tool_table(self, format="html")}\n</div>'

    table = tool_table  # the function of the view, whose first argument is the record

    def to_dict(self) -> dict[str, Any]:
        """All numbers, exactly."""
        return {
            "schema": 1,
            "tool": self.tool,
            "unit": self.unit,
            "total": self.total,
            "ours": self.cost.flops,
            "difference": self.difference,
            "parts": [{**vars(part), "difference": part.difference} for part in self.parts],
            "notes": list(self.notes),
        }


def tool_count(cost: CostedGraph, tool: str) -> ToolCount:
    """What `GraphCost.as_counted_by` describes."""
    return ToolCount(**vars(counted_by(cost, tool)))
