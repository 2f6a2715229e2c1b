"""The part of the zoo that the tests run: something of every kind, and quick."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.zoo.entry import Entry

OF_EACH_KIND = {"timm": slice(-2, None), "torchvision": slice(2), "transformers": slice(1), "packages": slice(1)}
"""Which of each kind; in timm the names of the small ones (tiny, small) come after those of the large (base, huge)."""


def sample(entries: Iterable[Entry]) -> list[Entry]:
    """A few of every kind, one of every third."""
    kinds: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        kinds[entry.family, entry.kind].append(entry)
    chosen = [some[OF_EACH_KIND[family]] for (family, _), some in kinds.items()]
    return [entry for number, some in enumerate(chosen) for entry in (some if number % 3 else some[-1:])]
