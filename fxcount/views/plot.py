"""A picture of where the cost sits: an interactive icicle or treemap, drawn by plotly."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fxcount.cost import FIELDS
from fxcount.errors import FxcountError, InputError
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counts import BACKWARD_COUNTS, Counts
from fxcount.views.folding import lines
from fxcount.views.table import share
from fxcount.views.tree import module_tree

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Box:
    """A box of the picture, which lies within its parent's."""

    path: str
    parent: str
    label: str
    kind: str
    """What it is one of; boxes of one kind have one colour."""
    amount: int
    """How much it stands for, the boxes in it included."""
    note: str = ""


def figure(cost: CostedGraph, by: str = "module", value: str = "flops", kind: str = "icicle") -> Figure:
    """An interactive picture, a plotly figure: boxes lie in one another as modules do, as large as what they cost.

    Args:
        by: ``module`` or ``operator``.
        value: what makes a box large: ``flops``, ``params`` or ``trainable`` (by module only), a field of `Cost`,
            ``read`` or ``written`` (bytes), or one of these costs of the backward pass, such as ``backward_flops``.
        kind: ``icicle`` or ``treemap``.

    Raises:
        InputError: an argument is none of these.
        FxcountError: plotly is not installed; ``fxcount[plot]`` brings it.
    """
    _check("by", by, BOXES)
    _check("kind", kind, ("icicle", "treemap"))
    costs = ("flops", *FIELDS, "read", "written", *(BACKWARD_COUNTS if cost.has_backward else ()))
    known = costs if by == "operator" else ("params", "trainable", *costs)
    _check(f"value by {by}", value, known)
    traces = plotly_traces()
    boxes = list(BOXES[by](cost, value))
    total, unit = boxes[0].amount, _unit(cost, value)
    shares = [share(box.amount, total) for box in boxes]
    trace = {"icicle": traces.Icicle, "treemap": traces.Treemap}[kind](
        ids=[box.path for box in boxes],
        parents=[box.parent for box in boxes],
        labels=[html.escape(box.label) for box in boxes],
        # plotly adds the boxes up: given totals, it draws nothing where a rounded part exceeds its rounded whole.
        values=_own_amounts(boxes),
        branchvalues="remainder",
        marker={"colors": _colours(boxes)},
        text=shares,
        hovertext=[
            f"<b>{html.escape(_name(box))}</b>{box.note}<br>{box.amount:,} {unit}<br>{part} of the model"
            for box, part in zip(boxes, shares, strict=True)
        ],
        texttemplate="%{label}  %{text}",
        hovertemplate="%{hovertext}<extra></extra>",
        sort=False,
    )
    model = cost.modules[""].kind or "the model"
    layout = {
        "title": {"text": html.escape(f"{model}: {total:,} {unit}, by {by}"), "x": 0.01},
        "margin": {"t": 50, "l": 10, "r": 10, "b": 10},
        "uniformtext": {"minsize": 10, "mode": "hide"},
    }
    return traces.Figure(trace, layout)


ROOT = "."
"""The path of the box of the model itself; to plotly "" is what has no parent."""


def _modules(cost: CostedGraph, value: str) -> Iterator[Box]:
    """The module tree as it is printed: equal siblings are one box, and ``(own)`` is what a module does itself."""
    read = _reader(cost, value)
    around: list[str] = []
    for branch, level, times in lines(module_tree(cost)):
        del around[level:]
        path, parent = branch.path or ROOT, around[-1] if around else ""
        around.append(path)
        amount = branch.value * times
        note = f", {times} in all" if times > branch.times else ""
        yield Box(path, parent, branch.label, amount.kind, read(amount.counts), note)


def _operators(cost: CostedGraph, value: str) -> Iterator[Box]:
    read = _reader(cost, value)
    yield next(_modules(cost, value))
    for name, operator in cost.by_operator().items():
        yield Box(name, ROOT, name, name, read(operator.counts), f", {operator.calls:,} calls")


BOXES: dict[str, Callable[[CostedGraph, str], Iterator[Box]]] = {"module": _modules, "operator": _operators}
"""The ways to divide the model; the first box is the model itself."""


def _reader(cost: CostedGraph, value: str) -> Callable[[Counts], int]:
    """The function that reads ``value`` off counts."""
    return lambda counts: counts.numbers(cost.convention)[value]


def _own_amounts(boxes: Sequence[Box]) -> list[int]:
    """How much of each box lies in none of the boxes in it."""
    own = {box.path: box.amount for box in boxes}
    for box in boxes[1:]:
        own[box.parent] -= box.amount
    return list(own.values())


def _colours(boxes: Sequence[Box]) -> list[str]:
    """A colour for every kind, in turn; grey for the model."""
    kinds = list(dict.fromkeys(box.kind for box in boxes[1:]))
    return ["lightgrey", *(PALETTE[kinds.index(box.kind) % len(PALETTE)] for box in boxes[1:])]


PALETTE = ("#8dd3c7", "#fdb462", "#bebada", "#fb8072", "#80b1d3", "#b3de69", "#fccde5", "#ffed6f", "#bc80bd", "#ccebc5")
"""Colours on which black text can be read: Set3 of ColorBrewer, without its grey and its two faintest."""


def _name(box: Box) -> str:
    return f"{box.label} ({box.kind})" if box.kind not in ("", box.label) else box.label


def _unit(cost: CostedGraph, value: str) -> str:
    name = value.removeprefix("backward_")
    units = {
        "flops": f"FLOPs ({cost.convention.name}: {cost.convention.meaning})",
        "params": "parameters",
        "trainable": "trainable parameters",
        "macs": "MACs",
        "read": "bytes read",
        "written": "bytes written",
    }
    unit = units.get(name, name)
    return unit if name == value else f"backward {unit}"


def _check(argument: str, given: str, known: Iterable[str]) -> None:
    if given not in known:
        raise InputError(f"unknown {argument}: {given!r}; the known ones are {', '.join(known)}")


def plotly_traces() -> Any:
    """The module of plotly that draws.

    Raises:
        FxcountError: it is not installed.
    """
    try:
        import plotly.graph_objects
    except ImportError as error:
        raise FxcountError("a picture needs plotly: pip install 'fxcount[plot]'") from error
    return plotly.graph_objects
