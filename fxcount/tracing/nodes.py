"""`NewNodes`: the nodes of a graph while it is made, by way of what `torch.fx` does once and not for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import fx
from torch.fx.graph import _illegal_names, _Namespace  # no public name


class NewNodes:
    """Adds nodes to the end of ``graph``."""

    def __init__(self, graph: fx.Graph) -> None:
        self.graph = graph
        graph._graph_namespace = Names()
        self._names: dict[Any, str] = {}

    def add(
        self,
        op: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        module: str,
        meta: Mapping[str, Any],
        name: str | None = None,
    ) -> fx.Node:
        """A node of the call that ``module`` makes, with these entries in its ``meta``.

        ``create_node`` would search the arguments for symbols, and assigning them would look the node up, so they are
        set as `fx.Node` itself sets them.
        """
        stem = name or self._names.get(target)
        if stem is None and isinstance(target, str) and target.islower():
            stem = target.replace(".", "_")  # what torch.fx would make of it by four regular expressions
        node = self.graph.create_node(op, target, name=stem)
        if stem is None:
            self._names[target] = node.name  # the next of these has the same name with another number
        if args:
            object.__setattr__(node, "args", args)
        if kwargs:
            object.__setattr__(node, "kwargs", dict(kwargs))
        entries = node.meta
        entries["module"] = module
        entries.update(meta)
        return node


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
