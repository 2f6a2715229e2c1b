"""The graph itself as a drawing, by `torch.fx`'s own drawer, with what each node costs."""

from os import PathLike, fspath
from pathlib import Path
from typing import Any

from fxcount._torch import METHOD_OF_LABEL
from fxcount.errors import FxcountError, InputError
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.node_cost import NodeCost
from fxcount.views.head import shapes_text
from fxcount.views.in_example import in_example

FORMATS = ("svg", "png", "pdf", "dot")


@in_example
def draw(cost: CostedGraph, path: str | PathLike[str]) -> None:
    """What `GraphCost.draw` describes."""
    ending = Path(path).suffix.removeprefix(".")
    if ending not in FORMATS:
        raise InputError(f"a drawing is a file that ends in .{', .'.join(FORMATS)}, not {fspath(path)!r}")
    drawing = dot_graph(cost)
    if ending == "dot":
        Path(path).write_text(drawing.to_string(), encoding="utf-8")
        return
    try:
        picture = drawing.create(format=ending)
    except FileNotFoundError as error:
        raise FxcountError(f"a .{ending} is drawn by graphviz's dot: install graphviz, or write a .dot") from error
    Path(path).write_bytes(picture)


def dot_graph(cost: CostedGraph) -> Any:
    """The drawing as a ``pydot.Dot``."""
    try:
        import pydot  # noqa: F401
    except ImportError as error:
        raise FxcountError("a drawing needs pydot: pip install 'fxcount[draw]', and graphviz") from error
    from torch.fx.passes.graph_drawer import FxGraphDrawer

    labels = {node.name: _label(node, cost) for node in cost.nodes}

    def label(drawer: Any, module: Any, node: Any, *options: Any) -> str:
        """The costs, where the drawer writes the arguments."""
        return labels.get(node.name, str(node.name))

    drawer: Any = type("CostDrawer", (FxGraphDrawer,), {METHOD_OF_LABEL: label})
    drawing = drawer(cost.graph, "model", ignore_parameters_and_buffers=True).get_dot_graph()
    for box in drawing.get_nodes():
        if box.get_name() in WORDS_OF_DOT:
            box.set_name(f'"{box.get_name()}"')
    drawing.set("label", _escaped(_title(cost)))
    drawing.set("labelloc", "t")
    return drawing


WORDS_OF_DOT = ("node", "edge", "graph", "digraph", "subgraph", "strict")
"""Names that mean something else to dot unless they are quoted."""


def _title(cost: CostedGraph) -> str:
    meaning = f"{cost.convention.name}: {cost.convention.meaning}"
    return f"{cost.modules[''].kind or 'model'}: {cost.flops:,} FLOPs ({meaning}), {cost.params:,} parameters"


def _label(node: NodeCost, cost: CostedGraph) -> str:
    """A record of the node's name, what it calls, the shape that comes out, and the costs that it has."""
    what = node.target if node.op in ("call_function", "call_method") else node.op
    if node.op == "call_module":
        what = cost.modules[node.owner].kind
    fields = [node.name, *([what] if what != node.name else []), shapes_text(node.output_shapes)]
    if node.flops:
        fields.append(f"{node.flops:,} FLOPs")
    if node.params:
        fields.append(f"{node.params:,} parameters")
    return f'"{{{"|".join(_escaped(field) for field in fields if field)}}}"'


def _escaped(text: str) -> str:
    """``text`` as it stands: in the label of a record, some characters draw lines."""
    return "".join(f"\\{character}" if character in '{}|<>"\\' else character for character in text)
