"""`CostedGraph`: a traced graph with its costs, added up by node, by module and by operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from torch import fx, nn
from torch.fx.passes.shape_prop import TensorMetadata

from fxcount.cost import Convention, Cost, OperatorCost, total_cost

Shape = tuple[int, ...]


@dataclass(frozen=True)
class NodeCost:
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
    """The parameters that this node uses and no node before it did."""
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


@dataclass(frozen=True)
class ModuleCost:
    """What one module costs, all that it contains included."""

    name: str
    """The module's path; "" is the model itself."""
    kind: str
    """The module's class name."""
    params: int
    """The module's parameters, each once; a parameter that an earlier module shares is counted there."""
    cost: Cost
    nodes: int
    """How many nodes of the graph belong to it."""
    convention: Convention

    @property
    def flops(self) -> int:
        """The cost as one number, under the convention."""
        return self.convention.read(self.cost)


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
    params: int
    """The parameters of the model, every one once, shared ones too."""
    modules: Mapping[str, str]
    """The path of every module that was called, to its class name."""
    tracer: str
    """Which tracer made the graph: symbolic, recorded or executed."""
    convention: Convention
    """How ``flops`` reads a cost."""
    make_graph: Callable[[], fx.GraphModule]

    @property
    def total(self) -> Cost:
        """The cost of one call of the model."""
        return total_cost(node.cost for node in self.nodes)

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
        return replace(self, nodes=tuple(replace(node, convention=other) for node in self.nodes), convention=other)

    def by_module(self, depth: int | None = None) -> dict[str, ModuleCost]:
        """Every module that was called, to what it costs, all that it contains included; "" is the model itself.

        ``depth`` leaves out modules that lie deeper: 0 keeps the model itself, 1 also its children.
        """
        members: dict[str, list[NodeCost]] = {}
        for node in self.nodes:
            for path in _enclosing(node.owner):
                members.setdefault(path, []).append(node)
        return {
            path: ModuleCost(
                path,
                self.modules.get(path, ""),
                self.params if path == "" else sum(node.params for node in nodes),
                total_cost(node.cost for node in nodes),
                len(nodes),
                self.convention,
            )
            for path, nodes in members.items()
            if depth is None or _depth(path) <= depth
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


def _enclosing(path: str) -> Iterator[str]:
    """``path`` and every path around it, from the model itself inwards."""
    yield ""
    names = path.split(".") if path else []
    for length in range(1, len(names) + 1):
        yield ".".join(names[:length])


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0


def read_nodes(graph: fx.Graph, module: nn.Module, convention: Convention) -> tuple[NodeCost, ...]:
    """The costs that an interpreted graph carries in ``node.meta``; ``module`` holds what its nodes name."""
    seen: set[int] = set()
    nodes = []
    for node in graph.nodes:
        nodes.append(
            NodeCost(
                name=node.name,
                op=node.op,
                target=_target_name(node.target),
                module=node.meta["module"],
                input_shapes=tuple(
                    shape for source in node.all_input_nodes for shape in _shapes(source.meta.get("tensor_meta"))
                ),
                output_shapes=tuple(_shapes(node.meta.get("tensor_meta"))),
                params=_new_parameters(node, module, seen),
                operators=node.meta["operators"],
                cost=node.meta["cost"],
                convention=convention,
            )
        )
    return tuple(nodes)


def _target_name(target: Any) -> str:
    if isinstance(target, str):
        return target
    return getattr(target, "__name__", None) or str(target)


def _shapes(described: Any) -> Iterator[Shape]:
    """The shapes in a node's ``tensor_meta``, which is nested as its result is."""
    if isinstance(described, TensorMetadata):
        yield tuple(described.shape)
    elif isinstance(described, Mapping):
        yield from _shapes(list(described.values()))
    elif isinstance(described, list | tuple):
        for part in described:
            yield from _shapes(part)


def _new_parameters(node: fx.Node, module: nn.Module, seen: set[int]) -> int:
    if node.op not in ("call_module", "get_attr"):
        return 0
    return count_parameters(_named(module, str(node.target)), seen)


def _named(module: nn.Module, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name)
    return found


def count_parameters(owner: Any, seen: set[int] | None = None) -> int:
    """The elements of the parameters of a module, or of a parameter itself, each once and none that is in ``seen``."""
    seen = set() if seen is None else seen
    parameters: Iterable[nn.Parameter] = ()
    if isinstance(owner, nn.Module):
        parameters = owner.parameters()
    elif isinstance(owner, nn.Parameter):
        parameters = (owner,)
    new = [parameter for parameter in parameters if id(parameter) not in seen]
    seen.update(id(parameter) for parameter in new)
    return sum(parameter.numel() for parameter in new)
