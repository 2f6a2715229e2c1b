"""The libraries whose models are in the zoo."""

from __future__ import annotations

import functools
import importlib

from tests.zoo.entry import Entry

FAMILIES = ("timm", "torchvision", "transformers")


@functools.cache
def entries_of(family: str) -> dict[str, Entry]:
    """Every entry of a family by its name; imports the library."""
    return {entry.name: entry for entry in importlib.import_module(f"tests.zoo.{family}_models").entries()}
