"""`GraphBuilder`: writes the calls of a run into a graph; which node made a tensor is known by its identity."""

import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import fx

from fxcount.engine.node_annotation import Annotation, annotation
from fxcount.tracing.attribute_paths import Attributes
from fxcount.tracing.containers import PLAIN, Part, is_constant, is_plain, parts_of, rebuild
from fxcount.tracing.model_device import ModelDevice
from fxcount.tracing.module_calls import ModuleCalls
from fxcount.tracing.node_creation import NewNodes


class GraphBuilder:
    """Adds annotated nodes to ``graph``, whose arguments are the nodes that made the tensors in them."""

    def __init__(self, attributes: Attributes, modules: ModuleCalls, device: ModelDevice) -> None:
        self.graph = fx.Graph()
        self.attributes = attributes
        self._modules = modules
        self._new_nodes = NewNodes(self.graph)
        self._device = device
        self._made_by: dict[int, fx.Node | Part] = {}
        self._kept: list[Any] = []  # so that no other tensor gets the identity of one that is gone

    def add(self, op: str, target: Any, args: Any, kwargs: Any, result: Any, note: Annotation) -> None:
        """A node for a call; the tensors in ``result`` are what it computes from now on."""
        positional = self._arguments(args)
        named = dict(zip(kwargs, self._arguments(kwargs.values()), strict=True)) if kwargs else kwargs
        self.bind(result, self._node(op, target, positional, named, note))

    def placeholder(self, name: str, tensor: torch.Tensor) -> None:
        """A node for an input."""
        self.bind(tensor, self._node("placeholder", name, (), {}, annotation(tensor)))

    def output(self, result: Any) -> None:
        """Closes the graph with the model's result."""
        self._node("output", "output", self._arguments((result,)), {}, annotation(result))

    def bind(self, result: Any, node: fx.Node) -> None:
        """From now on the tensors in ``result`` are what ``node`` computes."""
        self._kept.append(result)
        if isinstance(result, torch.Tensor):
            self._made_by[id(result)] = node
        else:
            self._made_by.update((id(tensor), part) for tensor, part in parts_of(result, node))

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether a node of the graph made a tensor."""
        return id(tensor) in self._made_by

    def name_of(self, tensor: torch.Tensor) -> str:
        """The name of the node that made a tensor, for an error."""
        found = self._made_by.get(id(tensor))
        return found.name if isinstance(found, fx.Node) else "a tensor"

    def _node(self, op: str, target: Any, args: Any, kwargs: Any, note: Annotation) -> fx.Node:
        return self._new_nodes.add(op, target, tuple(args), kwargs, self._modules.caller, note)

    def _arguments(self, values: Iterable[Any]) -> list[Any]:
        """``values`` as the arguments of a node: every tensor in them as the node that computes it."""
        made_by, arguments = self._made_by, []
        for value in values:
            kind = type(value)
            if kind in PLAIN or (kind is slice and is_constant(value)):
                arguments.append(value)
            elif kind is torch.Tensor and type(node := made_by.get(id(value))) is fx.Node:
                arguments.append(node)
            else:
                arguments.append(self._argument(value))
        return arguments

    def _argument(self, value: Any) -> Any:
        kind = type(value)
        if kind is tuple or kind is list:
            return kind(self._arguments(value))
        if isinstance(value, torch.Tensor):
            return self._node_of(value)
        if kind is dict:
            return dict(zip(value, self._arguments(value.values()), strict=True))
        if kind is slice:
            return slice(*self._arguments((value.start, value.stop, value.step)))
        if kind is torch.device:
            return self._device.in_graph(value)
        if is_plain(value):
            return value
        made = rebuild(value)
        if made is None:
            return self._attribute(self.attributes.use(value), value)
        make, parts = made
        return self._node("call_function", make, self._arguments(parts), {}, annotation(value))

    def _node_of(self, tensor: torch.Tensor) -> fx.Node:
        found = self._made_by.get(id(tensor))
        if isinstance(found, fx.Node):
            return found
        if found is None:
            return self._attribute(self.attributes.use(tensor), tensor)
        node = self._made_by[id(tensor)] = self._item(found)
        return node

    def _item(self, part: Part) -> fx.Node:
        if part.node is None:
            owner = part.owner if isinstance(part.owner, fx.Node) else self._item(part.owner)
            part.node = self._node("call_function", operator.getitem, (owner, part.key), {}, annotation(part.value))
            part.node.meta["module"] = owner.meta["module"]
        return part.node

    def _attribute(self, path: str, value: Any) -> fx.Node:
        node = self._node("get_attr", path, (), {}, annotation(value))
        self.bind(value, node)
        return node
