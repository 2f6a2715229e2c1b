"""Tables in Markdown, for the pages that are written from the code."""

import re
from collections.abc import Iterable


def table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table, a line for each row."""
    cells = [columns, tuple("---" for _ in columns), *rows]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in cells)


def _cell(text: str) -> str:
    """A cell is one line: what a docstring indents keeps its line breaks, the rest flows; a bar is escaped."""
    lines = re.sub(r"\n+( {4})|\n\n", r"<br>", text)
    return " ".join(lines.split()).replace("|", "\\|")
