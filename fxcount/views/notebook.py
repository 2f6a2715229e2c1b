"""What a notebook shows of a count: the same table as ``print``, in HTML."""

from fxcount.result.costed_graph import CostedGraph
from fxcount.views.table import overview


def notebook_html(cost: CostedGraph) -> str:
    """The table as HTML; where the page is narrow, it scrolls, and nothing is cut."""
    return f'<div style="overflow-x: auto">\n{overview(cost, format="html")}\n</div>'
