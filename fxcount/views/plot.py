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
from fxcount.sizes.example_numbers import expression_of
from fxcount.sizes.expressions import put_in
from fxcount.views.folding import lines
from fxcount.views.in_example import with_example
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


def figure(
    cost: CostedGraph, by: str = "module", value: str = "flops", kind: str = "icicle", over: str | None = None
) -> Figure:
    """What `GraphCost.plot` describes."""
    _check("by", by, BOXES)
    _check("kind", kind, ("icicle", "treemap"))
    if over is not None:
        _check("size", over, cost.sizes)
    shown = with_example(cost)
    _check_value(shown, by, value)
    return _boxes(shown, by, value, kind) if over is None else _layers(shown, by, value, over)


def _check_value(cost: CostedGraph, by: str, value: str) -> None:
    costs = ("flops", *FIELDS, "read", "written", *(BACKWARD_COUNTS if cost.has_backward else ()))
    known = costs if by == "operator" else ("params", "trainable", *costs)
    _check(f"value by {by}", value, known)


def _boxes(cost: CostedGraph, by: str, value: str, kind: str) -> Figure:
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


POINTS = 60
"""A value is drawn at about so many sizes."""


def _layers(cost: CostedGraph, by: str, value: str, over: str) -> Figure:
    """The value over a size, those of the boxes in the model's own one on top of the other."""
    traces = plotly_traces()
    whole, *boxes = BOXES[by](cost, value)
    inside = [box for box in boxes if box.parent == whole.path]
    last = min(4 * max(cost.sizes[over], 16), *(largest for largest in _largest(cost, over)), 2**31)
    places = sorted({1 + round(point * (last - 1) / POINTS) for point in range(POINTS + 1)})
    places = [
        each for each in places if all(condition.holds({**cost.sizes, over: each}) for condition in cost.conditions)
    ]
    colours = _colours([whole, *inside])[1:]
    layers = [
        traces.Scatter(
            x=places,
            y=[put_in(expression_of(box.amount), {**cost.sizes, over: place}) for place in places],
            name=html.escape(box.label),
            stackgroup="all",
            mode="lines",
            line={"color": colour},
        )
        for box, colour in zip(inside or [whole], colours or ["lightgrey"], strict=True)
    ]
    others = ", ".join(f"{name}={size}" for name, size in cost.sizes.items() if name != over)
    model, unit = cost.modules[""].kind or "the model", _unit(cost, value)
    title = html.escape(f"{model}: {unit} over {over}{f', at {others}' if others else ''}")
    layout = {
        "title": {"text": title, "x": 0.01},
        "xaxis": {"title": {"text": over}},
        "yaxis": {"title": {"text": unit}},
    }
    return traces.Figure(layers, layout)


def _largest(cost: CostedGraph, name: str) -> Iterator[int]:
    """The largest sizes for which conditions hold."""
    for condition in cost.conditions:
        if condition.most is not None and condition.names == {name}:
            yield condition.most


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
    return [*map(int, own.values())]


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
