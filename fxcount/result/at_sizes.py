"""`at_sizes`: a count in symbolic sizes, with numbers put in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from fxcount.cost import Traffic
from fxcount.errors import InputError
from fxcount.result.moves import Moves
from fxcount.result.node_cost import NodeCost
from fxcount.sizes.conditions import Condition
from fxcount.sizes.expressions import mapped, put_in


class InSizes(Protocol):
    """What a count has of it all."""

    @property
    def nodes(self) -> tuple[NodeCost, ...]: ...
    @property
    def sizes(self) -> Mapping[str, int]: ...
    @property
    def conditions(self) -> tuple[Condition, ...]: ...
    @property
    def moves(self) -> Moves: ...
    @property
    def make_storages(self) -> Callable[..., Any]: ...
    @property
    def count_at(self) -> Callable[[Mapping[str, int]], Any] | None: ...


def at_sizes(cost: InSizes, sizes: Mapping[str, int]) -> dict[str, Any]:
    """The fields of a count that are others at these sizes."""
    left = {name: number for name, number in cost.sizes.items() if name not in sizes}
    read = reader(sizes)
    storages = partial(cost.make_storages, read=read)
    moves = replace(
        cost.moves,
        make_storages=storages if cost.moves.make_storages else None,
        traffic_of=partial(Traffic.in_sizes, example=left) if left else Traffic.of,
        nodes=read(cost.moves.nodes),
        operators=read(cost.moves.operators),
    )
    count_at = None if cost.count_at is None else partial(_count_with, cost.count_at, dict(sizes))
    nodes = read_nodes(cost, read, moves)
    kept = (each for each in cost.conditions if each.names & left.keys() or not each.names)
    conditions = tuple(each._replace(relation=each.at(sizes)) for each in kept)
    return {"nodes": nodes, "moves": moves, "make_storages": storages, "sizes": left, "conditions": conditions} | {
        "count_at": count_at
    }


def _count_with(
    count_at: Callable[[Mapping[str, int]], Any], given: Mapping[str, int], sizes: Mapping[str, int]
) -> Any:
    return count_at({**given, **sizes})


def read_nodes(cost: InSizes, read: Callable[[Any], Any], moves: Moves) -> tuple[NodeCost, ...]:
    """The nodes with what ``read`` makes of their records."""
    return tuple(
        node._replace(
            input_shapes=read(node.input_shapes),
            output_shapes=read(node.output_shapes),
            operators=read(node.operators),
            cost=read(node.cost),
            backward_operators=read(node.backward_operators),
            moves=moves,
        )
        for node in cost.nodes
    )


def reader(sizes: Mapping[str, int], put: Callable[[Any, Mapping[str, int]], Any] = put_in) -> Callable[[Any], Any]:
    """Puts these numbers into records; one that is met twice is read once."""
    import sympy

    done: dict[int, tuple[Any, Any]] = {}
    return lambda record: mapped(record, sympy.Expr, lambda each: put(each, sizes), done)


def is_exceptional(cost: InSizes, sizes: Mapping[str, int]) -> bool:
    """Whether the costs may be others at these sizes although the model takes them. In a tensor with an axis of one
    element more is contiguous, so that views stand where copies do else."""
    exceptions = [each for each in cost.conditions if each.is_exception]
    if any(each.names and each.names <= sizes.keys() and not each.holds(sizes) for each in exceptions):
        return True
    met = {size for node in cost.nodes for shape in node.output_shapes for size in shape if not isinstance(size, int)}
    return any(put_in(size, sizes) == 1 for size in met)


def has_caveats(cost: InSizes) -> bool:
    """Whether it takes more than relations of sizes to say where the costs hold."""
    return any(each.is_exception and not each.names for each in cost.conditions)


def check_sizes(cost: InSizes, sizes: Mapping[str, int]) -> None:
    """
    Raises:
        InputError: there is no such size, it is no positive integer, or a condition does not hold.
    """
    for name, size in sizes.items():
        if name not in cost.sizes:
            known = ", ".join(cost.sizes) or "none: none was given to dynamic_shapes"
            raise InputError(f"the count has no size {name!r}; its sizes are {known}")
        if type(size) is not int or size < 1:
            raise InputError(f"a size is a positive integer, and {name} is {size!r}")
    for condition in cost.conditions:
        may_be_counted = condition.is_exception and cost.count_at is not None
        if condition.names <= sizes.keys() and not may_be_counted and not condition.holds(sizes):
            given = ", ".join(f"{name}={sizes[name]}" for name in sorted(condition.names))
            raise InputError(f"the costs do not hold at {given}: they were found for {condition}")
