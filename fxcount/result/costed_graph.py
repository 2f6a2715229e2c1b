"""`CostedGraph`: a traced graph with its costs, added up by node, by module and by operator."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from math import prod
from typing import Any, Self

from torch import fx, nn

from fxcount.cost import Convention, Cost, OperatorCost, OptimizerStep, Traffic, total_cost, total_traffic
from fxcount.errors import InputError
from fxcount.result.at_sizes import at_sizes, check_sizes, has_caveats, is_exceptional
from fxcount.result.counted_call import CountedCall
from fxcount.result.counts import Counts, ReadsAndWrites, intensity
from fxcount.result.module_cost import ModuleCost, Submodule
from fxcount.result.module_paths import depth_of, holder_of, leaf_paths, parent_of
from fxcount.result.moves import Moves
from fxcount.result.node_cost import NodeCost, Shape
from fxcount.result.operator_calls import OperatorCall, Storages, write_module_stacks, write_values
from fxcount.result.sums import sum_over
from fxcount.sizes.conditions import Condition


@dataclass(frozen=True)
class OperatorTotal(ReadsAndWrites):
    """What all calls of one operator cost together."""

    name: str
    """The operator, such as ``aten.conv2d``."""
    calls: int
    """How often it was called."""
    cost: Cost
    """The sum over the calls."""
    convention: Convention
    """How ``flops`` reads the cost."""

    backward_calls: int = 0
    """How often it was called in the backward pass."""
    backward: Cost | None = None
    """The sum over these; None unless the backward pass was asked for."""
    traffic: Traffic = field(default_factory=Traffic)
    """The bytes that all calls read and write."""
    backward_traffic: Traffic | None = None
    """Those of the calls in the backward pass; None unless it was asked for."""

    @property
    def counts(self) -> Counts:
        """The costs."""
        return Counts(0, 0, self.cost, self.backward, self.traffic, self.backward_traffic)

    @property
    def flops(self) -> int:
        """The cost as one number, under the convention."""
        return self.convention.read(self.cost)


def _of_no_graph(read: object = None) -> Storages:
    return Storages(fx.Graph(), {})


def _no_module(path: str) -> None:
    return None


@dataclass(frozen=True, eq=False)
class CostedGraph(ReadsAndWrites):
    """A graph with its costs. All groupings are sums over the same nodes, so their totals are equal."""

    nodes: tuple[NodeCost, ...]
    """The costs of every node, in the order of the graph."""
    parameters: Mapping[str, Shape]
    """The shape of every parameter that the model has or uses, each once, under the first of its names."""
    shared: Mapping[str, str]
    """Every further name of a parameter, to its first."""
    modules: Mapping[str, Submodule]
    """By path: "", the model itself, every module that was called or holds a parameter, and those around them."""
    tracer: str
    """Which tracer made the graph: symbolic, recorded or executed."""
    convention: Convention
    """How ``flops`` reads a cost."""
    make_graph: Callable[[], fx.GraphModule]
    """What ``graph`` calls."""
    gave_up: Mapping[str, str] = field(default_factory=dict)
    """The tracers that were tried before this one, in order, each to why it could not trace the model."""
    unregistered: tuple[str, ...] = ()
    """The names of the parameters that the model uses and does not register, such as those of a layer in a plain list:
    ``model.parameters()`` lacks them."""
    packed: Mapping[str, int | None] = field(default_factory=dict)
    """By path: the modules that hold weights which are no parameters, packed for a kernel or constants of a script, to
    how many elements they have, None where that cannot be read. ``params`` does not count them."""

    call: CountedCall | None = None
    """Which call of which model it is of; None of a count that an earlier version saved."""
    frozen: tuple[str, ...] = ()
    """The names of the parameters that require no gradient."""
    has_backward: bool = False
    """Whether the backward pass was asked for."""
    optimizer: OptimizerStep | None = None
    """What one step of the optimizer runs; None unless one was given."""
    moves: Moves = field(default_factory=Moves)
    """Finds out what nodes and operators move."""
    make_storages: Callable[..., Storages] = field(default_factory=lambda: _of_no_graph)
    """What tells which tensors of the graph lie in the same memory."""
    module_at: Callable[[str], nn.Module | None] = field(default_factory=lambda: _no_module)
    """The module at any of its paths in the model; None where there is none, and of a count that was restored."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The sizes that are symbols, by name, each to its number in the example."""
    conditions: tuple[Condition, ...] = ()
    """What has to hold of these sizes for the costs to hold."""
    count_at: Callable[[Mapping[str, int]], Any] | None = None
    """Counts anew where some of the sizes are numbers; None where the model is not there."""

    @cached_property
    def total(self) -> Cost:
        """The cost of one call of the model."""
        return total_cost(node.cost for node in self.nodes)

    @cached_property
    def backward(self) -> Cost | None:
        """The cost of the backward pass of this call: of the gradients of all that the model returns, with respect to
        every parameter and every input that requires one. None unless it was asked for."""
        return total_cost(node.backward or Cost() for node in self.nodes) if self.has_backward else None

    @property
    def backward_flops(self) -> int | None:
        """That as one number, under the convention."""
        return None if self.backward is None else self.convention.read(self.backward)

    @cached_property
    def traffic(self) -> Traffic:  # type: ignore[override]  # it is found out when it is asked for
        """The bytes that one call of the model reads and writes: of each operator, as it is called, each distinct
        element that its arguments hold once, and each element of its result once. Views move nothing; an operator that
        is counted as a whole, such as attention, moves its arguments and its result."""
        return total_traffic(node.traffic for node in self.nodes)

    @cached_property
    def backward_traffic(self) -> Traffic | None:
        """Those of the backward pass; None unless it was asked for."""
        return total_traffic(node.backward_traffic or Traffic() for node in self.nodes) if self.has_backward else None

    @property
    def intensity(self) -> float | None:
        """The arithmetic intensity: floating-point operations (under the convention ``arithmetic``) for each byte that
        is read or written; None where nothing moves."""
        return intensity(self.counts)

    @property
    def optimizer_step(self) -> Cost | None:
        """The cost of one step of the optimizer; None unless one was given."""
        return None if self.optimizer is None else self.optimizer.cost

    @property
    def counts(self) -> Counts:
        """The parameters and costs of the model."""
        return Counts(self.params, self.trainable, self.total, self.backward, self.traffic, self.backward_traffic)

    @property
    def params(self) -> int:
        """The elements of the parameters of the model, every one once, shared ones too, used or not, and of those
        that it uses and does not register."""
        return sum(map(prod, self.parameters.values()))

    @property
    def trainable(self) -> int:
        """Those of ``params`` that belong to parameters that require a gradient."""
        return self.params - sum(prod(self.parameters[name]) for name in self.frozen)

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
        """Every operator that is not counted, to the number of its calls, those of the backward pass and the optimizer
        included."""
        calls: dict[str, int] = {}
        for operator in chain(self._forward(), self._backward()):
            if operator.uncounted:
                calls[operator.name] = calls.get(operator.name, 0) + 1
        for name, times in self.optimizer.uncounted.items() if self.optimizer else ():
            calls[name] = calls.get(name, 0) + times
        return calls

    @property
    def graph(self) -> fx.GraphModule:
        """The traced graph as a module that runs; its nodes carry ``cost`` in ``meta``, and what tools of `torch.fx`
        read there: ``tensor_meta``, ``val``, the result on the meta device, and ``nn_module_stack``.

        A warning says that the graph does not compute what the model does, where that uses a tensor that the run has
        made and no node shows how, such as a gradient that a hook has kept.
        """
        graph = self.make_graph()
        unseen = [node.name for node in graph.graph.nodes if node.meta.get("made_unseen")]
        if unseen:
            warnings.warn(
                f"the graph does not compute what the model computes: {', '.join(unseen)} stands for a tensor that the "
                "traced run has made, and no node shows how",
                stacklevel=2,
            )
        write_values(self.make_storages())
        write_module_stacks(graph, {path: module.kind for path, module in self.modules.items()})
        return graph

    @cached_property
    def operator_calls(self) -> tuple[OperatorCall, ...]:
        """Every call of an operator by the model, in the order in which they ran. A number of a storage means the same
        memory everywhere in them: of a tensor and its views, before and after it was written to, of a parameter in all
        nodes that use it. A backward pass that the model takes without data runs on tensors of its own."""
        return tuple(self.make_storages().calls())

    def under(self, convention: str | Mapping[str, int] | Convention) -> Self:
        """The same costs read under another convention; nothing is traced again.

        Raises:
            ConventionError: the convention is unknown.
        """
        other = Convention.of(convention)
        return replace(self, nodes=tuple(node._replace(convention=other) for node in self.nodes), convention=other)

    def at(self, /, **sizes: int) -> Self:
        """The count at these sizes, as if it had been counted there; a size that is not given stays a symbol.

        Numbers are put into the expressions. Where that is not exact, at a size of one and at the exceptions among the
        ``conditions``, the model is counted anew.

        Raises:
            InputError: there is no such size, it is no positive integer, or a condition does not hold; or the model is
                to be counted anew, and this is a count that was restored from JSON.
        """
        check_sizes(self, sizes)
        anew = is_exceptional(self, sizes)
        if self.count_at is not None and (anew or has_caveats(self)):
            counted: Self = self.count_at(sizes)
            return counted.under(self.convention)
        if anew:
            raise InputError("at these sizes the model is counted anew, and a count that was restored has none")
        if has_caveats(self):
            caveats = "; ".join(str(each) for each in self.conditions if not each.names)
            warnings.warn(f"without the model it is not known whether {caveats}", stacklevel=2)
        return replace(self, **at_sizes(self, sizes))

    def sum_over(self, name: str, start: int | str, count: int | str) -> Cost:
        """The sum of the costs at ``count`` sizes of that name, from ``start`` on, such as of the steps in which a
        language model makes so many tokens after a prompt. Each may be a number, or an expression in other names.

        Where the bounds are names, the conditions are taken to hold for all of these sizes, and none is one.

        Raises:
            InputError: there is no such size, a bound is no whole number, a condition does not hold, or the sum has no
                closed form in these names.
        """
        return Cost(**sum_over(self, name, start, count))

    def by_module(self, depth: int | None = None) -> dict[str, ModuleCost]:
        """Every module, to what it costs, all that it contains included; "" is the model itself.

        Parameters belong to the module that holds them, those inside a leaf module to the leaf. What a module that lies
        in several others does belongs to the one that calls it, its parameters to the first. ``depth`` leaves out
        modules that lie deeper: 0 keeps the model itself, 1 also its children.
        """
        return {path: module for path, module in self._by_module.items() if depth is None or depth_of(path) <= depth}

    @cached_property
    def _by_module(self) -> dict[str, ModuleCost]:
        """Own costs first, then each module's whole is added to that of the module around it, from the inside out."""
        backward = (Cost(), Traffic()) if self.has_backward else (None, None)
        nothing = Counts(backward=backward[0], backward_traffic=backward[1])
        own, nodes = dict.fromkeys(self.modules, nothing), Counter(node.owner for node in self.nodes)
        for node in self.nodes:
            own[node.owner] += Counts(0, 0, node.cost, node.backward, node.traffic, node.backward_traffic)
        leaves, frozen = leaf_paths(self.nodes), frozenset(self.frozen)
        for name, shape in self.parameters.items():
            size = prod(shape)
            own[holder_of(name, leaves)] += Counts(size, 0 if name in frozen else size)
        whole = dict(own)
        for path in sorted(whole, key=depth_of, reverse=True):
            if path:
                whole[parent_of(path)] += whole[path]
                nodes[parent_of(path)] += nodes[path]
        return {
            path: ModuleCost(
                path,
                module.kind,
                module.calls,
                nodes[path],
                whole[path].params,
                whole[path].cost,
                own[path].params,
                own[path].cost,
                self.convention,
                whole[path].trainable,
                whole[path].backward,
                own[path].trainable,
                own[path].backward,
                whole[path].traffic,
                whole[path].backward_traffic,
                own[path].traffic,
                own[path].backward_traffic,
            )
            for path, module in self.modules.items()
        }

    def by_operator(self) -> dict[str, OperatorTotal]:
        """Every operator that was reached, to what all its calls cost together, in the backward pass apart."""
        calls, gradients = _costs_by_name(self._forward()), _costs_by_name(self._backward())
        moved: defaultdict[str, Traffic] = defaultdict(Traffic)
        for operator in self._backward():
            moved[operator.name] += self.moves.traffic_of(operator)
        return {
            name: OperatorTotal(
                name,
                len(costs := calls.get(name, [])),
                total_cost(costs),
                self.convention,
                len(of_gradients := gradients.get(name, [])),
                total_cost(of_gradients) if self.has_backward else None,
                self.moves.of_operator(name),
                moved[name] if self.has_backward else None,
            )
            for name in (calls | gradients)
        }

    def _forward(self) -> Iterator[OperatorCost]:
        return (operator for node in self.nodes for operator in node.operators)

    def _backward(self) -> Iterator[OperatorCost]:
        return (operator for node in self.nodes for operator in node.backward_operators or ())


def _costs_by_name(operators: Iterable[OperatorCost]) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {}
    for operator in operators:
        costs.setdefault(operator.name, []).append(operator.cost)
    return costs
