"""`BackwardPass`: every operator of a backward pass, at the node of the forward call whose gradient it computes."""

import contextlib
import functools
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, Generic, TypeVar

import torch
from torch import fx, nn

from fxcount._torch import (
    NUMBER_OF_LEAVES,
    Operator,
    autograd_node_at_work,
    next_sequence_number,
    no_dispatch_modes,
    sequence_number_of,
    unseen_by_modes,
)
from fxcount.cost import OperatorCost
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.sharding import is_split
from fxcount.fault_origin import for_the_model
from fxcount.formulas.number_kinds import tensors
from fxcount.tracing.run import Run

Place = TypeVar("Place")
"""What the forward pass was at then, such as a node of a graph."""


class SequenceNumbers(Generic[Place]):
    """Autograd numbers what it notes for a backward pass in the order in which it does so: by its number, each belongs
    to the node of the forward call that was run then."""

    def __init__(self) -> None:
        self._ends: list[int] = []
        self._nodes: list[Place] = []

    def made_by(self, node: Place) -> None:
        """What autograd has noted since the last time, it has noted for ``node``."""
        end = next_sequence_number()
        if not self._ends or end > self._ends[-1]:
            self._ends.append(end)
            self._nodes.append(node)

    def node_of(self, number: int) -> Place | None:
        """The node that the one with this number belongs to; None if no node of the graph made it."""
        place = bisect_right(self._ends, number)
        return self._nodes[place] if place < len(self._ends) else None


class BackwardPass:
    """The backward pass of a run with autograd at work."""

    def __init__(
        self,
        counter: OperatorCounter,
        numbers: SequenceNumbers[fx.Node],
        run: Run,
        parameters: Iterable[nn.Parameter],
        stand_in: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor,
    ) -> None:
        """``parameters`` are those of the model: some get a gradient that the run does not use, but what is gathered of
        them. ``stand_in`` is what stood for a tensor of ``run`` while autograd was at work."""
        self._counter = counter
        self._numbers = numbers
        self._run = run
        self._stand_in = stand_in
        self._parameters = [*_parameters(run.used.values()), *parameters]
        self._again: fx.Node | None = None
        self._operators: dict[fx.Node, list[OperatorCost]] = {}

    def run(self, result: Any, output: fx.Node) -> dict[int, torch.Tensor]:
        """The gradients of all that the model returns, whose own are given, with respect to all leaves that require
        one; what ran for each node is written into its ``meta["backward"]``.

        Returns the gradients of the parameters that have one then, by the identity of the parameter."""
        distinct = {id(tensor): tensor for tensor in returned_tensors(result) if tensor.requires_grad}
        self._output = self._latest = output  # to which belongs what belongs to no call
        for leaf in (*self._parameters, *self._inputs()):
            self._stand_in(leaf).grad = None  # what was there before the count is no part of it
        if distinct:
            self._take([*distinct.values()])
        for node, operators in self._operators.items():
            node.meta["backward"] = tuple(operators)
        parameters = [(each, self._stand_in(each).grad) for each in self._parameters]
        return {id(parameter): gradient for parameter, gradient in parameters if gradient is not None}

    def _take(self, outputs: Sequence[torch.Tensor]) -> None:
        given = [*map(_like, outputs)]
        counter = self._counter
        told, noted = counter.on_call, counter.calls
        counter.on_call, counter.calls = self._note, []
        try:
            with counter.backward(), torch.autograd.set_detect_anomaly(False):  # whose checks are no gradients
                for_the_model(torch.autograd.backward, outputs, given)
        finally:
            counter.on_call, counter.calls = told, noted

    def _inputs(self) -> Iterator[torch.Tensor]:
        placeholders = (node for node in self._run.graph.nodes if node.op == "placeholder")
        return (each for each in map(self._run.result_of, placeholders) if self._stand_in(each).is_leaf)

    @contextlib.contextmanager
    def again(self, node: fx.Node) -> Iterator[None]:
        """While it lasts, ``node`` runs once more, as in a checkpoint."""
        around, self._again = self._again, node
        try:
            yield
        finally:
            self._again = around

    def _note(self, func: Operator, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        self._operators.setdefault(self._node(), []).extend(self._counter.take_calls())

    def _node(self) -> fx.Node:
        if self._again is not None:
            return self._again
        at_work = autograd_node_at_work()
        if at_work is None:
            return self._output
        number = sequence_number_of(at_work)
        if number == NUMBER_OF_LEAVES:
            return self._users_of_leaves.get(id(at_work.variable), self._output)
        # What is noted in the backward pass itself is part of what is at work there, such as a checkpoint.
        self._latest = self._numbers.node_of(number) or self._latest
        return self._latest

    @functools.cached_property
    def _users_of_leaves(self) -> Mapping[int, fx.Node]:
        """The first node that uses each leaf, by the identity of the leaf."""
        users: dict[int, fx.Node] = {}
        for node in self._run.graph.nodes:
            held: Iterable[torch.Tensor] = ()
            if node.op in ("placeholder", "get_attr"):
                held = tensors((self._run.result_of(node),))
            elif node.op == "call_module":
                held = self._run.used[str(node.target)].parameters()
            for tensor in held:
                users.setdefault(id(self._stand_in(tensor)), node)
        return users


def returned_tensors(result: Any) -> Iterator[torch.Tensor]:
    """The tensors in what a model returns, each once, also in objects of any class that it may have made."""
    waiting, seen = deque([result]), set()
    while waiting:
        value = waiting.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value
        elif not isinstance(value, nn.Module | type | FunctionType) and hasattr(value, "__dict__"):
            waiting += vars(value).values()


def _like(tensor: torch.Tensor) -> torch.Tensor:
    """A gradient of ``tensor``, made unseen; that of a sparse tensor stores what it stores, that of one in parts is in
    parts."""
    with unseen_by_modes() if is_split(tensor) else no_dispatch_modes():
        return torch.ones_like(tensor) if tensor.layout is torch.strided else tensor.detach().clone()


def _parameters(used: Iterable[Any]) -> Iterator[nn.Parameter]:
    """Those among what nodes name, and in the modules there."""
    for value in used:
        if isinstance(value, nn.Module):
            yield from value.parameters()
        elif isinstance(value, nn.Parameter):
            yield value
