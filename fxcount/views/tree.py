"""The module tree: a row per module, equal siblings in one, and a row for what a module does itself."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counts import Counts
from fxcount.result.module_cost import ModuleCost
from fxcount.result.module_paths import parent_of
from fxcount.views.folding import Branch, grow, lines
from fxcount.views.rows import Row

OWN = "(own)"
"""The row of what a module does in its own forward and of the parameters that it holds itself."""


@dataclass(frozen=True)
class Amount:
    """What a row of the tree says of a module, all that it contains included."""

    kind: str
    calls: int
    nodes: int
    counts: Counts

    def __mul__(self, times: int) -> Amount:
        return Amount(self.kind, self.calls * times, self.nodes * times, self.counts * times)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.kind, self.calls + other.calls, self.nodes + other.nodes, self.counts + other.counts)


def module_tree(cost: CostedGraph, root: str = "", with_bytes: bool = False) -> Branch[Amount]:
    """The tree of the module at ``root`` and all inside it. What lies inside a module adds up to it, exactly; of bytes
    too where it is asked for ``with_bytes``."""
    prefix = f"{root}." if root else ""
    modules = {
        path.removeprefix(prefix) if path != root else "": module
        for path, module in cost.by_module().items()
        if path == root or path.startswith(prefix)
    }
    return replace(grow(amounts(modules, with_bytes), is_container), label=root or "(model)")


def amounts(modules: Mapping[str, ModuleCost], with_bytes: bool = False) -> dict[str, Amount]:
    """By path: every module, and under ``(own)`` what those that contain others do and hold themselves, and
    ``with_bytes`` what they only move."""
    found = {path: Amount(module.kind, module.calls, module.nodes, module.counts) for path, module in modules.items()}
    for path in {parent_of(path): None for path in modules if path}:
        own = modules[path].own_counts
        if own.is_something or (with_bytes and own.moves_something):
            found[f"{path}.{OWN}" if path else OWN] = Amount("", 0, 0, own)
    return found


def is_container(amount: Amount) -> bool:
    """Whether a module is never called itself, as an ``nn.ModuleList`` is."""
    return amount.calls == 0


def tree_rows(
    cost: CostedGraph,
    tree: Branch[Amount],
    depth: int | None = None,
    arrange: Callable[[Sequence[Branch[Amount]]], Sequence[Branch[Amount]]] = tuple,
) -> list[Row]:
    """The rows of the tree down to level ``depth``; the names are indented."""
    rows: list[Row] = []
    for branch, level, times in lines(tree, depth, arrange):
        amount = branch.value * times
        rows.append(
            {
                "name": "  " * level + branch.label,
                "kind": amount.kind,
                "calls": amount.calls if amount.kind else None,
                "nodes": amount.nodes if amount.nodes else None,
                **amount.counts.numbers(cost.convention),
            }
        )
    return rows


def together(branches: Sequence[Branch[Amount]]) -> Branch[Amount]:
    """Several branches as one without children, which says how many they are."""
    total = sum((branch.value * branch.times for branch in branches), Amount("", 0, 0, Counts()))
    return Branch(f"({sum(branch.times for branch in branches):,} more)", "", total)


def size_of(branch: Branch[Amount]) -> int:
    """Its macs of both passes, and its parameters: what sorts those with the least of either first."""
    counts = branch.value.counts * branch.times
    return counts.cost.macs + (0 if counts.backward is None else counts.backward.macs) + counts.params


def gathered(tree: Branch[Amount], is_small: Callable[[Amount], bool], times: int = 1) -> Branch[Amount]:
    """The tree with the least of each branch's children as one, as many as are small together; the tree itself if there
    are none. It stands for ``times`` modules."""
    times *= tree.times
    few: list[Branch[Amount]] = []
    for each in sorted(tree.children, key=size_of):
        if not is_small(together([*few, each]).value * times):
            break
        few.append(each)
    few = few if len(few) > 1 else []
    children = tuple(gathered(each, is_small, times) for each in tree.children if each not in few)
    if not few and all(map(operator.is_, children, tree.children)):
        return tree
    return replace(tree, children=(*children, *([together(few)] if few else ())))


def depth_that_fits(tree: Branch[Amount], rows: int) -> tuple[int, int]:
    """The deepest level down to which the tree has at most ``rows`` rows, at least 1, and its deepest level of all."""
    at_level = Counter(line.level for line in lines(tree))
    deepest, depth, shown = max(at_level), 0, at_level[0]
    while depth < deepest and shown + at_level[depth + 1] <= rows:
        depth += 1
        shown += at_level[depth]
    return max(depth, min(1, deepest)), deepest
