"""What the weights of a recurrent layer tell of it."""

from collections.abc import Mapping
from typing import NamedTuple

from fxcount.analyses.other_tools.calls import Call
from fxcount.errors import InputError
from fxcount.result.node_cost import Shape

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
"""Rows of a weight matrix for each unit."""
NETWORKS = ("rnn_tanh", "rnn_relu", "gru", "lstm")
OPERATORS = (*NETWORKS, *(f"{name}_cell" for name in NETWORKS))


class Level(NamedTuple):
    """One layer of a recurrent network, in its forward direction."""

    from_input: Shape
    from_state: Shape
    biases: int
    """The elements of its bias vectors."""


def kind_of(call: Call) -> str:
    """RNN, GRU or LSTM."""
    return call.layer.removesuffix("Cell")


def levels(parameters: Mapping[str, Shape]) -> list[Level]:
    """The layers from the input up; of a cell its one."""
    ends = [name.removeprefix("weight_ih") for name in parameters if name.startswith("weight_ih")]
    return [
        Level(
            parameters[f"weight_ih{end}"],
            parameters[f"weight_hh{end}"],
            sum(parameters[name][0] for name in (f"bias_ih{end}", f"bias_hh{end}") if name in parameters),
        )
        for end in ends
        if not end.endswith("_reverse")
    ]


def is_bidirectional(parameters: Mapping[str, Shape]) -> bool:
    """Whether there are weights for the other direction."""
    return any(name.endswith("_reverse") for name in parameters)


def rows(call: Call) -> int:
    """The first two sizes of the input of a network, times and batch in either order, or the batch of a cell.

    Raises:
        InputError: the input is packed, or has no batch.
    """
    shape = call.find(*OPERATORS).given[0]
    axes = 2 if call.layer.endswith("Cell") else 3
    if len(shape) != axes or (call.node.op == "call_module" and len(call.node.input_shapes[0]) != axes):
        raise InputError(f"the input of {call.path!r} ({call.layer}) is packed or has no batch")
    return shape[0] if axes == 2 else shape[0] * shape[1]
