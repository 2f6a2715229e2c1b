"""`CostedGraph`: a traced graph with its costs, added up by node, by module and by operator."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import NamedTuple, Self

from torch import fx

from fxcount.cost import Convention, Cost, OperatorCost, total_cost

Shape = tuple[int, ...]


class NodeCost(NamedTuple):  # there are many, and a frozen dataclass would set each field by a call
    """What one node of the graph costs."""

    name: str
    """The node's name in the graph, unique."""
    op: str
    """The kind of node: placeholder, get_attr, call_module, call_function, call_method or output."""
    target: str
    """What is called: a module's path, a function's or method's name."""
    module: str
    """The path of the module whose forward made the call; "" is the model itself."""
    input_shapes: tuple[Shape, ...]
    """The shapes of the tensors that other nodes hand to this one."""
    output_shapes: tuple[Shape, ...]
    """The shapes of the tensors that come out."""
    params: int
    """The elements of the parameters that this node uses and no node before it did."""
    parameters: tuple[str, ...]
    """The names of all parameters that this node uses."""
    operators: tuple[OperatorCost, ...]
    """Every operator that the node reached, in order."""
    cost: Cost
    """The sum over the operators."""
    convention: Convention
    """How ``flops`` reads the cost."""

    @property
    def flops(self) -> int:
        """The cost as one number, under the convention."""
        return self.convention.read(self.cost)

    @property
    def owner(self) -> str:
        """The path of the module that the node's cost belongs to: the called one, or the one that makes the call."""
        return self.target if self.op == "call_module" else self.module


@dataclass(frozen=True, slots=True)
class Submodule:
    """A module of the model, as the trace met it."""

    kind: str
    """The class name; empty where there is no module, such as for a model that is a function."""
    calls: int
    """How often it was called; 0 for a container, or a module whose parameters only are used, or not even they."""


@dataclass(frozen=True)
class ModuleCost:
    """What one module costs, all that it contains included.

    ``own_cost`` and ``own_params`` leave out what its submodules cost and hold, so a module's cost is its own cost and
    the costs of its submodules, exactly. A leaf module, which is one node, has no submodules here.
    """

    name: str
    """The module's path; "" is the model itself."""
    kind: str
    """The module's class name."""
    calls: int
    """How often it was called."""
    nodes: int
    """How many nodes of the graph belong to it."""
    params: int
    """The module's parameters, each once; a shared parameter is counted where the model names it first."""
    cost: Cost
    own_params: int
    own_cost: Cost
    convention: Convention

    @property
    def flops(self) -> int:
        """The cost as one number, under the convention."""
        return self.convention.read(self.cost)

    @property
    def own_flops(self) -> int:
        """The module's own cost as one number, under the convention."""
        return self.convention.read(self.own_cost)


@dataclass(frozen=True)
class OperatorTotal:
    """What all calls of one operator cost together."""

    name: str
    calls: int
    cost: Cost
    convention: Convention

    @property
    def flops(self) -> int:
        """The cost as one number, under the convention."""
        return self.convention.read(self.cost)


@dataclass(frozen=True, eq=False)
class CostedGraph:
    """A graph with its costs. All groupings are sums over the same nodes, so their totals are equal."""

    nodes: tuple[NodeCost, ...]
    """The costs of every node, in the order of the graph."""
    parameters: Mapping[str, Shape]
    """The shape of every parameter of the model, each once, under the first of its names."""
    shared: Mapping[str, str]
    """Every further name of a parameter, to its first."""
    modules: Mapping[str, Submodule]
    """By path: "", the model itself, every module that was called or holds a parameter, and those around them."""
    tracer: str
    """Which tracer made the graph: symbolic, recorded or executed."""
    convention: Convention
    """How ``flops`` reads a cost."""
    make_graph: Callable[[], fx.GraphModule]

    @cached_property
    def total(self) -> Cost:
        """The cost of one call of the model."""
        return total_cost(node.cost for node in self.nodes)

    @property
    def params(self) -> int:
        """The elements of the parameters of the model, every one once, shared ones too, used or not."""
        return sum(map(prod, self.parameters.values()))

    @property
    def unused_params(self) -> int:
        """The elements of the parameters that no node uses."""
        return self.params - sum(node.params for node in self.nodes)

    @property
    def flops(self) -> int:
        """The total as one number, under the convention."""
        return self.convention.read(self.total)

    @property
    def macs(self) -> int:
        """The multiply-accumulates of all contractions."""
        return self.total.macs

    @property
    def uncounted(self) -> dict[str, int]:
        """Every operator that is not counted, to the number of its calls."""
        calls: dict[str, int] = {}
        for operator in self._operators():
            if operator.uncounted:
                calls[operator.name] = calls.get(operator.name, 0) + 1
        return calls

    @property
    def graph(self) -> fx.GraphModule:
        """The traced graph as a module that runs; its nodes carry ``tensor_meta`` and ``cost`` in ``meta``."""
        return self.make_graph()

    def under(self, convention: str | Mapping[str, int] | Convention) -> Self:
        """The same costs read under another convention; nothing is traced again.

        Raises:
            ConventionError: the convention is unknown.
        """
        other = Convention.of(convention)
        return replace(self, nodes=tuple(node._replace(convention=other) for node in self.nodes), convention=other)

    def by_module(self, depth: int | None = None) -> dict[str, ModuleCost]:
        """Every module, to what it costs, all that it contains included; "" is the model itself.

        Parameters belong to the module that holds them, those inside a leaf module to the leaf. ``depth`` leaves out
        modules that lie deeper: 0 keeps the model itself, 1 also its children.
        """
        return {path: module for path, module in self._by_module.items() if depth is None or depth_of(path) <= depth}

    @cached_property
    def _by_module(self) -> dict[str, ModuleCost]:
        """Own costs first, then each module's whole is added to that of the module around it, from the inside out."""
        own = {path: _Sum() for path in self.modules}
        for node in self.nodes:
            own[node.owner].add(_Sum(1, 0, node.cost))
        leaves = leaf_paths(self.nodes)
        for name, shape in self.parameters.items():
            own[holder_of(name, leaves)].add(_Sum(0, prod(shape), Cost()))
        whole = {path: _Sum(each.nodes, each.params, each.cost) for path, each in own.items()}
        for path in sorted(whole, key=depth_of, reverse=True):
            if path:
                whole[parent_of(path)].add(whole[path])
        return {
            path: ModuleCost(
                path,
                module.kind,
                module.calls,
                whole[path].nodes,
                whole[path].params,
                whole[path].cost,
                own[path].params,
                own[path].cost,
                self.convention,
            )
            for path, module in self.modules.items()
        }

    def by_operator(self) -> dict[str, OperatorTotal]:
        """Every operator that was reached, to what all its calls cost together."""
        calls: dict[str, list[Cost]] = {}
        for operator in self._operators():
            calls.setdefault(operator.name, []).append(operator.cost)
        return {
            name: OperatorTotal(name, len(costs), total_cost(costs), self.convention) for name, costs in calls.items()
        }

    def _operators(self) -> Iterator[OperatorCost]:
        return (operator for node in self.nodes for operator in node.operators)


@dataclass(slots=True)
class _Sum:
    """What is added up for a module."""

    nodes: int = 0
    params: int = 0
    cost: Cost = field(default_factory=Cost)

    def add(self, other: _Sum) -> None:
        self.nodes += other.nodes
        self.params += other.params
        self.cost += other.cost


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
