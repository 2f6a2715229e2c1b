"""A tree of modules in which equal siblings are one branch: thirty-two equal layers are ``layers.0-31  x32``."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

from fxcount.result.module_paths import depth_of, parent_of

T = TypeVar("T", bound=Hashable)

FOLDED = re.compile(r"  x\d+$")
"""What ends the label of several equal modules."""


@dataclass(frozen=True)
class Branch(Generic[T]):
    """A module with what lies inside it, or several equal modules."""

    label: str
    """The module's name in the module around it; of equal modules, ``0-31  x32``."""
    path: str
    """The path of the module, of the first one if there are several."""
    value: T
    """What is said of one of them."""
    children: tuple[Branch[T], ...] = ()
    times: int = 1
    """How many equal modules there are."""
    shape: int = -1
    """The same number for branches of equal values and equal children."""


def grow(values: Mapping[str, T], joins: Callable[[T], bool]) -> Branch[T]:
    """The tree of what ``values`` says of the module at each path, "" included.

    Siblings with consecutive numbers and equal values, down to their leaves, are folded. A module that ``joins`` and
    has one branch inside shares its row: ``layers`` and ``0-31`` become ``layers.0-31``.
    """
    inside: dict[str, list[str]] = {path: [] for path in values}
    for path in values:
        if path:
            inside[parent_of(path)].append(path)
    shapes: dict[Hashable, int] = {}
    grown: dict[str, Branch[T]] = {}
    for path in sorted(values, key=depth_of, reverse=True):
        label, value = path.rpartition(".")[2], values[path]
        children = tuple(_fold([grown.pop(child) for child in inside[path]]))
        if path and len(children) == 1 and joins(value):
            child = children[0]
            key: Hashable = ("joined", child.label, child.shape, child.times)
            branch = Branch(f"{label}.{child.label}", child.path, child.value, child.children, child.times)
        else:
            key = (value, tuple((child.label, child.shape, child.times) for child in children))
            branch = Branch(label, path, value, children)
        grown[path] = replace(branch, shape=shapes.setdefault(key, len(shapes)))
    return grown[""]


def _fold(siblings: Sequence[Branch[T]]) -> Iterator[Branch[T]]:
    """The siblings, those in a row that are equal and numbered consecutively as one."""
    start = 0
    while start < len(siblings):
        first, end = siblings[start], start + 1
        while end < len(siblings) and _continues(first, siblings[end], end - start):
            end += 1
        if end - start == 1:
            yield first
        else:
            last = _numbered(siblings[end - 1].label)[1]
            label = f"{first.label}-{last}  x{end - start}"
            yield Branch(label, first.path, first.value, first.children, end - start, first.shape)
        start = end


def _continues(first: Branch[T], other: Branch[T], distance: int) -> bool:
    if first.shape != other.shape or first.times != 1 or other.times != 1:
        return False
    (stem, number), (other_stem, other_number) = _numbered(first.label), _numbered(other.label)
    return number is not None and stem == other_stem and other_number == number + distance


def _numbered(label: str) -> tuple[str, int | None]:
    """A name's stem and the number at its end: ``layer`` and 3 for ``layer3``."""
    match = re.fullmatch(r"(.*?)(\d+)", label)
    return (match[1], int(match[2])) if match else (label, None)


class Line(NamedTuple, Generic[T]):
    """A branch where it stands in a tree that is read from top to bottom."""

    branch: Branch[T]
    level: int
    """How many branches lie around it."""
    times: int
    """How many modules it stands for: as many as it folds, times those that the branches around it fold."""


def lines(
    tree: Branch[T], depth: int | None = None, arrange: Callable[[Sequence[Branch[T]]], Sequence[Branch[T]]] = tuple
) -> Iterator[Line[T]]:
    """Every branch down to level ``depth``, each before what lies inside it; ``arrange`` orders or selects siblings."""
    waiting = [Line(tree, 0, tree.times)]
    while waiting:
        line = waiting.pop()
        yield line
        if depth is None or line.level < depth:
            for child in reversed(arrange(line.branch.children)):
                waiting.append(Line(child, line.level + 1, line.times * child.times))
