"""A picture of where the cost sits: boxes that lie in one another as modules do, or layers over a size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counts import Counts
from fxcount.result.picture import Picture
from fxcount.sizes.example_numbers import expression_of
from fxcount.sizes.expressions import put_in
from fxcount.views.chart import Axis, Layers, chart
from fxcount.views.in_example import with_example
from fxcount.views.page import page
from fxcount.views.units import count_text

VALUES = ("flops", "macs", "bytes")
"""What is read of a forward pass, and with ``backward_`` before it of a backward pass."""


def picture(cost: CostedGraph, by: str = "module", value: str = "flops", over: str | None = None) -> Picture:
    """What `GraphCost.plot` describes."""
    _check("by", by, ("module", "operator"))
    backward = [f"backward_{name}" for name in VALUES] if cost.has_backward else []
    _check("value", value, (*VALUES, *backward, "params"))
    if over is None:
        title = f"{cost.modules[''].kind or 'the model'}: {value} by {by}"
        return Picture(page(cost, by=by, measure=value, tables=False), title, height=560)
    _check("size", over, cost.sizes)
    return _layers(with_example(cost), by, value, over)


def _check(argument: str, given: str, known: Iterable[str]) -> None:
    if given not in known:
        raise InputError(f"unknown {argument}: {given!r}; the known ones are {', '.join(known) or 'none'}")


POINTS = 60
"""A value is drawn at about so many sizes."""


def _layers(cost: CostedGraph, by: str, value: str, over: str) -> Picture:
    """The value over a size, that of the modules in the model's own one, or of operators, on top of each other."""
    read = _reader(cost, value)
    amounts = {name: read(counts) for name, counts in _parts(cost, by)}
    last = min(4 * max(cost.sizes[over], 16), *_largest(cost, over), 2**31)
    places = sorted({1 + round(point * (last - 1) / POINTS) for point in range(POINTS + 1)})
    places = [
        each for each in places if all(condition.holds({**cost.sizes, over: each}) for condition in cost.conditions)
    ]
    values = {
        name: [int(put_in(expression_of(amount), {**cost.sizes, over: place})) for place in places]
        for name, amount in amounts.items()
    }
    values = {name: each for name, each in values.items() if any(each)}
    sums = [sum(column) for column in zip(*values.values(), strict=True)] or [0] * len(places)
    others = ", ".join(f"{name}={size}" for name, size in cost.sizes.items() if name != over)
    unit = _unit(cost, value)
    title = f"{cost.modules[''].kind or 'the model'}: {unit} over {over}{f', at {others}' if others else ''}"
    texts = [
        f"{over}={place}: {total:,} {unit}"
        + "".join(f"\n{name} {each[k]:,}" for name, each in reversed(values.items()) if each[k])
        for k, (place, total) in enumerate(zip(places, sums, strict=True))
    ]
    x = Axis(over, places[0], places[-1], lambda number: f"{number:,.0f}")
    y = Axis(unit, 0, max(*sums, 1), lambda number: count_text(round(number)))
    return chart(title, x, y, Layers(places, values, texts))


def _parts(cost: CostedGraph, by: str) -> Iterator[tuple[str, Counts]]:
    """The operators, or the modules that the model itself has, and what it does itself."""
    if by == "operator":
        yield from ((name, operator.counts) for name, operator in cost.by_operator().items())
        return
    modules = cost.by_module()
    yield from ((path, module.counts) for path, module in modules.items() if path and "." not in path)
    yield "(own)", modules[""].own_counts


def _largest(cost: CostedGraph, name: str) -> Iterator[int]:
    """The largest sizes for which conditions hold."""
    for condition in cost.conditions:
        if condition.most is not None and condition.names == {name}:
            yield condition.most


def _reader(cost: CostedGraph, value: str) -> Callable[[Counts], int]:
    """The function that reads ``value`` off counts."""

    def read(counts: Counts) -> int:
        numbers = counts.numbers(cost.convention)
        if value.endswith("bytes"):
            before = value.removesuffix("bytes")
            return numbers[f"{before}read"] + numbers[f"{before}written"]
        return numbers[value]

    return read


def _unit(cost: CostedGraph, value: str) -> str:
    name = value.removeprefix("backward_")
    units = {
        "flops": f"FLOPs ({cost.convention.name}: {cost.convention.meaning})",
        "params": "parameters",
        "macs": "MACs",
        "bytes": "bytes",
    }
    return units[name] if name == value else f"backward {units[name]}"
