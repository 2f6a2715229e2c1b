"""`GraphCost`: the costs that `count_graph` returns, with the views that people read them in."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fxcount.result import CostedGraph
from fxcount.views.compare import compare
from fxcount.views.drawing import draw
from fxcount.views.explain import WIDTH, explain
from fxcount.views.export import from_json, to_csv, to_dataframe, to_dict, to_json
from fxcount.views.notebook import notebook_html
from fxcount.views.page import page
from fxcount.views.plot import figure
from fxcount.views.table import overview, table
from fxcount.views.terminal import terminal_width

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


class GraphCost(CostedGraph):
    """The costs of a model's graph; ``print`` shows them as a table."""

    def __str__(self) -> str:
        return overview(self, width=terminal_width())

    def __repr__(self) -> str:
        return (
            f"GraphCost(flops={self.flops:,} ({self.convention.name}), macs={self.macs:,}, params={self.params:,}, "
            f"{len(self.nodes)} nodes, {self.tracer})"
        )

    def _repr_html_(self) -> str:
        return notebook_html(self)

    def table(
        self,
        by: str = "node",
        depth: int | None = None,
        top: int | None = None,
        sort: str | None = None,
        columns: Sequence[str] | None = None,
        format: str = "simple",
        width: int | None = None,
    ) -> str:
        """The costs as a table of text, its rows adding up to the total, and what its numbers mean.

        Args:
            by: ``node``, ``operator``, or ``module`` for the tree of modules, in which equal siblings are one row, such
                as ``layers.0-31  x32``, and ``(own)`` is what a module does and holds besides its submodules.
            depth: the levels of the module tree to show, 0 for the model alone; None for all.
            top: how many rows to show, in the module tree of each module's children; the rest is added up in one row.
            sort: the column to sort by, numbers from the largest down; None for the order of the graph, or, with
                ``top``, for ``flops``. The module tree sorts each module's children.
            columns: the columns to show; an unknown one lists what there is.
            format: any format of ``tabulate``, such as ``github`` or ``html``.
            width: shorten names and shapes to fit this many characters, and leave out columns, with a sign for all
                that is missing; None for as wide as it is.

        Raises:
            InputError: a view, column or format is unknown, or a number negative.
        """
        return table(self, by, depth, top, sort, columns, format, width)

    def explain(self, name: str) -> str:
        """Why a node or a module costs what it costs, worked out in words and numbers.

        Input and output shapes, the equation of every operator with the numbers put in, the parameters, and what each
        convention reads off the cost; for a module also what lies inside it. ``name`` is that of a node or the path of
        a module, "" for the model itself; where it is both, both are explained.

        Raises:
            InputError: there is no such node or module; the message names close ones.
        """
        return explain(self, name, min(terminal_width() or WIDTH, WIDTH))

    def compare(
        self, other: CostedGraph, depth: int | None = None, format: str = "simple", width: int | None = None
    ) -> str:
        """This count beside another one, of another model or of the same on another input, module by module.

        Modules are the same where their paths are; FLOPs of both are read under the convention of this one. What lies
        inside a module is shown down to ``depth``, where it differs. ``format`` and ``width`` are as for `table`.

        Raises:
            InputError: ``other`` is no count, or the format is unknown.
        """
        return compare(self, other, depth, format, width)

    def to_dict(self) -> dict[str, Any]:
        """The count in plain dicts, lists, texts and exact integers: totals, nodes, modules, operators.

        ``schema`` is the version of the keys, which keep their names. The rows are those of `to_csv`; each node also
        has the operators that it reached, with their equations and the quantities put into them.
        """
        return to_dict(self)

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON; `from_json` reads it."""
        return to_json(self, indent)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The count that `to_json` wrote, all but the graph: to ask for ``graph`` is an error.

        Raises:
            FxcountError: the text is not the JSON of a count, or of another version of it.
        """
        return from_json(cls, text)

    def to_csv(self, by: str = "node") -> str:
        """The rows by ``node``, ``module`` or ``operator`` as CSV, with a header.

        The counts of nodes and of operators add up to the total, and so do the columns ``own_...`` of modules, whose
        other counts include all that a module contains. ``convention`` says how ``flops`` is read.

        Raises:
            InputError: there is no such view.
        """
        return to_csv(self, by)

    def to_dataframe(self, by: str = "node") -> Any:
        """The rows of `to_csv` as a ``pandas.DataFrame``; shapes are tuples.

        Raises:
            FxcountError: pandas is not installed.
            InputError: there is no such view.
        """
        return to_dataframe(self, by)

    def plot(self, by: str = "module", value: str = "flops", kind: str = "icicle") -> Figure:
        """An interactive picture, a plotly figure: boxes lie in one another as modules do, as large as what they cost.

        Args:
            by: ``module`` or ``operator``.
            value: what makes a box large: ``flops``, ``params`` (by module only), or a field of `Cost`.
            kind: ``icicle`` or ``treemap``.

        Raises:
            InputError: an argument is none of these.
            FxcountError: plotly is not installed; ``fxcount[plot]`` brings it.
        """
        return figure(self, by, value, kind)

    def to_html(self, path: str | PathLike[str]) -> None:
        """Writes one page with the picture, the module tree and the operators, which sorts them, under each convention.

        The page is complete in itself: it works without a network and loads nothing.

        Raises:
            FxcountError: plotly is not installed; ``fxcount[plot]`` brings it.
        """
        Path(path).write_text(page(self), encoding="utf-8")

    def draw(self, path: str | PathLike[str]) -> None:
        """Draws the graph, every node with its shapes, FLOPs and parameters; for graphs of up to some hundred nodes.

        Args:
            path: the file to write; its ending says how: .svg, .png and .pdf need graphviz, .dot does not.

        Raises:
            InputError: the path has another ending.
            FxcountError: pydot or graphviz is not installed; ``fxcount[draw]`` brings pydot, the system graphviz.
        """
        draw(self, path)
