"""`ShownText`: a text that a notebook shows as what it is."""

from __future__ import annotations

import html

LONG = 45
"""More lines than these are shown when one asks for them."""


class ShownText(str):
    """A text, or HTML where it has a ``<table``. As the last expression of a cell it is in columns, scrolls where it is
    wide, and folds its end where it is long."""

    def _repr_html_(self) -> str:
        if "<table" in self:
            return f'<div style="overflow-x: auto">\n{self}\n</div>'
        lines = self.split("\n")
        shown = _block(lines[:LONG])
        if len(lines) <= LONG:
            return shown
        more = f"{len(lines) - LONG:,} more lines"
        return f"{shown}<details><summary>{more}</summary>{_block(lines[LONG:])}</details>"

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        """As IPython asks for it in a terminal."""
        printer.text(str(self))  # type: ignore[attr-defined]  # a printer of IPython


def _block(lines: list[str]) -> str:
    text = html.escape("\n".join(lines))
    return f'<pre style="overflow-x: auto; white-space: pre; line-height: 1.3">{text}</pre>'
