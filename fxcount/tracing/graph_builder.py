"""`GraphBuilder`: writes the calls of a run into a graph; which node made a tensor is known by its identity."""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import fx

from fxcount.engine.node_annotation import Annotation, annotation
from fxcount.engine.storage_numbers import StorageNumbers
from fxcount.tracing.attribute_paths import Attributes
from fxcount.tracing.autocast import Autocast, autocast_chooses
from fxcount.tracing.autograd_settings import AutogradSettings
from fxcount.tracing.backward_pass import SequenceNumbers
from fxcount.tracing.containers import PLAIN, Part, is_constant, is_plain, parts_of, rebuild
from fxcount.tracing.model_device import ModelDevice
from fxcount.tracing.module_calls import ModuleCalls
from fxcount.tracing.module_states import ModuleStates
from fxcount.tracing.node_creation import NewNodes


class GraphBuilder:
    """Adds annotated nodes to ``graph``, whose arguments are the nodes that made the tensors in them."""

    def __init__(
        self,
        attributes: Attributes,
        modules: ModuleCalls,
        device: ModelDevice,
        has_made: Callable[[torch.Tensor], bool],
    ) -> None:
        """``has_made`` tells a tensor that an operator of the run has made from one that was there before."""
        self.graph = fx.Graph()
        self.attributes = attributes
        self._modules = modules
        self._new_nodes = NewNodes(self.graph)
        self._device = device
        self._has_made = has_made
        self._made_by: dict[int, fx.Node | Part] = {}
        self._in_results: dict[fx.Node, StorageNumbers] = {}  # of those whose parts are nodes
        self._results: dict[fx.Node, Any] = {}  # kept, so that no other tensor gets the identity of one that is gone
        self.autograd = AutogradSettings()
        self.numbers: SequenceNumbers[fx.Node] | None = None
        """Where autograd is at work: what it has noted for which node."""

    def add(self, op: str, target: Any, args: Any, kwargs: Any, result: Any, note: Annotation) -> fx.Node:
        """A node for a call; the tensors in ``result`` are what it computes from now on."""
        positional = self._arguments(args)
        named = dict(zip(kwargs, self._arguments(kwargs.values()), strict=True)) if kwargs else kwargs
        node = self._node(op, target, positional, named, note)
        if op == "call_module":
            node.meta["called_as"] = self._modules.called[-1][0]
        if self.numbers is not None:
            self.numbers.made_by(node)
        self.bind(result, node)
        return node

    def placeholder(self, name: str, tensor: torch.Tensor) -> None:
        """A node for an input."""
        self.bind(tensor, self._node("placeholder", name, (), {}, annotation(tensor)))

    def output(self, result: Any) -> None:
        """Closes the graph with the model's result."""
        self._node("output", "output", self._arguments((result,)), {}, _made_of((result,), result))

    def bind(self, result: Any, node: fx.Node) -> None:
        """From now on the tensors in ``result`` are what ``node`` computes."""
        self._results[node] = result
        if isinstance(result, torch.Tensor):
            self._made_by[id(result)] = node
        else:
            self._made_by.update((id(tensor), part) for tensor, part in parts_of(result, node))

    @property
    def used(self) -> Mapping[str, Any]:
        """The modules and tensors that the nodes name."""
        return self.attributes.used

    @property
    def states(self) -> ModuleStates:
        """What the modules were when the run started."""
        return self.attributes.states

    def last(self) -> fx.Node:
        """The node that was added last."""
        last: fx.Node = next(iter(reversed(self.graph.nodes)))
        return last

    def result_of(self, node: fx.Node) -> Any:
        """What a node has computed; None of one that is part of the arguments of another."""
        return self._results.get(node)

    def maker_of(self, tensor: torch.Tensor) -> fx.Node | Part | None:
        """The node that made a tensor, or which part of whose result it is; None if none of the graph did."""
        return self._made_by.get(id(tensor))

    def name_of(self, tensor: torch.Tensor) -> str:
        """The name of the node that made a tensor, for an error."""
        found = self._made_by.get(id(tensor))
        return found.name if isinstance(found, fx.Node) else "a tensor"

    def _node(self, op: str, target: Any, args: Any, kwargs: Any, note: Annotation) -> fx.Node:
        node = self._new_nodes.add(op, target, tuple(args), kwargs, self._modules.caller, note)
        self.autograd.note(node)
        if autocast_chooses(self._device.type):
            node.meta["autocast"] = Autocast.now(self._device.actual)
        return node

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
        return self._node("call_function", make, self._arguments(parts), {}, _made_of(parts, value))

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
            whole = part.owner.value if isinstance(part.owner, Part) else self._results[owner]
            if owner not in self._in_results:
                self._in_results[owner] = StorageNumbers((whole,))
            note = annotation(part.value, (), self._in_results[owner])
            part.node = self._node("call_function", operator.getitem, (owner, part.key), {}, note)
            part.node.meta["module"] = owner.meta["module"]
        return part.node

    def _attribute(self, path: str, value: Any) -> fx.Node:
        node = self._node("get_attr", path, (), {}, annotation(value))
        if isinstance(value, torch.Tensor):
            stands_in = value.is_meta and self._device.type != "meta" and type(value) is torch.Tensor
            node.meta["made_unseen"] = stands_in or self._has_made(value)
        self.bind(value, node)
        return node


def _made_of(given: Iterable[Any], result: Any) -> Annotation:
    """Of a result that has no other tensors than those ``given``."""
    return annotation(result, (), StorageNumbers(given))
