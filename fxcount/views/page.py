"""One self-contained page: the picture, the module tree and the operators, under every convention."""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from string import Template

from fxcount.cost import CONVENTIONS, Convention
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counts import Counts
from fxcount.views.folding import lines
from fxcount.views.head import head
from fxcount.views.in_example import in_example
from fxcount.views.legend import legend
from fxcount.views.plot import figure
from fxcount.views.table import share
from fxcount.views.tree import module_tree

OPEN_ROWS = 60
"""The module tree is folded below the deepest level down to which it has about this many rows."""

Cell = str | int | Mapping[str, str]
"""A text, an exact number, or a text for each convention."""


@in_example
def page(cost: CostedGraph) -> str:
    """The page that `GraphCost.to_html` writes; it forbids itself to load anything."""
    conventions = {cost.convention.name: cost.convention, **CONVENTIONS}
    readings = {name: cost.under(convention) for name, convention in conventions.items()}
    figures = {name: json.loads(figure(reading).to_json()) for name, reading in readings.items()}
    template = Template(resources.files("fxcount.views").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=html.escape(f"{cost.modules[''].kind or 'Model'}: what it costs"),
        conventions="".join(_option(convention) for convention in conventions.values()),
        head="".join(f"<p>{html.escape(line)}</p>" for line in head(cost)),
        legends="\n".join(_legend(name, legend(reading)) for name, reading in readings.items()),
        modules=_modules(cost, conventions),
        operators=_operators(cost, conventions),
        plotly=_plotly_script(),
        figures=_script_data(figures),
    )


def _modules(cost: CostedGraph, conventions: Mapping[str, Convention]) -> str:
    """The rows of the module tree in which equal siblings are one; a row's level says how many rows it lies in."""
    tree = list(lines(module_tree(cost)))
    depth = _open_depth([line.level for line in tree])
    rows = []
    for line in tree:
        amount = line.branch.value * line.times
        counts = amount.counts
        cells = (amount.kind, amount.calls or "", counts.params, *_readings(counts, cost, conventions))
        rows.append(
            _row(line.branch.label or "(model)", line.level, cells, bool(line.branch.children), line.level >= depth)
        )
    return _table(("module", "class"), ("calls", "parameters", *_read(cost)), rows)


def _operators(cost: CostedGraph, conventions: Mapping[str, Convention]) -> str:
    rows = [
        _row(name, 0, (operator.calls, *_readings(operator.counts, cost, conventions)))
        for name, operator in cost.by_operator().items()
    ]
    return _table(("operator",), ("calls", *_read(cost)), rows)


def _read(cost: CostedGraph) -> tuple[str, ...]:
    """The headings of what `_readings` returns."""
    return ("MACs", "FLOPs", "share", *(("backward MACs", "backward FLOPs") if cost.has_backward else ()))


def _readings(part: Counts, cost: CostedGraph, conventions: Mapping[str, Convention]) -> tuple[Cell, ...]:
    """MACs, and FLOPs and their share of the model under each convention; those of the backward pass."""
    flops = {name: convention.read(part.cost) for name, convention in conventions.items()}
    shares = {name: share(flops[name], convention.read(cost.total)) for name, convention in conventions.items()}
    cells = (part.cost.macs, _texts(flops), shares)
    if part.backward is None:
        return cells
    backward = {name: convention.read(part.backward) for name, convention in conventions.items()}
    return (*cells, part.backward.macs, _texts(backward))


def _texts(numbers: Mapping[str, int]) -> dict[str, str]:
    return {name: f"{number:,}" for name, number in numbers.items()}


def _open_depth(levels: Sequence[int]) -> int:
    depth = 1
    while depth < max(levels) and sum(level <= depth + 1 for level in levels) <= OPEN_ROWS:
        depth += 1
    return depth


def _table(texts: Iterable[str], numbers: Iterable[str], rows: Iterable[str]) -> str:
    headings = "".join(
        (
            *(f'<th scope="col"><button type="button">{text}</button></th>' for text in texts),
            *(f'<th scope="col" class="number"><button type="button">{text}</button></th>' for text in numbers),
        )
    )
    return "\n".join((f"<thead><tr>{headings}</tr></thead>", "<tbody>", *rows, "</tbody>"))


def _row(name: str, level: int, cells: Iterable[Cell], has_rows: bool = False, folded: bool = False) -> str:
    sign = (
        f'<button type="button" aria-label="fold" aria-expanded="{str(not folded).lower()}"></button>'
        if has_rows
        else '<span class="leaf"></span>'
    )
    first = f'<td style="padding-left: {0.7 + 1.2 * level:.1f}rem">{sign}{html.escape(name)}</td>'
    style = ' class="folded"' if has_rows and folded else ""
    return f'<tr data-level="{level}"{style}>{first}{"".join(map(_cell, cells))}</tr>'


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{html.escape(cell)}</td>"
    if isinstance(cell, int):
        return f'<td class="number">{cell:,}</td>'
    return f'<td class="number" data-texts="{html.escape(json.dumps(cell))}">{next(iter(cell.values()))}</td>'


def _option(convention: Convention) -> str:
    name = html.escape(convention.name)
    return f'<option value="{name}">{name}: {html.escape(convention.meaning)}</option>'


def _legend(name: str, notes: Iterable[str]) -> str:
    paragraphs = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return f'<div data-under="{html.escape(name)}">{paragraphs}</div>'


def _plotly_script() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _script_data(data: object) -> str:
    """``data`` as JSON that cannot end the script element it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
