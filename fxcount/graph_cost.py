"""`GraphCost`: the costs that `count_graph` returns, with the views that people read them in."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fxcount.result.communication import Communication
from fxcount.result.costed_graph import CostedGraph
from fxcount.sizes.expressions import written
from fxcount.views.compare import compare
from fxcount.views.explain import explain
from fxcount.views.export import from_json, to_csv, to_dataframe, to_dict, to_json
from fxcount.views.overview import overview
from fxcount.views.table import table
from fxcount.views.terminal import terminal_width

if TYPE_CHECKING:
    from fxcount.analyses.device import Device
    from fxcount.result.picture import Picture
    from fxcount.roofline import Roofline, Rooflines
    from fxcount.tool_count import ToolCount


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

    @property
    def communication(self) -> Communication:
        """The collectives of a model on several ranks, of which one is counted: by axis of the mesh, kind and module,
        how often each runs and what this rank sends; those of the backward pass and of the optimizer's step too, where
        they were asked for."""
        return Communication.of(self.nodes, self.optimizer)

    # The functions of the views, whose first argument is the count.
    table = table
    explain = explain
    compare = compare
    to_dict = to_dict
    to_json = to_json
    to_csv = to_csv
    to_dataframe = to_dataframe

    def plot(self, by: str = "module", value: str = "flops", over: str | None = None) -> Picture:
        """A picture, which a notebook shows: boxes lie in one another as modules do, as wide as what they cost. A click
        on one explains it.

        Args:
            by: ``module`` or ``operator``.
            value: what makes a box wide: ``flops``, ``macs``, ``bytes`` (read and written), one of these of the
                backward pass, such as ``backward_flops``, or ``params``.
            over: a size that is a symbol; the picture is then of the value over that size, the others as in the
                example, in layers: the modules that the model itself calls, or the operators.

        Raises:
            InputError: an argument is none of these.
        """
        from fxcount.views.plot import picture  # not above: few draw a picture

        return picture(self, by, value, over)

    def draw(self, path: str | PathLike[str]) -> None:
        """Draws the graph, every node with its shapes, FLOPs and parameters; for graphs of up to some hundred nodes.

        Args:
            path: the file to write; its ending says how: .svg, .png and .pdf need graphviz, .dot does not.

        Raises:
            InputError: the path has another ending.
            FxcountError: pydot or graphviz is not installed; ``fxcount[draw]`` brings pydot, the system graphviz.
        """
        from fxcount.views.drawing import draw

        draw(self, path)

    def scaling(self) -> str:
        """How the FLOPs grow with each size that is a symbol: in which powers, by which parts, and from which size on
        the part of a higher power is the larger one, the other sizes as in the example."""
        from fxcount.views.scaling import scaling

        return scaling(self)

    def roofline(self, device: str | Device | Sequence[str | Device]) -> Roofline | Rooflines:
        """How long the calls take at best on a device, each no less than its operations at the peak of their dtype and
        than its bytes at the bandwidth; of the backward pass and a step of the optimizer too, where they were counted.

        ``device`` is a `Device`, or the name of one that is known, such as ``H100 SXM``, or several of these.

        Raises:
            InputError: the device is unknown, or the costs are expressions in sizes.
        """
        from fxcount.roofline import roofline  # not above: who only counts need not wait for it

        return roofline(self, device)

    def mfu(self, seconds: float, device: str | Device) -> float:
        """Model FLOPs utilisation: the share of the peak that was reached when a call, with its backward pass if that
        was counted, took so many seconds. What counts are the multiply-accumulates of contractions, two operations
        each, at the peak of their dtype. (Chowdhery et al. 2022, PaLM, appendix B; there as here nothing is counted
        that is computed again, unless the model itself does so.)

        Raises:
            InputError: the device is unknown, the time is not positive, or the costs are expressions in sizes.
        """
        from fxcount.roofline import mfu

        return mfu(self, seconds, device)

    def as_counted_by(self, tool: str) -> ToolCount:
        """What another tool prints for this call, by its own rule: its number, and the difference from ours taken apart
        into operators, to the last integer. Only the forward pass counts.

        ``tool`` is ``fvcore``, ``ptflops``, ``thop``, ``torchinfo``, ``calflops`` or ``torch`` (its
        ``FlopCounterMode``), each as its documentation calls it, with the options that it has by default. Their rules
        and the models on which these were held to them are on the page [Why my number
        differs](other-tools.md).

        Raises:
            InputError: the tool is unknown, the costs are expressions in sizes, or the count does not tell what the
                tool sees, such as a function of the model's that is one node.
            FxcountError: the tool reads the graph, which a count that was restored from JSON does not have.
        """
        from fxcount.tool_count import tool_count  # not above: who only counts need not wait for it

        return tool_count(self, tool)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The count that `to_json` wrote, all but the graph: to ask for ``graph`` is an error.

        Raises:
            FxcountError: the text is not the JSON of a count, or of another version of it.
        """
        return from_json(cls, text)

    def to_html(
        self, path: str | PathLike[str], other: CostedGraph | None = None, device: str | Device | None = None
    ) -> None:
        """Writes one page with the picture, the module tree and the operators, which sorts, searches and explains them,
        under each convention.

        The page is complete in itself: it works without a network and loads nothing.

        Args:
            path: the file to write.
            other: a count to show beside this one, module by module.
            device: one whose time at best is shown too, as `roofline` has it.

        Raises:
            InputError: ``other`` is no count, the device is unknown, or there is one and the costs are expressions in
                sizes.
        """
        from fxcount.analyses.devices import device_named
        from fxcount.views.page import page  # not above: few write a page

        text = page(self, other, None if device is None else device_named(device))
        Path(path).write_text(text, encoding="utf-8")
