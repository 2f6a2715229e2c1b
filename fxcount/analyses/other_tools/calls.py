"""The calls of a count as other tools see them: layers of `torch.nn`, functions and methods, and their operators."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from torch import fx

from fxcount._torch import forward_hooks_of, forward_pre_hooks_of
from fxcount.cost import OperatorCost
from fxcount.cost.called import NOTHING_TOLD, Called
from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.node_cost import NodeCost, Shape

LAYERS = "torch.nn.modules."
"""The Python modules of the classes that tools know layers by; a class of the same name elsewhere is another."""


class Seen(NamedTuple):
    """What a tool counts for one call of an operator, for one reason."""

    place: int
    """The place of the operator in `Calls.operators`; -1 for what belongs to none."""
    why: str
    amount: int


class Reached(NamedTuple):
    """An operator that a call has reached."""

    place: int
    operator: OperatorCost

    @property
    def name(self) -> str:
        """Without the namespace, and without the mark of an operator that writes to its argument."""
        return self.operator.name.removeprefix("aten.").rstrip("_")

    @property
    def given(self) -> tuple[Shape, ...]:
        """The shapes of its arguments."""
        return tuple(each.shape for each in self.operator.inputs)

    @property
    def made(self) -> Shape:
        """The shape of its first result."""
        return self.operator.outputs[0].shape

    @property
    def elements(self) -> int:
        """The elements of its first argument."""
        return self.operator.inputs[0].elements

    @property
    def results(self) -> int:
        """The elements of its first result."""
        return self.operator.outputs[0].elements

    def has(self, quantity: str) -> bool:
        """Whether a quantity of its equation is there and not zero, such as ``biases``."""
        return bool(self.operator.quantities.get(quantity))


@dataclass(frozen=True)
class Call:
    """One call of a layer, of a function or of a method."""

    node: NodeCost
    path: str
    """Of a layer its own path, else that of the module whose forward made the call."""
    layer: str
    """The class of a layer of `torch.nn`; else empty."""
    reached: tuple[Reached, ...]
    parameters: Mapping[str, Shape] = field(default_factory=dict)
    """Of a layer: the shapes of its parameters by their names in it."""

    def find(self, *names: str) -> Reached:
        """The first operator of one of these names.

        Raises:
            InputError: the call reaches none.
        """
        for each in self.reached:
            if each.name in names:
                return each
        raise InputError(f"the layer {self.path!r} ({self.layer}) reaches no {' or '.join(names)}")


class Calls:
    """A count, read for the rules of other tools."""

    def __init__(self, cost: CostedGraph) -> None:
        self.cost = cost
        self.operators = [operator for node in cost.nodes for operator in node.operators]

    def reached(self) -> Iterator[Reached]:
        """Every operator."""
        return (Reached(place, operator) for place, operator in enumerate(self.operators))

    @cached_property
    def nodes(self) -> list[tuple[NodeCost, tuple[Reached, ...]]]:
        """Every node with its operators."""
        found, start = [], 0
        for node in self.cost.nodes:
            end = start + len(node.operators)
            found.append((node, tuple(map(Reached, range(start, end), node.operators))))
            start = end
        return found

    @cached_property
    def traced(self) -> Mapping[str, fx.Node]:
        """The nodes of the graph by name, which know what was called with which arguments.

        Raises:
            FxcountError: the count was restored from JSON.
        """
        return {node.name: node for node in self.cost.make_graph().graph.nodes}

    def is_layer(self, path: str) -> bool:
        """Whether the module there is of a class of `torch.nn`, and no subclass of one."""
        return type(self.cost.module_at(path)).__module__.startswith(LAYERS)

    def layers(self, kinds: Iterable[str]) -> Iterator[Call]:
        """Every call of a layer of `torch.nn` of these classes, in one node or, where hooks of the model's take part,
        in several.

        Raises:
            InputError: the calls of one cannot be told from each other.
        """
        kinds, inside = frozenset(kinds), defaultdict[str, list[tuple[NodeCost, tuple[Reached, ...]]]](list)
        for node, reached in self.nodes:
            path = node.target if node.op == "call_module" else node.module
            if not self.is_layer(path) or self.cost.modules[path].kind not in kinds:
                continue
            if node.op == "call_module":
                self._refuse_hooks(path)
                yield self._layer(path, node, reached)
            elif reached and self._is_the_layers(node):
                inside[path].append((node, reached))
        for path, found in inside.items():
            if self.cost.modules[path].calls > 1:
                raise InputError(f"{path!r} was called more than once, and its hooks were traced: no call is one node")
            self._refuse_other_results(path, [node for node, _ in found])
            costliest = max((node for node, _ in found), key=lambda node: node.cost.macs)
            yield self._layer(path, costliest, tuple(each for _, reached in found for each in reached))

    def _refuse_hooks(self, path: str) -> None:
        """
        Raises:
            InputError: hooks are part of the node of a layer, such as those that compute its weight.
        """
        module = self.cost.module_at(path)
        if module is not None and (forward_pre_hooks_of(module) or forward_hooks_of(module)):
            raise InputError(
                f"the layer {path!r} ({self.cost.modules[path].kind}) has hooks of torch, as spectral_norm sets one, "
                "and what they compute is not told from what it computes"
            )

    def _refuse_other_results(self, path: str, own: list[NodeCost]) -> None:
        """
        Raises:
            InputError: tools that read what a layer returns may read what a hook has put there.
        """
        of_layer, names = own[-1].output_shapes[:1], {node.name for node in own}
        inside = {node.name: node for node in self.cost.nodes if node.module == path and node.op != "output"}
        used = {name for node in self.cost.nodes if node.name not in inside for name in node.inputs if name in inside}
        others = [name for name in used - names if self.called(inside[name]).home]
        if not used or any(
            inside[name].output_shapes[:1] != of_layer for name in others if not self._is_the_layers(inside[name])
        ):
            raise InputError(f"a hook of the layer {path!r} returns something else than the layer, or it is not told")

    def called(self, call: Call | NodeCost) -> Called:
        """How a function or a method came to be called."""
        node = call.node if isinstance(call, Call) else call
        found: Called = self.traced[node.name].meta.get("called", NOTHING_TOLD)
        return found

    def _is_the_layers(self, node: NodeCost) -> bool:
        """Whether a node in a layer of `torch.nn` was called by that, and not by a hook.

        Raises:
            InputError: it is not told.
        """
        home = self.called(node).home
        if not home:
            raise InputError(f"whether {node.name} was called by the layer {node.module!r} or by its hooks is not told")
        return home.startswith(LAYERS)

    def in_layer(self, call: Call, kinds: Iterable[str]) -> bool:
        """Whether a layer of `torch.nn` of these classes has made a call."""
        if not self.is_layer(call.path) or self.cost.modules[call.path].kind not in kinds:
            return False
        return self._is_the_layers(call.node)

    def _layer(self, path: str, node: NodeCost, reached: tuple[Reached, ...]) -> Call:
        return Call(node, path, self.cost.modules[path].kind, reached, self.parameters_in(path))

    def others(self) -> Iterator[Call]:
        """Every node that reaches operators and is no layer of `torch.nn`."""
        for node, reached in self.nodes:
            if node.op != "call_module" and reached:
                yield Call(node, node.module, "", reached)

    def parameters_in(self, path: str) -> Mapping[str, Shape]:
        """The parameters of a module and of those in it, by their names in it."""
        return self._parameters.get(path, {})

    @cached_property
    def _parameters(self) -> Mapping[str, dict[str, Shape]]:
        inside: defaultdict[str, dict[str, Shape]] = defaultdict(dict)
        shapes = {name: self.cost.parameters[first] for name, first in self.cost.shared.items()}
        for name, shape in {**self.cost.parameters, **shapes}.items():
            parts = name.split(".")
            for depth in range(len(parts)):
                inside[".".join(parts[:depth])][".".join(parts[depth:])] = shape
        return inside

    def arguments(self, call: Call) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """What a node was called with, other nodes for tensors."""
        node = self.traced[call.node.name]
        return node.args, node.kwargs

    def settings(self, call: Call, names: Sequence[str]) -> list[Any]:
        """The attributes of a layer, or the arguments of a function that are called so and stand in this order; None
        for one that is not given."""
        if call.layer or call.node.op == "call_module":
            module = self.cost.module_at(call.path)
            if module is None:
                raise InputError(f"the settings of {call.path!r} are read, which a restored count does not have")
            return [getattr(module, name, None) for name in names]
        given, named = self.arguments(call)
        return [given[k] if k < len(given) else named.get(name) for k, name in enumerate(names)]


def check_modules(calls: Calls, tool: str, at_each_path: bool = True) -> None:
    """What a tool that reads modules needs to be known; ``at_each_path`` of one that counts a module so often.

    Raises:
        InputError: the count was restored from JSON, or a module is held by several paths.
    """
    model, packed = calls.cost.module_at(""), calls.cost.packed
    if model is None:
        raise InputError(f"{tool} reads the modules, which a restored count and a function do not have")
    if packed:
        raise InputError(f"{tool} reads parameters, and the weights of {next(iter(packed))!r} are packed")
    for path, module in calls.cost.modules.items():
        if module.calls and type(calls.cost.module_at(path)).__name__ != module.kind:
            raise InputError(f"{tool} reads the modules of the model, and {path!r} is none that it holds")
    paths = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    for path, module in calls.cost.modules.items() if at_each_path else ():
        if module.calls and paths[id(calls.cost.module_at(path))] > 1:
            raise InputError(f"{tool} counts a module at each of its paths, and {path!r} has several")


def is_inside(path: str, around: str) -> bool:
    """Whether a module lies in another."""
    return path.startswith(f"{around}.") or (not around and bool(path))
