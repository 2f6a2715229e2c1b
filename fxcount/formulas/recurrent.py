"""Recurrent networks: the same weights once per step, and the arithmetic of the gates.

The equations are those in the documentation of ``torch.nn.LSTM``, ``torch.nn.GRU`` and ``torch.nn.RNN``. So a network
costs what its steps cost when they are written by hand: linear layers, sigmoids, tanhs, products and sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from fxcount.cost import Quantities
from fxcount.formulas.formula import Measure
from fxcount.formulas.registry import formula


class Cell(NamedTuple):
    """The arithmetic of one unit, an element of the hidden state, in one step, biases aside."""

    gates: int
    """Rows of W_ih, and of W_hh, per unit."""
    sums: int
    """The two products of each gate are added; then what the cell adds outside its activations."""
    products: int
    sigmoids: int
    tanhs: int
    relus: int


LSTM = Cell(gates=4, sums=5, products=3, sigmoids=3, tanhs=2, relus=0)
"""i, f, o = sigmoid(W x + b + U h + b'); g = tanh(W x + b + U h + b'); c' = f * c + i * g; h' = o * tanh(c'), and
W_hr h' if projected."""
GRU = Cell(gates=3, sums=5, products=3, sigmoids=2, tanhs=1, relus=0)
"""r, z = sigmoid(W x + b + U h + b'); n = tanh(W x + b + r * (U h + b')); h' = (1 - z) * n + z * h."""
RNN_TANH = Cell(gates=1, sums=1, products=0, sigmoids=0, tanhs=1, relus=0)
"""h' = tanh(W x + b + U h + b')."""
RNN_RELU = Cell(gates=1, sums=1, products=0, sigmoids=0, tanhs=0, relus=1)
"""h' = relu(W x + b + U h + b')."""

STEPS = (
    "macs = rows * weights, mul = rows * (units * products + dropped), "
    "add = rows * (biases + units * (sums + sigmoids)), div = rows * units * sigmoids, "
    "cmp = rows * units * relus, special = rows * units * (sigmoids + tanhs)"
)
"""Every row, a step of one sequence, meets each element of the weight matrices once and adds each element of the bias
vectors once. A sigmoid is a special function, an addition and a division."""


def _steps(x: Any, cell: Cell, weights: int, units: int, biased: bool, dropped: int = 0) -> Quantities:
    _, sums, products, sigmoids, tanhs, relus = cell
    return {
        "rows": prod(x.shape[:-1]),
        "weights": weights,
        "units": units,
        "biases": 2 * cell.gates * units if biased else 0,
        "dropped": dropped,
        "sums": sums,
        "products": products,
        "sigmoids": sigmoids,
        "tanhs": tanhs,
        "relus": relus,
    }


def _stack(
    x: Any, cell: Cell, hidden: int, state: int, layers: int, directions: int, biased: bool, dropping: bool
) -> Quantities:
    """Layers of ``hidden`` units whose state has ``state`` elements: as many, or fewer if it is projected. The first
    layer takes the features of x, each further one the states of both directions below it, which dropout scales."""
    inputs = x.shape[-1] + (layers - 1) * directions * state
    projections = hidden * state if state != hidden else 0
    weights = directions * (cell.gates * hidden * (inputs + layers * state) + layers * projections)
    dropped = (layers - 1) * directions * state if dropping else 0
    return _steps(x, cell, weights, layers * directions * hidden, biased, dropped)


def _network(cell: Cell) -> Measure:
    def network(
        x: Any, *, hx: Any, has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool
    ) -> Quantities:
        """Every step, layer and direction: the gates' matrix products, their biases and their arithmetic, as in the
        equations of ``torch.nn.LSTM``, ``torch.nn.GRU`` and ``torch.nn.RNN``. The rows of a packed batch are its
        elements without padding."""
        h, c = hx if isinstance(hx, list | tuple) else (hx, hx)
        directions = 2 if bidirectional else 1
        dropping = train and dropout != 0
        return _stack(x, cell, c.shape[-1], h.shape[-1], num_layers, directions, has_biases, dropping)

    return network


def _single_step(cell: Cell) -> Measure:
    def single_step(x: Any, hx: Any, *, b_ih: Any = None, bias_ih: Any = None) -> Quantities:
        """One step of one layer, as in the equations of ``torch.nn.LSTMCell``, ``torch.nn.GRUCell`` and
        ``torch.nn.RNNCell``."""
        hidden = (hx[0] if isinstance(hx, list | tuple) else hx).shape[-1]
        biased = b_ih is not None or bias_ih is not None
        return _stack(x, cell, hidden, hidden, 1, 1, biased, False)

    return single_step


def _gates(cell: Cell) -> Measure:
    def gates(input_gates: Any, hidden_gates: Any, state: Any, *, input_bias: Any) -> Quantities:
        """A step whose matrix products W x and U h are given."""
        return _steps(state, cell, 0, state.shape[-1], input_bias is not None)

    return gates


NETWORKS = {
    LSTM: "lstm quantized_lstm _lstm_mps",
    GRU: "gru quantized_gru",
    RNN_TANH: "rnn_tanh",
    RNN_RELU: "rnn_relu",
}
CELLS = {
    LSTM: "lstm_cell quantized_lstm_cell quantized.quantized_lstm_cell_dynamic",
    GRU: "gru_cell quantized_gru_cell quantized.quantized_gru_cell_dynamic",
    RNN_TANH: "rnn_tanh_cell quantized_rnn_tanh_cell quantized.quantized_rnn_tanh_cell_dynamic",
    RNN_RELU: "rnn_relu_cell quantized_rnn_relu_cell quantized.quantized_rnn_relu_cell_dynamic",
}
GATES = {LSTM: "_thnn_fused_lstm_cell", GRU: "_thnn_fused_gru_cell"}

for operators_of, measure_of in ((NETWORKS, _network), (CELLS, _single_step), (GATES, _gates)):
    for cell, operators in operators_of.items():
        formula(operators, STEPS)(measure_of(cell))

MODES = (RNN_RELU, RNN_TANH, LSTM, GRU)
"""The cells by the number that cuDNN, MIOpen and oneDNN give them."""


@formula("_cudnn_rnn miopen_rnn", STEPS)
def device_network(
    x: Any,
    weight: Sequence[Any],
    *,
    hx: Any,
    mode: int,
    hidden_size: int,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> Quantities:
    """As ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``; bias vectors stand among the weight matrices."""
    biased = any(parameter.dim() == 1 for parameter in weight)
    directions = 2 if bidirectional else 1
    dropping = train and dropout != 0
    return _stack(x, MODES[mode], hidden_size, hx.shape[-1], num_layers, directions, biased, dropping)


@formula("mkldnn_rnn_layer", STEPS)
def single_layer(x: Any, *, mode: int, hidden_size: int, has_biases: bool) -> Quantities:
    """One layer in one direction of ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``."""
    return _stack(x, MODES[mode], hidden_size, hidden_size, 1, 1, has_biases, False)
