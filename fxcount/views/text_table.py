"""A table as text, in any format of tabulate and in a given width, with a sign wherever something is left out."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from fxcount.errors import InputError
from fxcount.views.shown_text import ShownText
from fxcount.views.terminal import printable, shorten

COLLAPSES_SPACES = ("github", "pipe", "html", "unsafehtml")
"""Formats that are shown with runs of spaces as one, so that an indentation needs another character."""


@dataclass(frozen=True)
class Column:
    """A column of a text table."""

    header: str
    numeric: bool = False
    """Flush right, and never shortened."""
    spare: int = 0
    """Left out where the width is too small, those with the largest number first; 0 is never left out."""


def text_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    *,
    head: Sequence[str] = (),
    format: str = "simple",
    width: int | None = None,
) -> ShownText:
    """The table, above it what it is of, and under it what its numbers mean.

    Long texts are shortened to fit ``width``, then spare columns are left out and named in a note; a number is always
    whole, so that a table of numbers alone may be wider.

    Raises:
        InputError: tabulate has no such format.
    """
    from tabulate import tabulate_formats  # not above: who only counts need not wait for it

    if format not in tabulate_formats:
        raise InputError(f"unknown format {format!r}; the known ones are {', '.join(tabulate_formats)}")
    kept = list(range(len(columns)))
    left_out: list[str] = []
    while True:
        chosen, cells = [columns[k] for k in kept], [[row[k] for k in kept] for row in rows]
        text, fits = _fitted(chosen, cells, format, width)
        spare = max((column.spare for column in chosen), default=0)
        fewer = [k for k in kept if columns[k].spare < spare]
        if fits or not fewer:
            break
        kept = fewer
        left_out += [column.header for column in chosen if column.spare == spare]
    if left_out:
        notes = [*notes, f"Left out to fit {width} columns: {', '.join(left_out)}."]
    return ShownText("\n".join((*_above(head, format, width), text, *_noted(notes, format, width))))


def fits(columns: Sequence[Column], rows: Sequence[Sequence[str]], format: str, width: int) -> bool:
    """Whether a table needs to leave no column out; texts may be shortened."""
    return _fitted(columns, rows, format, width)[1]


def whole_width(columns: Sequence[Column], rows: Sequence[Sequence[str]], format: str) -> int:
    """How wide a table is of which nothing is shortened."""
    return _width(_render(columns, rows, format))


def _fitted(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], format: str, width: int | None
) -> tuple[str, bool]:
    """The table with its texts shortened as far as is reasonable, and whether it fits the width."""
    text = _render(columns, rows, format)
    if width is None or (excess := _width(text) - width) <= 0:
        return text, True
    texts = [k for k, column in enumerate(columns) if not column.numeric]
    widths = {k: max(len(row[k]) for row in rows) for k in texts} if rows else {}
    limit = max(widths.values(), default=0)
    while excess > 0 and limit > SHORTEST:
        limit -= 1
        excess -= sum(width > limit for width in widths.values())
    shortened = [[_shortened(cell, limit) if k in texts else cell for k, cell in enumerate(row)] for row in rows]
    text = _render(columns, shortened, format)
    return text, _width(text) <= width


SHORTEST = 20
"""A text is not shortened to less than this; a whole column is left out before."""


def _render(columns: Sequence[Column], rows: Sequence[Sequence[str]], format: str) -> str:
    from tabulate import tabulate

    if format in COLLAPSES_SPACES:
        rows = [[_kept_indentation(cell) for cell in row] for row in rows]
    return tabulate(
        rows,
        [column.header for column in columns],
        tablefmt=format,
        colalign=["right" if column.numeric else "left" for column in columns] if rows else None,
        disable_numparse=True,
        preserve_whitespace=True,
    )


def _shortened(cell: str, width: int) -> str:
    text = cell.lstrip(" ")
    indentation = len(cell) - len(text)
    return " " * indentation + shorten(text, width - indentation)


def _kept_indentation(cell: str) -> str:
    text = cell.lstrip(" ")
    return printable("\u00a0", " ") * (len(cell) - len(text)) + text


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def _above(head: Sequence[str], format: str, width: int | None) -> list[str]:
    """The lines above a table."""
    lines = _noted(head, format, width)
    return lines if not lines or lines[0] else [*lines[1:], ""]


def _noted(notes: Sequence[str], format: str, width: int | None) -> list[str]:
    """The lines under a table."""
    if not notes:
        return []
    if format in ("html", "unsafehtml"):
        return [f"<p>{html.escape(note)}</p>" for note in notes]
    return ["", *(line for note in notes for line in (textwrap.wrap(note, width) if width else [note]))]
