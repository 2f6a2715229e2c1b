"""Dotted paths of modules: what lies around what, and which module a parameter belongs to."""

from collections.abc import Container, Iterable

from fxcount.result.node_cost import NodeCost


def parent_of(path: str) -> str:
    """The path of the module around; that of a top-level module is "", the model itself."""
    return path.rpartition(".")[0]


def depth_of(path: str) -> int:
    """How many modules lie around the one at ``path``: 0 for the model itself."""
    return path.count(".") + 1 if path else 0


def leaf_paths(nodes: Iterable[NodeCost]) -> set[str]:
    """The paths of the modules that are one node."""
    return {node.target for node in nodes if node.op == "call_module"}


def holder_of(parameter: str, leaves: Container[str]) -> str:
    """The path of the module that a parameter belongs to: the leaf that it lies in, or else the module that has it."""
    path = holder = parent_of(parameter)
    while path and path not in leaves:
        path = parent_of(path)
    return path or holder
