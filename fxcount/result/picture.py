"""`Picture`: a page that a notebook shows in place, and that is saved as a file."""

from __future__ import annotations

import html
from dataclasses import dataclass
from os import PathLike
from pathlib import Path


@dataclass(frozen=True, repr=False)
class Picture:
    """A picture. As the last expression of a cell it is shown in the notebook; ``save`` writes it to a file.

    It is a page that is complete in itself: it works without a network and loads nothing.
    """

    page: str
    """The page as HTML."""
    title: str
    """What it shows."""
    height: int = 420
    """How high a notebook shows it, in pixels."""

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the page to an .html file."""
        Path(path).write_text(self.page, encoding="utf-8")

    def __repr__(self) -> str:
        return f"Picture({self.title!r}); save('picture.html') writes it"

    def _repr_html_(self) -> str:
        size = f'width="100%" height="{self.height}" style="border: 0"'
        return f'<iframe title="{html.escape(self.title)}" {size} srcdoc="{html.escape(self.page)}"></iframe>'
