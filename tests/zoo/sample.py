"""The part of the zoo that the tests run: something of every kind, and quick."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.zoo.entry import Entry

OF_EACH_KIND = {"timm": slice(-2, None), "torchvision": slice(2), "transformers": slice(1), "packages": slice(1)}
"""Which of each kind; in timm the names of the small ones (tiny, small) come after those of the large (base, huge)."""


def sample(entries: Iterable[Entry]) -> list[Entry]:
    """A few of every kind."""
    kinds: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        kinds[entry.family, entry.kind].append(entry)
    return [entry for (family, _), some in kinds.items() for entry in some[OF_EACH_KIND[family]]]
