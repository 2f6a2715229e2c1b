"""What a script computes beside the dispatcher, where no counter sees it."""

import re
from collections.abc import Iterator
from typing import Any

import torch

from fxcount.cost import Cost, OperatorCost

_COMPUTES = re.compile(r"prim::\w+\(Tensor.*\) -> Tensor(\(\w+!\))?")
"""The schema of an operation of the namespace ``prim`` that makes a tensor of others, or writes to one. There are no
operators of the dispatcher in it, but constants, containers, control flow and questions, and what an optimiser has put
in the place of operators, such as ``prim::mkldnn_convolution``."""

_CALLS_AN_OPERATOR = "prim::abs"
"""The one of them that a script itself has, for Python's ``abs``."""


def beside_the_dispatcher(script: torch.jit.ScriptModule) -> tuple[OperatorCost, ...]:
    """A call that is not counted for each place in the code of ``script`` where it computes and calls no operator."""
    graph = script.inlined_graph
    return tuple(
        OperatorCost(node.kind().replace("::", "."), Cost(), uncounted="a script computes it beside the dispatcher")
        for node in nodes_of(graph)
        if node.kind().endswith("Group")  # several operators fused, as prim::FusionGroup
        or (_COMPUTES.fullmatch(node.schema()) and node.kind() != _CALLS_AN_OPERATOR)
    )


def nodes_of(block: Any) -> Iterator[Any]:
    """The nodes of a block and of all blocks inside it."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from nodes_of(inner)
