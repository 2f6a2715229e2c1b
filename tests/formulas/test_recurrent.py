"""Recurrent networks against their steps written by hand, and against counts worked out by hand."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fxcount import Cost
from fxcount.formulas import find_formula
from tests.costing import calls_of, cost_of, formula_cost

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten

# Per unit and step, biases aside. A sigmoid is special 1, add 1, div 1; each gate adds its two products.
LSTM = Cost(add=4 + 3 + 1, mul=3, div=3, special=3 + 2)
GRU = Cost(add=3 + 2 + 2, mul=3, div=2, special=2 + 1)
TANH = Cost(add=1, special=1)
RELU = Cost(add=1, cmp=1)
UNITS = {"lstm": LSTM, "gru": GRU, "rnn_tanh": TANH, "rnn_relu": RELU}
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
MODES = {"rnn_relu": 0, "rnn_tanh": 1, "lstm": 2, "gru": 3}


def network(kind: str, *sizes: int, **options: Any) -> nn.RNNBase:
    if kind.startswith("rnn"):
        return nn.RNN(*sizes, nonlinearity=kind.removeprefix("rnn_"), device="meta", **options)
    return {"lstm": nn.LSTM, "gru": nn.GRU}[kind](*sizes, device="meta", **options)


def of(name: str, *args: Any, **kwargs: Any) -> Cost:
    """What the formula of an operator that only some devices have makes of a call."""
    overload = name if "." in name else f"{name}.default"
    packet, overload = overload.split(".")
    formula = find_formula(getattr(getattr(aten, packet), overload))
    assert formula is not None
    return formula(args, kwargs, None).cost


def lstm_step(m: nn.LSTM, x: Tensor, state: tuple[Tensor, Tensor], layer: str) -> tuple[Tensor, Tensor]:
    weights = dict(m.named_parameters())
    h, c = state
    gates = nn.functional.linear(x, weights[f"weight_ih_{layer}"], weights.get(f"bias_ih_{layer}"))
    gates = gates + nn.functional.linear(h, weights[f"weight_hh_{layer}"], weights.get(f"bias_hh_{layer}"))
    i, f, g, o = gates.chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (nn.functional.linear(h, weights[f"weight_hr_{layer}"]) if m.proj_size else h), c


def gru_step(m: nn.GRU, x: Tensor, h: Tensor, layer: str) -> Tensor:
    weights = dict(m.named_parameters())
    inputs = nn.functional.linear(x, weights[f"weight_ih_{layer}"], weights.get(f"bias_ih_{layer}"))
    hidden = nn.functional.linear(h, weights[f"weight_hh_{layer}"], weights.get(f"bias_hh_{layer}"))
    (xr, xz, xn), (hr, hz, hn) = inputs.chunk(3, -1), hidden.chunk(3, -1)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    n = torch.tanh(xn + r * hn)
    return (1 - z) * n + z * h


def rnn_step(m: nn.RNN, x: Tensor, h: Tensor, layer: str) -> Tensor:
    weights = dict(m.named_parameters())
    inputs = nn.functional.linear(x, weights[f"weight_ih_{layer}"], weights.get(f"bias_ih_{layer}"))
    hidden = nn.functional.linear(h, weights[f"weight_hh_{layer}"], weights.get(f"bias_hh_{layer}"))
    return {"tanh": torch.tanh, "relu": torch.relu}[m.nonlinearity](inputs + hidden)


STEP = {"lstm": lstm_step, "gru": gru_step, "rnn_tanh": rnn_step, "rnn_relu": rnn_step}


def by_hand(m: nn.RNNBase, x: Tensor) -> Tensor:
    """The network on [T, B, F], step by step."""
    kind = m.mode.lower()
    batch, state = x.shape[1], m.proj_size or m.hidden_size
    for layer in range(m.num_layers):
        outputs = []
        for suffix in ("", "_reverse")[: 1 + m.bidirectional]:
            h, c = x.new_zeros(batch, state), x.new_zeros(batch, m.hidden_size)
            carried = (h, c) if kind == "lstm" else h
            steps = []
            for step in x.unbind(0):
                carried = STEP[kind](m, step, carried, f"l{layer}{suffix}")
                steps.append(carried[0] if kind == "lstm" else carried)
            outputs.append(torch.stack(steps))
        x = torch.cat(outputs, -1)
        if layer < m.num_layers - 1:
            x = nn.functional.dropout(x, m.dropout, m.training)
    return x


OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"bidirectional": True},
    {"num_layers": 3, "bidirectional": True},
    {"num_layers": 2, "dropout": 0.25},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", UNITS)
def test_a_network_costs_what_its_steps_cost(kind: str, options: dict[str, Any]) -> None:
    m, x = network(kind, 5, 7, **options), meta(4, 3, 5)
    assert cost_of(m, x) == cost_of(by_hand, m, x)
    assert cost_of(m.eval(), x) == cost_of(by_hand, m, x)


def test_a_projected_lstm_costs_what_its_steps_cost() -> None:
    m, x = network("lstm", 5, 7, proj_size=2, num_layers=2, bidirectional=True, dropout=0.5), meta(4, 3, 5)
    assert cost_of(m, x) == cost_of(by_hand, m, x)


@pytest.mark.parametrize("kind", UNITS)
def test_every_weight_meets_every_step(kind: str) -> None:
    m = network(kind, 5, 7, num_layers=2, bidirectional=True)
    # Two directions: the first layer takes 5 features, the second 2 * 7.
    rows, gates = 4 * 3, GATES[kind]
    weights = 2 * gates * 7 * (5 + 7) + 2 * gates * 7 * (2 * 7 + 7)
    assert weights == sum(p.numel() for p in m.parameters() if p.dim() == 2)
    biases = 2 * 2 * 2 * gates * 7
    assert cost_of(m, meta(4, 3, 5)) == rows * (2 * 2 * 7 * UNITS[kind] + Cost(macs=weights, add=biases))


def test_dropout_scales_what_is_between_the_layers() -> None:
    m, x = network("lstm", 5, 7, num_layers=3, bidirectional=True, dropout=0.5, proj_size=2), meta(4, 3, 5)
    assert cost_of(m, x) == cost_of(m.eval(), x) + Cost(mul=4 * 3 * 2 * (2 * 2))


@pytest.mark.parametrize("kind", UNITS)
def test_the_form_of_the_input_does_not_matter(kind: str) -> None:
    m = network(kind, 5, 7)
    expected = cost_of(m, meta(6, 1, 5))
    assert cost_of(m, meta(6, 5)) == expected
    assert cost_of(network(kind, 5, 7, batch_first=True), meta(1, 6, 5)) == expected
    on_cpu = m.to_empty(device="cpu")
    assert cost_of(on_cpu, torch.zeros(6, 1, 5)) == expected
    assert cost_of(on_cpu, torch.zeros(6, 0, 5)) == Cost()


@pytest.mark.parametrize("kind", UNITS)
def test_a_packed_batch_has_no_padding(kind: str) -> None:
    m = network(kind, 5, 7)
    state = meta(1, 3, 7)
    hx = [state, state] if kind == "lstm" else state
    weights = list(m.parameters())
    # Lengths 4, 3, 1: eight rows.
    call = (meta(8, 5), torch.tensor([3, 2, 2, 1]), hx, weights, True, 1, 0.0, False, False)
    assert of(f"{kind}.data", *call) == cost_of(m, meta(8, 1, 5))


@pytest.mark.parametrize("kind", UNITS)
def test_one_step(kind: str) -> None:
    biased, gates, batch = Cost(add=2 * GATES[kind] * 7), GATES[kind], 3
    expected = batch * (7 * UNITS[kind] + Cost(macs=gates * 7 * (5 + 7)))
    cell = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}.get(kind)
    for bias in (True, False):
        m = cell(5, 7, bias) if cell else nn.RNNCell(5, 7, bias, kind.removeprefix("rnn_"))
        assert cost_of(m, torch.zeros(3, 5)) == expected + batch * bias * biased
        assert 3 * cost_of(m, torch.zeros(5)) == expected + batch * bias * biased


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_gates_without_their_products(kind: str) -> None:
    gates, state, bias = meta(3, GATES[kind] * 7), meta(3, 7), meta(GATES[kind] * 7)
    assert of(f"_thnn_fused_{kind}_cell", gates, gates, state) == 3 * 7 * UNITS[kind]
    added = Cost(add=3 * 2 * GATES[kind] * 7)
    assert of(f"_thnn_fused_{kind}_cell", gates, gates, state, bias, bias) == 3 * 7 * UNITS[kind] + added


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", UNITS)
def test_the_networks_of_other_devices_cost_the_same(kind: str, bias: bool) -> None:
    m = network(kind, 5, 7, num_layers=2, bidirectional=True, dropout=0.5, bias=bias)
    x, weights, h = meta(4, 3, 5), list(m.parameters()), meta(4, 3, 7)
    c = h if kind == "lstm" else None
    expected, mode, stride = cost_of(m, x), MODES[kind], 4 if bias else 2
    end = (2, False, 0.5, True, True, [], None)
    assert of("_cudnn_rnn", x, weights, stride, None, h, c, mode, 7, 0, *end) == expected
    assert of("miopen_rnn", x, weights, stride, h, c, mode, 7, *end) == expected
    packed = (2, False, 0.5, True, True, [3, 3, 3, 3], None)
    assert of("_cudnn_rnn", meta(12, 5), weights, stride, None, h, c, mode, 7, 0, *packed) == expected


def test_a_projected_lstm_costs_the_same_on_other_devices() -> None:
    m = network("lstm", 5, 7, num_layers=2, proj_size=2)
    x, weights, h, c = meta(4, 3, 5), list(m.parameters()), meta(2, 3, 2), meta(2, 3, 7)
    end = (2, False, 0.0, True, False, [], None)
    assert of("_cudnn_rnn", x, weights, 5, None, h, c, 2, 7, 2, *end) == cost_of(m, x)
    assert of("_lstm_mps", x, [h, c], weights, True, 2, 0.0, True, False, False) == cost_of(m, x)


@pytest.mark.parametrize("bias", [True, False])
def test_a_single_layer_in_one_direction(bias: bool) -> None:
    m, x, h = network("lstm", 5, 7, bias=bias), meta(4, 3, 5), meta(1, 3, 7)
    weights = [*m.parameters(), meta(28), meta(28)][:4]
    call = (x, *weights, h, h, False, [], 2, 7, 1, bias, False, False, True)
    assert of("mkldnn_rnn_layer", *call) == cost_of(m, x)


@pytest.mark.parametrize("kind", UNITS)
def test_quantised_weights_cost_what_weights_cost(kind: str) -> None:
    x, state = meta(3, 5), meta(3, 7)
    hx = [state, state] if kind == "lstm" else state
    expected = 3 * (7 * UNITS[kind] + Cost(macs=GATES[kind] * 7 * 12, add=2 * GATES[kind] * 7))
    w_ih, w_hh, bias = meta(0, dtype=torch.int8), meta(0, dtype=torch.int8), meta(GATES[kind] * 7)
    packed = (w_ih, w_hh, w_ih, w_hh, 1.0, 1.0, 0, 0)
    assert of(f"quantized_{kind}_cell", x, hx, w_ih, w_hh, bias, bias, *packed) == expected
    dynamic = getattr(torch.ops.quantized, f"quantized_{kind}_cell_dynamic").default
    formula = find_formula(dynamic)
    assert formula is not None
    assert formula((x, hx, None, None, bias, bias), {}, None).cost == expected


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_quantised_network_costs_what_the_network_costs(kind: str) -> None:
    m, x, state = network(kind, 5, 7, num_layers=2, bidirectional=True), meta(4, 3, 5), meta(4, 3, 7)
    hx = [state, state] if kind == "lstm" else state
    packed: list[Any] = []
    call = (x, hx, packed, True, 2, 0.0, False, True, False)
    assert of(f"quantized_{kind}.input", *call) == cost_of(m, x)
    rows = (meta(12, 5), torch.tensor([3, 3, 3, 3]), hx, packed, True, 2, 0.0, False, True)
    assert of(f"quantized_{kind}.data", *rows) == cost_of(m, x)


@pytest.mark.parametrize("kind", UNITS)
def test_a_network_is_one_call(kind: str) -> None:
    calls = calls_of(network(kind, 5, 7, num_layers=2), meta(4, 3, 5))
    assert [call.name for call in calls if call.cost != Cost()] == [f"aten.{kind}"]


# Gradients of cells, a batch of 2 and 3 hidden elements

HIDDEN = meta(2, 3)


@pytest.mark.parametrize(
    ("grad_h", "grad_c", "bias", "expected"),
    [
        # dh: 16 mul, 6 add, 1 tanh per cell; 4 * 3 biases sum 2 rows
        (HIDDEN, HIDDEN, True, Cost(mul=16 * 6, add=6 * 6 + 4 * 3 * 1, special=6)),
        (HIDDEN, None, False, Cost(mul=16 * 6, add=5 * 6, special=6)),
        (None, HIDDEN, False, Cost(mul=10 * 6, add=3 * 6)),
    ],
)
def test_gradients_of_an_lstm_cell(grad_h: Any, grad_c: Any, bias: bool, expected: Cost) -> None:
    args = (grad_h, grad_c, HIDDEN, HIDDEN, meta(2, 12), bias)
    assert formula_cost(aten._thnn_fused_lstm_cell_backward_impl.default, *args) == expected
    assert formula_cost(aten._thnn_fused_lstm_cell_backward.default, *args) == expected


@pytest.mark.parametrize(("bias", "summed"), [(True, 4 * 3 * 1), (False, 0)])
def test_gradients_of_a_gru_cell(bias: bool, summed: int) -> None:
    cost = formula_cost(aten._thnn_fused_gru_cell_backward.default, HIDDEN, meta(2, 15), bias)
    assert cost == Cost(mul=10 * 6, add=4 * 6 + summed)


def test_gradients_without_a_batch_are_free() -> None:
    empty = meta(0, 3)
    lstm = aten._thnn_fused_lstm_cell_backward_impl.default
    assert formula_cost(lstm, empty, empty, empty, empty, meta(0, 12), True) == Cost()
    assert formula_cost(aten._thnn_fused_gru_cell_backward.default, empty, meta(0, 15), True) == Cost()


@pytest.mark.parametrize(
    ("operator", "args"),
    [
        (
            aten._thnn_differentiable_lstm_cell_backward,
            (HIDDEN, HIDDEN, meta(2, 12), meta(2, 12), meta(12), meta(12), HIDDEN, HIDDEN),
        ),
        (aten._thnn_differentiable_gru_cell_backward, (HIDDEN, meta(2, 9), meta(2, 9), HIDDEN, meta(9), meta(9))),
    ],
)
def test_gradients_of_differentiable_cells_are_counted_by_their_parts(operator: Any, args: tuple[Any, ...]) -> None:
    assert cost_of(operator, *args).mul > 0


# Gradients of networks: 5 steps, a batch of 2, 4 inputs, 3 hidden elements; every step has 2 rows

STEPS = 5 * 2


def network_weights(gates, layers, directions, projected=0, bias=True):
    weights = []
    for layer in range(layers):
        width = 4 if layer == 0 else (projected or 3) * directions
        for _ in range(directions):
            weights += [meta(gates * 3, width), meta(gates * 3, projected or 3)]
            weights += [meta(gates * 3), meta(gates * 3)] if bias else []
            weights += [meta(projected, 3)] if projected else []
    return weights


def network_cost(mode, weights, mask=(True,) * 4, *, layers=1, bidirectional=False, projected=0, dropout=0.0):
    directions = 1 + bidirectional
    stride = len(weights) // (layers * directions)
    state = meta(layers * directions, 2, projected or 3)
    out = meta(5, 2, directions * (projected or 3))
    tail = (layers, False, dropout, True, bidirectional, [], None, meta(0), list(mask))
    args = (meta(5, 2, 4), weights, stride, meta(0), state, None, out, out, state, None)
    return formula_cost(aten._cudnn_rnn_backward.default, *args, mode, 3, projected, *tail)


@pytest.mark.parametrize(
    ("mode", "gates", "sums", "cell"),
    [
        (0, 1, 1, Cost(cmp=1)),
        (1, 1, 1, Cost(mul=2, add=1)),
        (2, 4, 4, Cost(mul=16, add=6, special=1)),
        (3, 3, 4, Cost(mul=10, add=5)),
    ],
)
def test_gradients_of_a_layer(mode: int, gates: int, sums: int, cell: Cost) -> None:
    """Both matrices have two gradients; one addition joins each output's gradient with the next step's; each of the
    sums of the biases has 10 terms."""
    matrices = gates * 3 * (4 + 3)
    expected = 3 * STEPS * cell + Cost(macs=2 * STEPS * matrices, add=3 * STEPS + sums * 3 * (STEPS - 1))
    assert network_cost(mode, network_weights(gates, 1, 1)) == expected
    args = (meta(5, 2, 4), *network_weights(gates, 1, 1), *[meta(2, 3)] * 2, *[meta(5, 2, 3)] * 3)
    tail = (None, None, None, False, mode, 3, 2, True, True, True, [], False, meta(0))
    assert formula_cost(aten.mkldnn_rnn_layer_backward.default, *args, *tail) == expected


def test_only_the_gradients_that_are_asked_for() -> None:
    matrices, weights = 4 * 3 * (4 + 3), network_weights(4, 1, 1, bias=False)
    cells = 3 * STEPS * Cost(mul=16, add=6 + 1, special=1)
    assert network_cost(2, weights, (False,) * 4) == Cost()
    assert network_cost(2, weights, (True, False, False, False)) == cells + Cost(macs=STEPS * matrices)
    assert network_cost(2, weights, (False, True, False, False)) == cells + Cost(macs=STEPS * 4 * 3 * 3)
    learned = cells + Cost(macs=STEPS * (matrices + 4 * 3 * 3))
    assert network_cost(2, weights, (False, False, False, True)) == learned


def test_gradients_of_two_layers_in_two_directions_with_dropout() -> None:
    weights = network_weights(3, 2, 2)
    matrices = 2 * 9 * (4 + 3) + 2 * 9 * (6 + 3)
    # 4 stacked cells; 2 * 3 elements between the layers are dropped, and meet (as do the 4 inputs) from two directions
    cells = 4 * 3 * STEPS * Cost(mul=10, add=5 + 1)
    between = STEPS * Cost(mul=6, add=6 + 4)
    biases = Cost(add=4 * 4 * 3 * (STEPS - 1))
    cost = network_cost(3, weights, layers=2, bidirectional=True, dropout=0.5)
    assert cost == cells + between + biases + Cost(macs=2 * STEPS * matrices)


def test_gradients_of_a_projection_are_those_of_one_more_matrix() -> None:
    weights = network_weights(4, 1, 1, projected=2, bias=False)
    cost = network_cost(2, weights, projected=2)
    # gates over 4 inputs and 2 projected elements, a projection of 3 to 2, one addition per projected element
    expected = Cost(macs=2 * STEPS * (12 * (4 + 2) + 2 * 3), add=2 * STEPS)
    assert cost == 3 * STEPS * Cost(mul=16, add=6, special=1) + expected


def test_gradients_of_the_same_network_on_other_backends() -> None:
    weights = network_weights(4, 2, 1)
    expected = network_cost(2, weights, layers=2, dropout=0.5)
    state, out = meta(2, 2, 3), meta(5, 2, 3)
    args = (meta(5, 2, 4), weights, 4, meta(0), state, state, out, out, state, state, 2, 3, 2, False, 0.5, True, False)
    assert formula_cost(aten.miopen_rnn_backward.default, *args, [], None, meta(0), [True] * 4) == expected
    args = (out, state, state, meta(0), meta(0), meta(5, 2, 4), meta(0), [state, state], weights, True, 2, 0.5, True)
    assert formula_cost(aten.lstm_mps_backward.default, *args, False, False) == expected
