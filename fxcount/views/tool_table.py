"""What another tool prints for a count as text: its number, ours, and the difference taken apart."""

from __future__ import annotations

from fxcount.analyses.other_tools import ToolRecord
from fxcount.views.head import head
from fxcount.views.text_table import Column, text_table


def tool_table(count: ToolRecord, format: str = "simple", width: int | None = None) -> str:
    """A row for each operator and each reason for which the tool counts it, the largest differences first; the rows
    add up to both totals.

    Args:
        format: any format of ``tabulate``.
        width: shorten texts to fit this many characters, and leave out columns.

    Raises:
        InputError: there is no such format.
    """
    columns = [
        Column("operator"),
        Column("calls", True, spare=2),
        Column(count.tool, True),
        Column("ours", True, spare=1),
        Column("difference", True),
        Column("why"),
    ]
    rows = [
        [
            part.operator,
            f"{part.calls:,}" if part.operator else "",
            f"{part.theirs:,}",
            f"{part.ours:,}",
            signed(part.difference),
            part.why,
        ]
        for part in count.parts
    ]
    rows.append(["total", "", f"{count.total:,}", f"{count.cost.flops:,}", signed(count.difference), ""])
    convention = count.cost.convention
    notes = [
        f"{count.tool} prints {count.total:,}: {count.unit}. {count.rule}",
        *count.notes,
        f"Ours are {convention.name} ({convention.meaning}).",
    ]
    return text_table(columns, rows, notes, head=head(count.cost), format=format, width=width)


def signed(difference: int) -> str:
    """A difference with its sign.

    >>> signed(1200), signed(-3), signed(0)
    ('+1,200', '-3', '0')
    """
    return f"{difference:+,}" if difference else "0"
