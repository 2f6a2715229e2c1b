"""`GraphCost`: the costs that `count_graph` returns, with the views that people read them in."""

from os import PathLike
from pathlib import Path
from typing import Self

from fxcount.result.costed_graph import CostedGraph
from fxcount.roofline import mfu, roofline
from fxcount.sizes.expressions import written
from fxcount.views.compare import compare
from fxcount.views.drawing import draw
from fxcount.views.explain import explain
from fxcount.views.export import from_json, to_csv, to_dataframe, to_dict, to_json
from fxcount.views.page import page
from fxcount.views.plot import figure
from fxcount.views.scaling import scaling
from fxcount.views.table import overview, table
from fxcount.views.terminal import terminal_width


class GraphCost(CostedGraph):
    """The costs of a model's graph; ``print`` shows them as a table."""

    def __str__(self) -> str:
        return overview(self, width=terminal_width())

    def __repr__(self) -> str:
        return (
            f"GraphCost(flops={written(self.flops)} ({self.convention.name}), macs={written(self.macs)}, "
            f"params={self.params:,}, "
            f"{len(self.nodes)} nodes, {self.tracer})"
        )

    def _repr_html_(self) -> str:  # where a notebook is narrow the table scrolls, and nothing is cut
        return f'<div style="overflow-x: auto">\n{overview(self, format="html")}\n</div>'

    # The functions of the views, whose first argument is the count.
    table = table
    explain = explain
    compare = compare
    to_dict = to_dict
    to_json = to_json
    to_csv = to_csv
    to_dataframe = to_dataframe
    plot = figure
    draw = draw
    scaling = scaling
    roofline = roofline
    mfu = mfu

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The count that `to_json` wrote, all but the graph: to ask for ``graph`` is an error.

        Raises:
            FxcountError: the text is not the JSON of a count, or of another version of it.
        """
        return from_json(cls, text)

    def to_html(self, path: str | PathLike[str]) -> None:
        """Writes one page with the picture, the module tree and the operators, which sorts them, under each convention.

        The page is complete in itself: it works without a network and loads nothing.

        Raises:
            FxcountError: plotly is not installed; ``fxcount[plot]`` brings it.
        """
        Path(path).write_text(page(self), encoding="utf-8")
