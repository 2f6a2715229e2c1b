"""``python -m tests.zoo.node_gradients``: the backward pass of models of the zoo, asked of each call alone.

Each node of a costed graph runs by itself, on tensors of the shapes that its sources have, and autograd is asked for
the vector-Jacobian product of that one call. What these cost, and an addition for each element wherever gradients meet,
is what `count_graph(..., backward=True)` counts for the whole, field by field.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten
from tqdm import tqdm

from fxcount import Cost, count_graph
from fxcount._torch import grad_mode_setter, no_dispatch_modes
from fxcount.cost import total_cost
from fxcount.engine.counting_context import counting
from fxcount.engine.without_data import WithoutData
from fxcount.tracing.example_call import ExampleCall
from tests.zoo.families import FAMILIES, entries_of

Place = tuple[Any, int]
"""A node and which of the tensors of its result, or a parameter by its identity and 0."""


class NodeGradients:
    """The vector-Jacobian products of the nodes of a graph, each alone."""

    def __init__(self, graph: fx.GraphModule, inputs: Mapping[str, Tensor]) -> None:
        self._graph = graph
        self._inputs = inputs
        self._needs: dict[Place, bool] = {}
        self._sizes: dict[Place, int] = {}
        self._plain: dict[fx.Node, Any] = {}
        self._read_at: dict[Place, Place] = {}  # where the tensor there is found, or what was written to it last
        self._arrived: Counter[Place] = Counter()
        self._calls: list[tuple[fx.Node, list[tuple[Place, Tensor]], list[Tensor]]] = []

    def cost(self) -> Cost:
        """What all of them cost."""
        counter = WithoutData(())
        counter.differentiates = True
        parts = []
        with counting(counter, autograd=True):
            for node in self._graph.graph.nodes:
                self._run(node)
            for node, given, results in reversed(self._calls):
                counter.take_calls()
                self._gradients(node, given, results)
                parts += [call.cost for call in counter.take_calls()]
        meetings = [Cost(add=(times - 1) * self._sizes[place]) for place, times in self._arrived.items()]
        return total_cost([*parts, *meetings])

    def _run(self, node: fx.Node) -> None:
        if node.op == "output":
            outputs = {place for source in node.all_input_nodes for place in self._places(source)}
            self._arrived.update(place for place in outputs if self._needs[place])
            return
        if node.target is grad_mode_setter:
            torch.set_grad_enabled(bool(node.args[0]))
            return
        if node.op in ("placeholder", "get_attr"):
            value = self._inputs[node.name] if node.op == "placeholder" else self._attribute(str(node.target))
            self._plain[node] = value
            if isinstance(value, Tensor):
                self._note((node if node.op == "placeholder" else id(value), 0), value.requires_grad, value)
            return
        given: list[tuple[Place, Tensor]] = []
        copies: dict[Place, Tensor] = {}
        stand_ins = functools.cache(lambda source: self._stand_ins(source, given, copies))  # twice the same
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), stand_ins)
        self._plain[node] = result = self._called(node, args, kwargs, given)
        results = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
        for place, copy in copies.items():
            if copy._version:
                self._read_at[place] = (node, len(results))
                results.append(copy)
            else:  # what is returned as it was given
                same = (number for number, each in enumerate(results) if each is copy)
                self._read_at.update(((node, number), self._read_at.get(place, place)) for number in same)
        for number, result in enumerate(results):
            self._note((node, number), result.requires_grad, result)
        self._calls.append((node, given, results))

    def _called(self, node: fx.Node, args: Any, kwargs: Any, given: list[tuple[Place, Tensor]]) -> Any:
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        if node.op != "call_module":
            function: Callable[..., Any] = node.target  # type: ignore[assignment]
            return function(*args, **kwargs)
        module, state = self._graph.get_submodule(str(node.target)), {}
        for name, parameter in module.named_parameters():
            state[name] = nn.Parameter(torch.empty_like(parameter, device="meta"), parameter.requires_grad)
            self._note((id(parameter), 0), parameter.requires_grad, parameter)
            given.append(((id(parameter), 0), state[name]))
        buffers = {name: torch.empty_like(each, device="meta") for name, each in module.named_buffers()}
        return functional_call(module, {**state, **buffers}, args, kwargs)

    def _stand_ins(self, source: fx.Node, given: list[tuple[Place, Tensor]], copies: dict[Place, Tensor]) -> Any:
        """What a node is handed in the place of the result of ``source``: copies, for a leaf may not be written to."""
        if "val" not in source.meta:  # such as a size
            return self._plain[source]
        leaves, spec = tree_flatten(source.meta["val"])
        own = iter(self._own_places(source))
        made = []
        for leaf in leaves:
            if not isinstance(leaf, Tensor):
                made.append(leaf)
                continue
            first = next(own)
            place = self._read_at.get(first, first)
            with no_dispatch_modes():
                stand_in = torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")
            if self._needs.get(place):
                stand_in.requires_grad_()
                given.append((place, stand_in))
            copies[first] = stand_in.clone()
            made.append(copies[first])
        return tree_unflatten(made, spec)

    def _places(self, node: fx.Node) -> list[Place]:
        return [self._read_at.get(place, place) for place in self._own_places(node)]

    def _own_places(self, node: fx.Node) -> list[Place]:
        if node.op == "get_attr":
            return [(id(self._attribute(str(node.target))), 0)]
        return [(node, number) for number, leaf in enumerate(filter(_is_tensor, tree_leaves(node.meta.get("val"))))]

    def _attribute(self, path: str) -> Any:
        owner, _, name = path.rpartition(".")
        return getattr(self._graph.get_submodule(owner), name)

    def _note(self, place: Place, needs: bool, tensor: Tensor) -> None:
        self._needs[place], self._sizes[place] = needs, tensor.numel()

    def _gradients(self, node: fx.Node, given: list[tuple[Place, Tensor]], results: list[Tensor]) -> None:
        asked = [each for number, each in enumerate(results) if each.requires_grad and self._arrived[node, number]]
        wanted = [(place, each) for place, each in given if each.requires_grad]
        if not asked or not wanted:
            return
        gradients = torch.autograd.grad(
            asked, [each for _, each in wanted], [torch.empty_like(each) for each in asked], allow_unused=True
        )
        self._arrived.update(place for (place, _), each in zip(wanted, gradients, strict=True) if each is not None)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


class ReturnsTensors(nn.Module):
    """Without what a graph returns as an object, such as a cache, which has gradients too."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        result = self.model(*args, **kwargs)
        if not isinstance(result, Mapping):
            return result
        return {name: value for name, value in result.items() if all(map(_is_tensor, tree_leaves(value)))}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo.node_gradients", description=__doc__)
    parser.add_argument("--family", action="append", choices=FAMILIES)
    parser.add_argument("--every", type=int, default=6, help="one of so many models")
    options = parser.parse_args()
    outcomes: Counter[str] = Counter()
    entries = [entry for family in options.family or FAMILIES for entry in entries_of(family).values()]
    for entry in tqdm([*entries][:: options.every], unit=" models"):
        if entry.needs_data:
            continue
        try:
            outcome, note = compared(*entry.make())
        except Exception as error:
            outcome, note = "does not run by node", f"{type(error).__name__}: {error}".split("\n")[0][:150]
        outcomes[outcome] += 1
        if outcome != "equal":
            tqdm.write(f"{entry.family} {entry.name}: {outcome}, {note}", file=sys.stdout)
    print(", ".join(f"{number} {outcome}" for outcome, number in outcomes.items()))
    return int(outcomes["differs"] > 0)


def compared(model: nn.Module, example: Any) -> tuple[str, str]:
    """Whether the whole and the sum over its calls are the same."""
    model = ReturnsTensors(model).train(model.training)
    cost = count_graph(model, example, backward=True)
    graph = cost.graph
    inputs = dict(zip(placeholders(graph), ExampleCall.of(example).tensors(), strict=True))
    alone = NodeGradients(graph, inputs).cost()
    if alone == cost.backward:
        return "equal", ""
    return "differs", f"whole {cost.backward}, by node {alone}"


def placeholders(graph: fx.GraphModule) -> Iterator[str]:
    return (node.name for node in graph.graph.nodes if node.op == "placeholder")


if __name__ == "__main__":
    sys.exit(main())
