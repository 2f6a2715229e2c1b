"""Recurrent networks and their gradients: the same weights once per step, and the arithmetic of the gates.

The equations are those in the documentation of ``torch.nn.LSTM``, ``torch.nn.GRU`` and ``torch.nn.RNN``. So a network
costs what its steps cost when they are written by hand: linear layers, sigmoids, tanhs, products and sums.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from fxcount.cost import Cost, Quantities, Size
from fxcount.formulas.contractions import additions_over_rows
from fxcount.formulas.registry import formula, given
from fxcount.formulas.tensor import Tensor


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


def _steps(x: Tensor, cell: Cell, weights: Size, units: Size, biased: bool, dropped: Size = 0) -> Quantities:
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
    x: Tensor,
    cell: Cell,
    hidden: Size,
    state: Size,
    biased: bool,
    *,
    layers: int = 1,
    directions: int = 1,
    dropping: bool = False,
) -> Quantities:
    """Layers of ``hidden`` units whose state has ``state`` elements: as many, or fewer if it is projected. The first
    layer takes the features of x, each further one the states of both directions below it, which dropout scales."""
    inputs = x.shape[-1] + (layers - 1) * directions * state
    projections = hidden * state if state != hidden else 0
    weights = directions * (cell.gates * hidden * (inputs + layers * state) + layers * projections)
    dropped = (layers - 1) * directions * state if dropping else 0
    return _steps(x, cell, weights, layers * directions * hidden, biased, dropped)


def _states(hx: Tensor | Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The hidden and the cell state; where a cell keeps none, the hidden state stands for both."""
    h, c = hx if isinstance(hx, Sequence) else (hx, hx)
    return h, c


def _biased(parameters: Sequence[Tensor]) -> bool:
    """Whether there are bias vectors among the weight matrices."""
    return any(parameter.dim() == 1 for parameter in parameters)


MODES = (RNN_RELU, RNN_TANH, LSTM, GRU)
"""The cells by the number that cuDNN, MIOpen and oneDNN give them."""


@formula("_cudnn_rnn miopen_rnn", STEPS)
def network(
    x: Tensor,
    *,
    cell: Cell | None = None,
    mode: int = 0,
    hx: Tensor | Sequence[Tensor],
    hidden_size: Size = 0,
    weight: Sequence[Tensor] = (),
    has_biases: bool = False,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> Quantities:
    """Every step, layer and direction: the gates' matrix products, their biases and their arithmetic, as in the
    equations of ``torch.nn.LSTM``, ``torch.nn.GRU`` and ``torch.nn.RNN``. The rows of a packed batch are its
    elements without padding. cuDNN and MIOpen name the cell by its mode, and have the bias vectors among the weights.
    """
    h, c = _states(hx)
    return _stack(
        x,
        cell or MODES[mode],
        hidden_size or c.shape[-1],
        h.shape[-1],
        has_biases or _biased(weight),
        layers=num_layers,
        directions=1 + bidirectional,
        dropping=train and dropout != 0,
    )


def single_step(
    x: Tensor,
    hx: Tensor | Sequence[Tensor],
    *,
    cell: Cell = LSTM,
    b_ih: Tensor | None = None,
    bias_ih: Tensor | None = None,
) -> Quantities:
    """One step of one layer, as in the equations of ``torch.nn.LSTMCell``, ``torch.nn.GRUCell`` and
    ``torch.nn.RNNCell``."""
    hidden = _states(hx)[0].shape[-1]
    return _stack(x, cell, hidden, hidden, b_ih is not None or bias_ih is not None)


def gates(
    input_gates: Tensor, hidden_gates: Tensor, state: Tensor, *, cell: Cell = LSTM, input_bias: Tensor | None
) -> Quantities:
    """A step whose matrix products W x and U h are given."""
    return _steps(state, cell, 0, state.shape[-1], input_bias is not None)


NETWORKS = {LSTM: "lstm quantized_lstm _lstm_mps", GRU: "gru quantized_gru", RNN_TANH: "rnn_tanh", RNN_RELU: "rnn_relu"}
CELLS = {
    LSTM: "lstm_cell quantized_lstm_cell quantized.quantized_lstm_cell_dynamic",
    GRU: "gru_cell quantized_gru_cell quantized.quantized_gru_cell_dynamic",
    RNN_TANH: "rnn_tanh_cell quantized_rnn_tanh_cell quantized.quantized_rnn_tanh_cell_dynamic",
    RNN_RELU: "rnn_relu_cell quantized_rnn_relu_cell quantized.quantized_rnn_relu_cell_dynamic",
}
GATES = {LSTM: "_thnn_fused_lstm_cell", GRU: "_thnn_fused_gru_cell"}

for operators_of, measure in ((NETWORKS, network), (CELLS, single_step), (GATES, gates)):
    for cell, operators in operators_of.items():
        formula(operators, STEPS)(given(cell=cell)(measure))


@formula("mkldnn_rnn_layer", STEPS)
def single_layer(x: Tensor, *, mode: int, hidden_size: Size, has_biases: bool) -> Quantities:
    """One layer in one direction of ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``."""
    return _stack(x, MODES[mode], hidden_size, hidden_size, has_biases)


@formula(
    "_thnn_fused_lstm_cell_backward_impl _thnn_fused_lstm_cell_backward",
    "mul = cells * (10 + 6 * from_hidden), add = cells * (3 + 2 * from_hidden + from_both) + summed, "
    "special = cells * from_hidden",
)
def lstm_cell_backward(
    grad_h: Tensor | None, grad_c: Tensor | None, c: Tensor, new_c: Tensor, workspace: Tensor, has_bias: bool
) -> Quantities:
    """c' = f c + i g, h' = o tanh(c'), with the gates i, f, o (sigmoid) and g (tanh) given, for every cell:

        t  = tanh(c')
        dc = dh o (1 - t t) + dc'    3 mul, 2 add (1 if only one of dh and dc' is given)
        do = (dh t) (1 - o) o        3 mul, 1 add
        di = (dc g) (1 - i) i        3 mul, 1 add
        df = (dc c) (1 - f) f        3 mul, 1 add
        dg = (dc i) (1 - g g)        3 mul, 1 add
        dc f                         1 mul

    The gradient of a bias sums the gates' gradients over the batch; both biases have the same."""
    from_hidden, from_cell = int(grad_h is not None), int(grad_c is not None)
    return {
        "cells": new_c.numel(),
        "from_hidden": from_hidden,
        "from_both": from_hidden * from_cell,
        "summed": additions_over_rows(workspace, workspace.shape[-1]) if has_bias else 0,
    }


@formula("_thnn_fused_gru_cell_backward", "mul = 10 * cells, add = 4 * cells + summed")
def gru_cell_backward(grad_h: Tensor, workspace: Tensor, has_bias: bool) -> Quantities:
    """h' = (1 - z) n + z h, n = tanh(x_n + r m), with the gates r, z, n and the product m given, for every cell:

        u  = dh (1 - z)           1 mul, 1 add
        dn = u (1 - n n)          2 mul, 1 add
        dz = u (h - n) z          2 mul, 1 add
        dr = (dn m) (1 - r) r     3 mul, 1 add
        dm = dn r, and dh z       2 mul

    The gradients of the two biases share their sums of dr and dz: dr, dz, dn and dm are summed over the batch."""
    cells = grad_h.numel()
    return {"cells": cells, "summed": 4 * additions_over_rows(grad_h, grad_h.shape[-1]) if has_bias else 0}


CELL_GRADIENTS = {
    RNN_RELU: (Cost(cmp=1), 1),  # dh where h > 0
    RNN_TANH: (Cost(mul=2, add=1), 1),  # dh (1 - h h)
    LSTM: (Cost(mul=16, add=6, special=1), 4),  # as lstm_cell_backward
    GRU: (Cost(mul=10, add=5), 4),  # as gru_cell_backward, and dh z joins what the products pass back
}
"""The arithmetic of the gradient of one unit in one step, and how many gates' gradients the biases sum."""

GRADIENTS = (
    "macs = steps * weights * passed + steps * weights * learned - steps * unneeded, "
    "mul = cells * cell_mul + dropped, add = cells * cell_add + outputs + merged + summed, "
    "cmp = cells * cell_cmp, special = cells * cell_special"
)
"""Every matrix of gates (and of a projection) passes a gradient back at every step, steps * weights macs, and has one
of its own, as many; the gradient of the network's input is left out where nobody asks for it. Besides, there are the
cells, one addition per output element where the gradient from above joins that of the next step, one per element
where the two directions meet in their input, one multiplication per element that was dropped out, and the biases."""


@formula("_cudnn_rnn_backward miopen_rnn_backward lstm_mps_backward", GRADIENTS)
def network_backward(
    *,
    input: Tensor,
    hx: Tensor | Sequence[Tensor],
    weight: Sequence[Tensor] = (),
    params: Sequence[Tensor] = (),
    mode: int = MODES.index(LSTM),
    hidden_size: Size = 0,
    num_layers: int = 1,
    dropout: float = 0,
    train: bool = False,
    bidirectional: bool = False,
    output_mask: Sequence[bool] = (True, True, True, True),
) -> Quantities:
    """The gradients of an RNN (mode 0 relu, 1 tanh), LSTM (2, and without a mode) or GRU (3) for the input, the hidden
    and cell states and the weights, whichever the mask asks for. Padded steps count."""
    h, c = _states(hx)
    width, hidden = h.shape[-1], hidden_size or c.shape[-1]
    parameters = [*weight, *params]
    steps, directions = prod(input.shape[:-1]), 1 + bidirectional
    cell, summed_gates = CELL_GRADIENTS[MODES[mode]]
    stacked = num_layers * directions
    between_layers = steps * directions * width * (num_layers - 1)
    to_input, *_, to_weights = output_mask
    asked = int(any(output_mask))
    of_first_layer = parameters[:: len(parameters) // stacked][:directions]
    return {
        "steps": steps,
        "weights": sum(parameter.numel() for parameter in parameters if parameter.dim() > 1),
        "passed": asked,
        "learned": int(to_weights),
        "unneeded": 0 if to_input else asked * sum(parameter.numel() for parameter in of_first_layer),
        "cells": asked * steps * stacked * hidden,
        "cell_mul": cell.mul,
        "cell_add": cell.add,
        "cell_cmp": cell.cmp,
        "cell_special": cell.special,
        "outputs": asked * steps * stacked * width,
        "dropped": asked * between_layers if train and dropout > 0 else 0,
        "merged": asked * (between_layers + (input.numel() if to_input else 0)) if bidirectional else 0,
        "summed": (steps - 1) * stacked * summed_gates * hidden if steps and to_weights and _biased(parameters) else 0,
    }


@formula("mkldnn_rnn_layer_backward", GRADIENTS)
def layer_backward(
    x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, hx: Tensor, *, mode: int, has_biases: bool
) -> Quantities:
    """As ``network_backward``, all gradients of one layer in one direction, whatever the network around it has."""
    return network_backward(input=x, hx=hx, weight=(w_ih, w_hh, b_ih, b_hh) if has_biases else (w_ih, w_hh), mode=mode)
