"""The page that says of which models the costs are expressions in their sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from tabulate import tabulate

from tests.symbols.compare import POINTS, Compared

HEAD = """# Models in symbolic sizes

Written by `python -m tests.symbols`: models of the zoo, counted with `dynamic_shapes`, and then at five sizes each, odd
ones and a batch of one among them, by `cost.at` and by a count in numbers. Both are compared field by field, bytes
included, and node by node where the graphs have as many nodes. Of models of timm one in eight is compared in its batch,
and one in twelve in height and width, of torchvision's every second in its batch; a model that needs data to be counted
is left out.
"""


def page(results: Sequence[Compared]) -> str:
    """The whole page."""
    return "\n".join((HEAD, *_summary(results), *_settled(results), *_conditions(results), *_formulas(results)))


def _summary(results: Sequence[Compared]) -> Iterable[str]:
    rows = []
    for family in dict.fromkeys(each.family for each in results):
        for kind in POINTS:
            some = [each for each in results if (each.family, each.kind) == (family, kind)]
            if not some:
                continue
            found = [each for each in some if not each.settled]
            sizes = sum(each.equal for each in found)
            different = sum(bool(each.different) for each in found)
            ratio = f"{median(each.ratio for each in found):.1f}" if found else ""
            rows.append((family, kind, len(some), len(found), sizes, different, len(some) - len(found), ratio))
    header = ("family", "symbols", "models", "in symbols", "equal sizes", "models that differ", "settle a size", "time")
    yield tabulate(rows, header, tablefmt="github", disable_numparse=True)
    yield ""
    names = {(each.family, each.name) for each in results}
    apart = {(each.family, each.name) for each in results if each.settled or each.different or not each.equal}
    yield f"Of {len(names)} models {len(names - apart)} are equal at every size, in each kind of symbols."
    yield ""
    yield "The time is that of a count in symbols, with those that it is checked by, over one in numbers (median)."
    different = [each for each in results if each.different]
    if different:
        yield ""
        yield "## What differs"
        yield ""
        yield from (f"- {each.name}, {each.kind}: {each.different[0]}" for each in different)


def _settled(results: Sequence[Compared]) -> Iterable[str]:
    yield from ("", "## Models that settle a size", "")
    yield "A loop over a size, a size as a key, a value that depends on one, and the like: the error says where."
    rows = [(each.name, each.kind, shortened(each.settled)) for each in results if each.settled]
    yield from ("", *_rows(("model", "symbols", "error"), rows))


def _conditions(results: Sequence[Compared]) -> Iterable[str]:
    rows = [(each.name, each.kind, shortened("; ".join(each.conditions))) for each in results if each.conditions]
    yield from ("", "## Conditions", "", *_rows(("model", "symbols", "the costs hold for"), rows))


def _formulas(results: Sequence[Compared]) -> Iterable[str]:
    rows = [(each.name, each.kind, f"`{shortened(each.macs)}`") for each in results if not each.settled]
    yield from ("", "## Multiply-accumulates", "", *_rows(("model", "symbols", "macs"), rows), "")


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """A table whose columns are not aligned, for its rows are of very different lengths."""
    for row in (header, ["---"] * len(header), *rows):
        yield f"| {' | '.join(each.replace('|', 'or') for each in row)} |"


def shortened(text: str, longest: int = 160) -> str:
    """A text with a sign for what is left out of it."""
    return text if len(text) <= longest else f"{text[:longest]}…"
