"""What a table, an explanation or a page is of: the model, its input, the mode, the tracer and the versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fxcount.result.costed_graph import CostedGraph
from fxcount.result.counted_call import CountedCall
from fxcount.result.node_cost import Shape

AT_MOST = 4
"""So many inputs are named."""


def head(cost: CostedGraph) -> list[str]:
    """A line on what was counted; none of a count that an earlier version has saved."""
    if cost.call is None:
        return []
    given = [
        f"{node.target} {shapes_text(node.output_shapes)} {cost.call.dtypes[node.name]}"
        for node in cost.nodes
        if node.name in cost.call.dtypes
    ]
    return [line_of(cost.call, given, f"Tracer: {cost.tracer}")]


def line_of(call: CountedCall, given: Sequence[str], how: str) -> str:
    """The line, with the inputs that were ``given`` and ``how`` it was counted."""
    mode = (f", {call.mode} mode" if call.mode else "") + (f", one rank of {call.mesh}" if call.mesh else "")
    more = f" and {len(given) - AT_MOST:,} more" if len(given) > AT_MOST else ""
    chosen = " (by default)" if call.is_default else ""
    inputs = f"Input: {', '.join(given[:AT_MOST])}{more}{chosen}." if given else "No input."
    versions = ", ".join(f"{name} {version}" for name, version in call.versions.items())
    return f"{call.model}{mode}. {inputs} {how}; {versions}."


def shapes_text(shapes: Iterable[Shape]) -> str:
    """Shapes as people write them: ``[1, 3, 224, 224], [8]``."""
    return ", ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)
