"""What the views show of a count in symbolic sizes: expressions, in the order and with the shares of the example."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Concatenate, ParamSpec, TypeVar

from fxcount.cost import OperatorCost, Traffic
from fxcount.result.at_sizes import read_nodes, reader
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.moves import Moves
from fxcount.sizes.example_numbers import ExampleNumber, expression_of
from fxcount.sizes.expressions import mapped

Arguments = ParamSpec("Arguments")
Shown = TypeVar("Shown")
AnyCount = TypeVar("AnyCount", bound=CostedGraph)


def in_example(
    view: Callable[Concatenate[CostedGraph, Arguments], Shown],
) -> Callable[Concatenate[CostedGraph, Arguments], Shown]:
    """A view of a count that is given one whose numbers are those of the example, and know their expressions."""

    @functools.wraps(view)
    def viewed(cost: CostedGraph, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Shown:
        return view(with_example(cost), *args, **kwargs)

    return viewed  # type: ignore[return-value]  # wraps() forgets the name of the first parameter


def with_example(cost: AnyCount) -> AnyCount:
    """The count with numbers of the example in the place of expressions."""
    if not cost.sizes:
        return cost
    read = reader(cost.sizes, ExampleNumber.of)
    operators = {operator.name: None for node in cost.nodes for operator in node.operators}

    def traffic_of(call: OperatorCost) -> Traffic:
        # What lies where is decided at the sizes at which the costs were found, none of which is one.
        return read(cost.moves.traffic_of(mapped(call, ExampleNumber, expression_of)))  # type: ignore[no-any-return]

    of_nodes = {node.name: read(cost.moves.of_node(node.name)) for node in cost.nodes}
    of_operators = {name: read(cost.moves.of_operator(name)) for name in operators}
    moves = Moves(None, traffic_of, of_nodes, of_operators)
    return replace(cost, nodes=read_nodes(cost, read, moves), moves=moves)
