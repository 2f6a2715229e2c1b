"""Charts as SVG: layers on top of each other, lines, and points, each with a text where the mouse rests."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from math import floor, log10

from fxcount.result.picture import Picture

WIDTH, HEIGHT = 960, 440
LEFT, RIGHT, TOP, BOTTOM = 90, 20, 12, 48

COLOURS = 10
"""The style sheet of the page has so many, from ``--k0`` on."""


@dataclass(frozen=True)
class Axis:
    """An axis from ``low`` to ``high``."""

    label: str
    low: float
    high: float
    text: Callable[[float], str]
    """How its numbers are written."""
    log: bool = False
    unit: float = 1
    """What round numbers are so many of, such as 1,024 bytes."""

    def place(self, value: float) -> float:
        """Where a value lies on it, from 0 to 1."""
        low, high = (log10(self.low), log10(self.high)) if self.log else (self.low, self.high)
        at = log10(value) if self.log else value
        return (at - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[float]:
        """Round numbers on it: powers of ten, or some five steps of 1, 2 or 5."""
        if self.log:
            return [10.0**power for power in range(floor(log10(self.low)) + 1, floor(log10(self.high)) + 1)]
        rough = (self.high - self.low) / 5 / self.unit or 1
        power = 10.0 ** floor(log10(rough))
        step = self.unit * next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
        first = -(-self.low // step)
        found = [step * (first + k) for k in range(int((self.high - step * first) // step) + 1)]
        return [tick for k, tick in enumerate(found) if self.text(tick) not in map(self.text, found[:k])]


@dataclass(frozen=True)
class Point:
    """A circle."""

    x: float
    y: float
    radius: float
    colour: int
    text: str


@dataclass(frozen=True)
class Layers:
    """Values over places, one on top of the other."""

    places: Sequence[float]
    values: Mapping[str, Sequence[float]]
    """By the name of the layer, a value for each place."""
    texts: Sequence[str]
    """What is said of each place."""
    steps: bool = False
    """Whether a value holds until the next place."""


def chart(
    title: str,
    x: Axis,
    y: Axis,
    layers: Layers | None = None,
    lines: Iterable[tuple[str, Sequence[tuple[float, float]]]] = (),
    points: Iterable[Point] = (),
    kinds: Iterable[str] = (),
) -> Picture:
    """A page with the chart; ``lines`` have a text each, ``kinds`` are what the colours of points stand for."""
    drawn = [*_axes(x, y)]
    legend = [*kinds]
    if layers is not None:
        drawn += _areas(x, y, layers)
        legend = [*layers.values]
    drawn += [_line(x, y, text, corners) for text, corners in lines]
    drawn += [_circle(x, y, point) for point in points]
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">{"".join(drawn)}</svg>'
    items = (
        f'<li><span class="swatch" style="background: var(--k{k % COLOURS})"></span>{html.escape(name)}</li>'
        for k, name in enumerate(legend)
    )
    style = resources.files("fxcount.views").joinpath("page.css").read_text(encoding="utf-8")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>{style}</style></head><body>"
        f'<p><b>{html.escape(title)}</b></p><div class="picture chart">{svg}</div>'
        f'<ul class="legend">{"".join(items)}</ul></body></html>\n'
    )
    return Picture(page, title, height=HEIGHT + 180)


def _at(x: Axis, y: Axis, across: float, up: float) -> tuple[float, float]:
    """Where a point lies in the picture."""
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return round(LEFT + wide * x.place(across), 1), round(TOP + high * (1 - y.place(up)), 1)


def _axes(x: Axis, y: Axis) -> Iterator[str]:
    foot = HEIGHT - BOTTOM
    for tick in x.ticks():
        left = _at(x, y, tick, y.low)[0]
        yield f'<path class="grid" d="M{left} {TOP}V{foot}"/>'
        yield f'<text x="{left}" y="{foot + 16}" text-anchor="middle">{html.escape(x.text(tick))}</text>'
    for tick in y.ticks():
        top = _at(x, y, x.low, tick)[1]
        yield f'<path class="grid" d="M{LEFT} {top}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{top + 4}" text-anchor="end">{html.escape(y.text(tick))}</text>'
    yield f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x.label)}</text>'
    turned = f'transform="translate(14 {HEIGHT / 2}) rotate(-90)"'
    yield f'<text text-anchor="middle" {turned}>{html.escape(y.label)}</text>'


def _areas(x: Axis, y: Axis, layers: Layers) -> Iterator[str]:
    """An area for each layer, and over them a strip for each place, which has its text."""
    ends = [*layers.places[1:], x.high]
    below = [0.0] * len(layers.places)
    for k, values in enumerate(layers.values.values()):
        above = [low + value for low, value in zip(below, values, strict=True)]
        around = [*_outline(x, y, layers, ends, above), *reversed(_outline(x, y, layers, ends, below))]
        corners = " ".join(f"{left},{top}" for left, top in around)
        yield f'<polygon points="{corners}" style="fill: var(--k{k % COLOURS})"/>'
        below = above
    edges = [_at(x, y, place, y.low)[0] for place in (*layers.places, x.high)]
    for k, text in enumerate(layers.texts):
        wide = max(edges[k + 1] - edges[k], 1.0)
        yield (
            f'<rect class="strip" x="{edges[k]}" y="{TOP}" width="{wide:.1f}" height="{HEIGHT - TOP - BOTTOM}">'
            f"<title>{html.escape(text)}</title></rect>"
        )


def _outline(
    x: Axis, y: Axis, layers: Layers, ends: Sequence[float], heights: Sequence[float]
) -> list[tuple[float, float]]:
    if not layers.steps:
        return [_at(x, y, place, height) for place, height in zip(layers.places, heights, strict=True)]
    return [
        _at(x, y, place, height)
        for start, end, height in zip(layers.places, ends, heights, strict=True)
        for place in (start, end)
    ]


def _line(x: Axis, y: Axis, text: str, corners: Sequence[tuple[float, float]]) -> str:
    path = " ".join("{},{}".format(*_at(x, y, *each)) for each in corners)
    left, top = _at(x, y, *corners[-1])
    label = f'<text x="{left - 4}" y="{top - 5}" text-anchor="end">{html.escape(text)}</text>'
    return f'<polyline class="roof" points="{path}"><title>{html.escape(text)}</title></polyline>{label}'


def _circle(x: Axis, y: Axis, point: Point) -> str:
    left, top = _at(x, y, point.x, point.y)
    style = f"fill: var(--k{point.colour % COLOURS})"
    return (
        f'<circle class="point" cx="{left}" cy="{top}" r="{point.radius:.1f}" style="{style}">'
        f"<title>{html.escape(point.text)}</title></circle>"
    )
