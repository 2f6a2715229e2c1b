"""`NewNodes`: makes the nodes of a graph, without the work of `torch.fx` for each node that a trace has no use for."""

from collections.abc import Mapping
from typing import Any

from torch import fx
from torch.fx.immutable_collections import immutable_dict

from fxcount._torch import insert_node, set_namespace
from fxcount.tracing.node_names import NodeNames

_NO_KWARGS: dict[str, Any] = immutable_dict()


class NewNodes:
    """Adds nodes to the end of ``graph``."""

    def __init__(self, graph: fx.Graph) -> None:
        self.graph = graph
        self._names = NodeNames(graph)
        set_namespace(graph, self._names)

    def add(
        self,
        op: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        module: str,
        meta: Mapping[str, Any],
        name: str | None = None,
    ) -> fx.Node:
        """A node of the call that ``module`` makes, with these entries in its ``meta``.

        ``Graph.create_node`` would search the arguments for symbols, which takes longer than all else it does; so this
        does the rest of it, but for what ``TracedModule.graph_module`` does for those who want the graph.
        """
        graph = self.graph
        unique = self._names.create_name(name, None) if name else self._names.name_call_of(target)
        node = fx.Node(graph, unique, op, target, args, kwargs or _NO_KWARGS)
        insert_node(graph, node)
        entries = node.meta
        entries.update(meta)
        entries["module"] = module
        return node
