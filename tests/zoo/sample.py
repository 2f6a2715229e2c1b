"""The part of the zoo that the tests run: something of every kind, and quick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.zoo.entry import Entry

EACH = {"timm": 2, "torchvision": 4, "transformers": 2, "packages": 1}
"""How many of each kind: the first ones."""


def sample(entries: Iterable[Entry]) -> list[Entry]:
    """The first few of every kind."""
    chosen: Counter[tuple[str, str]] = Counter()
    found = []
    for entry in entries:
        chosen[entry.family, entry.kind] += 1
        if chosen[entry.family, entry.kind] <= EACH[entry.family]:
            found.append(entry)
    return found
