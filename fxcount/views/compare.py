"""Two counts side by side, module by module."""

from collections.abc import Mapping
from dataclasses import dataclass

from fxcount.cost import Convention
from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.module_paths import parent_of
from fxcount.views.folding import Branch, grow, lines
from fxcount.views.head import head
from fxcount.views.in_example import in_example, with_example
from fxcount.views.legend import backward, other_conventions, uncounted
from fxcount.views.text_table import Column, text_table
from fxcount.views.tree import OWN, Amount, amounts, is_container

COLUMNS = (
    Column("module"),
    Column("class", spare=2),
    Column("FLOPs", numeric=True),
    Column("FLOPs of other", numeric=True),
    Column("FLOPs change", numeric=True, spare=1),
    Column("relative", numeric=True),
    Column("params", numeric=True, spare=3),
    Column("params of other", numeric=True, spare=3),
    Column("params change", numeric=True, spare=4),
)

BACKWARD = (Column("backward FLOPs", numeric=True, spare=2), Column("backward FLOPs of other", numeric=True, spare=2))
"""What follows where the backward pass of either was counted."""


@dataclass(frozen=True)
class Pair:
    """What is said of a module here and in the other count; None where it is not there."""

    here: Amount | None
    there: Amount | None

    @property
    def is_in_both(self) -> bool:
        """Whether both counts have the module."""
        return self.here is not None and self.there is not None

    @property
    def differs(self) -> bool:
        """Whether the module is in one count only, or costs or holds something else."""
        if self.here is None or self.there is None:
            return True
        return self.here.counts != self.there.counts

    @property
    def is_container(self) -> bool:
        """Whether the module is never called itself, as an ``nn.ModuleList`` is."""
        return all(is_container(amount) for amount in (self.here, self.there) if amount is not None)

    @property
    def kind(self) -> str:
        """The module's class, both where there are two."""
        return " -> ".join(dict.fromkeys(each.kind for each in (self.here, self.there) if each is not None))


@in_example
def compare(
    cost: CostedGraph, other: CostedGraph, depth: int | None = None, format: str = "simple", width: int | None = None
) -> str:
    """A count beside another one, of another model or of the same on another input, module by module.

    Modules are the same where their paths are; FLOPs of both are read under the convention of the first. What lies
    inside a module is shown down to ``depth``, where it differs. ``format`` and ``width`` are as for `table`.

    Raises:
        InputError: ``other`` is no count, or the format is unknown.
    """
    check_is_count(other)
    other = with_example(other)
    tree = pair_tree(cost, other)
    has_backward = cost.has_backward or other.has_backward
    rows = []
    for branch, level, times in lines(tree, depth):
        flops, params = _counts(branch.value, times, cost.convention)
        if branch.label != OWN or any((*flops, *params)):
            name = "  " * level + (branch.label or "(model)")
            gradients = map(_number, _backward(branch.value, times, cost.convention)) if has_backward else ()
            rows.append((name, branch.value.kind, *_both(*flops), _relative(*flops), *_both(*params), *gradients))
    columns = (*COLUMNS, *BACKWARD) if has_backward else COLUMNS
    above = [f"{name}: {line}" for name, each in {"This": cost, "Other": other}.items() for line in head(each)]
    return text_table(columns, rows, _legend(cost, other), head=above, format=format, width=width)


def check_is_count(other: object) -> None:
    """
    Raises:
        InputError: it is none.
    """
    if not isinstance(other, CostedGraph):
        raise InputError(f"a count is compared with another count, not with {type(other).__name__}")


def pair_tree(cost: CostedGraph, other: CostedGraph) -> Branch[Pair]:
    """The tree of what differs, and of what lies beside it."""
    return grow(opened(pairs_of(cost, other)), lambda pair: pair.is_container)


def pairs_of(cost: CostedGraph, other: CostedGraph) -> dict[str, Pair]:
    """Every module of either count, by its path."""
    here, there = amounts(cost.by_module()), amounts(other.by_module())
    return {path: Pair(here.get(path), there.get(path)) for path in (here | there)}


def opened(pairs: Mapping[str, Pair]) -> dict[str, Pair]:
    """The modules to show: the model, and what lies inside a module that is in both counts and not equal in them."""
    differing: set[str] = set()
    for path, pair in pairs.items():
        if pair.differs:
            around = parent_of(path)
            while around not in differing:
                differing.add(around)
                around = parent_of(around)
    return {
        path: pair
        for path, pair in pairs.items()
        if not path or (parent_of(path) in differing and pairs[parent_of(path)].is_in_both)
    }


Both = tuple[int | None, int | None]
"""A number here and in the other; None where the module is not there."""


def _counts(pair: Pair, times: int, convention: Convention) -> tuple[Both, Both]:
    """The FLOPs and the parameters of so many modules."""
    here, there = (None if amount is None else amount * times for amount in (pair.here, pair.there))
    flops, other_flops = (None if amount is None else convention.read(amount.counts.cost) for amount in (here, there))
    params, other_params = (None if amount is None else amount.counts.params for amount in (here, there))
    return (flops, other_flops), (params, other_params)


def _backward(pair: Pair, times: int, convention: Convention) -> Both:
    """The FLOPs of the backward pass; None also where it was not asked for."""
    costs = (None if amount is None else (amount * times).counts.backward for amount in (pair.here, pair.there))
    here, there = (None if each is None else convention.read(each) for each in costs)
    return here, there


def _both(here: int | None, there: int | None) -> tuple[str, str, str]:
    """Both numbers, a dash where there is none, and the difference."""
    difference = (there or 0) - (here or 0)
    return _number(here), _number(there), f"{difference:+,}" if difference else "0"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _relative(here: int | None, there: int | None) -> str:
    if here is None:
        return "only in other"
    if there is None:
        return "only here"
    if here == there:
        return "0.0%"
    return f"{(there - here) / here:+.1%}" if here else "from 0"


def _legend(cost: CostedGraph, other: CostedGraph) -> list[str]:
    convention = cost.convention
    others = ", ".join(
        f"{each.read(cost.total):,} and {each.read(other.total):,} {each.name} ({each.meaning})"
        for each in other_conventions(convention)
    )
    return [
        "A change is the other's number minus the one here, relative in FLOPs; equal modules are not opened.",
        f"FLOPs here are {convention.name} ({convention.meaning}): {cost.flops:,} here and "
        f"{convention.read(other.total):,} in the other.",
        f"Under the other conventions: {others}.",
        *backward(cost, " here"),
        *backward(other, " of the other"),
        *uncounted(cost, " here"),
        *uncounted(other, " in the other"),
    ]
