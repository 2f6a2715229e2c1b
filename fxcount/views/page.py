"""One self-contained page: a picture, the module tree and the operators, under every convention, with explanations."""

from __future__ import annotations

import html
import json
from importlib import resources
from string import Template
from typing import Any

from fxcount.analyses.device import Device
from fxcount.analyses.roofline import calls_at_best
from fxcount.result.costed_graph import CostedGraph
from fxcount.views.compare import check_is_count
from fxcount.views.head import head
from fxcount.views.in_example import with_example
from fxcount.views.page_data import page_data


def page(
    cost: CostedGraph,
    other: CostedGraph | None = None,
    device: Device | None = None,
    by: str = "module",
    measure: str = "flops",
    tables: bool = True,
) -> str:
    """The page that `GraphCost.to_html` writes; it forbids itself to load anything.

    Args:
        other: a count to show beside it.
        device: one whose times at best are shown too.
        by: what the picture is divided into at first: ``module`` or ``operator``.
        measure: what its boxes are as wide as at first.
        tables: whether there are tables under the picture.

    Raises:
        InputError: ``other`` is no count, or there is a device and the costs are expressions in sizes.
    """
    check_is_count(other or cost)
    counted = [with_example(each) for each in (cost, other) if each is not None]
    names = " and ".join(each.modules[""].kind or "a model" for each in counted)
    times = [] if device is None else [calls_at_best(each, device) for each in counted]
    data = {**page_data(counted, times), "start": {"by": by, "measure": measure}, "tables": tables}
    lines = head(counted[0]) if other is None else []
    return Template(_resource("page.html")).substitute(
        title=html.escape(f"{names}: what {'it costs' if other is None else 'they cost'}"),
        head="".join(f'<p class="soft">{html.escape(line)}</p>' for line in lines),
        style=_resource("page.css"),
        script=_resource("page.js"),
        data=_script_data(data),
    )


def _resource(name: str) -> str:
    return resources.files("fxcount.views").joinpath(name).read_text(encoding="utf-8")


def _script_data(data: Any) -> str:
    """``data`` as JSON that cannot end the script element it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
