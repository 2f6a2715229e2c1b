"""`NewNodes`: makes the nodes of a graph, without the work of `torch.fx` for each node that a trace has no use for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import fx
from torch.fx.graph import _illegal_names, _Namespace  # no public name
from torch.fx.immutable_collections import immutable_dict

_NO_KWARGS: dict[str, Any] = immutable_dict()


class NewNodes:
    """Adds nodes to the end of ``graph``."""

    def __init__(self, graph: fx.Graph) -> None:
        self.graph = graph
        self._names = graph._graph_namespace = Names()
        self._stems: dict[Any, str] = {}

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
        does the rest of it, by torch's private names.
        """
        graph = self.graph
        unique = self._names.create_name(name or self._stem(target), None)
        node = fx.Node(graph, unique, op, target, args, kwargs or _NO_KWARGS)
        self._names.associate_name_with_obj(unique, node)
        graph._insert(node)
        graph._find_nodes_lookup_table.insert(node)
        graph._len += 1
        entries = node.meta
        entries["module"] = module
        entries.update(meta)
        return node

    def _stem(self, target: Any) -> str:
        """The name of a node that calls ``target``, which gets a number if there is one already."""
        stem = self._stems.get(target)
        if stem is None:
            # What torch.fx would make of most names by four regular expressions; of __add__ it makes "add".
            is_simple = isinstance(target, str) and target.islower() and not target.startswith("__")
            stem = target.replace(".", "_") if is_simple else self.graph._target_to_str(target)
            self._stems[target] = stem
        return stem


class Names(_Namespace):
    """The names that `torch.fx` gives, without the regular expression by which it takes each apart."""

    def create_name(self, candidate: str, obj: object | None) -> str:
        """``candidate`` itself if nothing has that name, else with a number."""
        plain = candidate.isascii() and candidate.isidentifier() and not candidate[-1].isdigit()
        if not plain or candidate in _illegal_names or obj is not None:
            return super().create_name(candidate, obj)
        name, number = candidate, self._base_count.get(candidate, 0)
        while name in self._used_names:
            number += 1
            name = f"{candidate}_{number}"
        self._used_names.add(name)
        self._base_count[candidate] = number
        return name
