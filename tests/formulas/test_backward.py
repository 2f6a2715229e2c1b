"""Gradients of contractions, attention, recurrent networks and embeddings."""

from math import prod

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from fxcount.cost import Cost
from fxcount.formulas import REFUSED, find_formula
from tests.costing import calls_of, cost_of

aten = torch.ops.aten
ALL = [True, True, True]


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, device="meta", dtype=dtype)


def formula_cost(operator, *args, out=None, **kwargs):
    """What the formula says, for operators that do not run here."""
    return find_formula(operator)(args, kwargs, out).cost


def operators_of(function):
    """The operators that autograd calls in ``function``, to be called again."""
    calls = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            calls.append((func, args, kwargs or {}))
            return func(*args, **(kwargs or {}))

    with Recorder():
        function()
    return calls


def flops_of(function):
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


# Convolutions: y [2, 6, 4, 3] of x [2, 4, 6, 5] under a kernel 3x3


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ((True, True, True), Cost(macs=2 * (2 * 6 * 4 * 3) * (4 * 9), add=2 * 6 * 4 * 3 - 6)),
        ((True, False, False), Cost(macs=(2 * 6 * 4 * 3) * (4 * 9))),
        ((False, True, False), Cost(macs=(2 * 6 * 4 * 3) * (4 * 9))),
        ((False, False, True), Cost(add=2 * 6 * 4 * 3 - 6)),
        ((False, False, False), Cost()),
    ],
)
def test_convolution_costs_its_forward_for_each_gradient(mask, expected):
    gradient, x, weight = meta(2, 6, 4, 3), meta(2, 4, 6, 5), meta(6, 4, 3, 3)
    options = [[1, 1], [0, 0], [1, 1], False, [0, 0], 1]
    assert cost_of(aten.convolution_backward, gradient, x, weight, [6], *options, mask) == expected
    assert formula_cost(aten.convolution_backward_overrideable.default, gradient, x, weight, *options, mask) == expected
    slow = aten._slow_conv2d_backward.output_mask
    assert formula_cost(slow, gradient, x, weight, [3, 3], [1, 1], [0, 0], list(mask)) == expected
    mps = aten.mps_convolution_backward.default
    assert formula_cost(mps, x, gradient, weight, [0, 0], [1, 1], [1, 1], 1, list(mask)) == expected


def test_slow_convolution_writing_into_given_gradients_computes_all_of_them():
    gradient, x, weight = meta(2, 6, 4, 3), meta(2, 4, 6, 5), meta(6, 4, 3, 3)
    out = {"grad_input": meta(0), "grad_weight": meta(0), "grad_bias": meta(0)}
    cost = formula_cost(aten._slow_conv2d_backward.grad_input, gradient, x, weight, [3, 3], [1, 1], [0, 0], **out)
    assert cost == Cost(macs=2 * 144 * 36, add=144 - 6)


def test_grouped_convolution_contracts_over_the_channels_of_a_group():
    # y [2, 6, 7] of x [2, 4, 9] in 2 groups: 2 channels per group, a kernel of 3
    options = [[1], [0], [1], False, [0], 2, ALL]
    cost = cost_of(aten.convolution_backward, meta(2, 6, 7), meta(2, 4, 9), meta(6, 2, 3), [6], *options)
    assert cost == Cost(macs=2 * (2 * 6 * 7) * (2 * 3), add=2 * 6 * 7 - 6)


def test_transposed_convolution_counts_from_its_input():
    # y [2, 6, 11] of x [2, 4, 5], a kernel of 3, a stride of 2: 2 * 4 * 5 inputs, each spread over 6 * 3 taps
    options = [[2], [0], [1], True, [0], 1, ALL]
    cost = cost_of(aten.convolution_backward, meta(2, 6, 11), meta(2, 4, 5), meta(4, 6, 3), [6], *options)
    assert cost == Cost(macs=2 * (2 * 4 * 5) * (6 * 3), add=2 * 6 * 11 - 6)
    mps = aten.mps_convolution_transpose_backward.default
    cost = formula_cost(mps, meta(2, 4, 5, 1), meta(2, 6, 11, 1), meta(4, 6, 3, 1), [0], [0], [2], [1], 1, [True, True])
    assert cost == Cost(macs=2 * (2 * 4 * 5) * (6 * 3))


def test_convolution_without_examples_is_free():
    options = [[1], [0], [1], False, [0], 1, ALL]
    assert cost_of(aten.convolution_backward, meta(0, 6, 7), meta(0, 4, 9), meta(6, 4, 3), [6], *options) == Cost()


def test_convolution_over_time():
    # y [7, 2, 6] of x [9, 2, 4], weight [3, 4, 6]
    cost = cost_of(aten.conv_tbc_backward, meta(7, 2, 6), meta(9, 2, 4), meta(3, 4, 6), meta(6), 0)
    assert cost == Cost(macs=2 * (7 * 2 * 6) * (3 * 4), add=7 * 2 * 6 - 6)


def test_second_gradient_of_a_convolution_is_counted_by_its_convolutions():
    # y [2, 4, 3, 3] of x [2, 3, 5, 5] under a kernel 3x3
    x, weight, gradient = meta(2, 3, 5, 5), meta(4, 3, 3, 3), meta(2, 4, 3, 3)
    options = [[1, 1], [0, 0], [1, 1], False, [0, 0], 1, ALL]
    calls = calls_of(aten._convolution_double_backward, x, weight, meta(4), gradient, weight, x, *options)
    assert not [call.name for call in calls if call.uncounted]
    # ggy = conv(ggx, w) + conv(x, ggw) + ggb, gw = conv of (ggx, gy), gx = transposed conv of (gy, ggw)
    assert sum(call.cost.macs for call in calls) == 4 * (2 * 4 * 3 * 3) * (3 * 9)
    assert sum(call.cost.add for call in calls) == 2 * (2 * 4 * 3 * 3)


# Matrix products: y [5, 7] = x [5, 3] W [7, 3]^T


@pytest.mark.parametrize(
    ("operator", "args", "expected"),
    [
        (aten.linear_backward, (meta(5, 3), meta(5, 7), meta(7, 3), ALL), Cost(macs=2 * 105, add=35 - 7)),
        (aten.linear_backward, (meta(2, 5, 3), meta(2, 5, 7), meta(7, 3), [False, True, False]), Cost(macs=210)),
        (aten.mkldnn_linear_backward, (meta(5, 3), meta(5, 7), meta(7, 3), ALL), Cost(macs=2 * 105, add=35 - 7)),
        (aten.mkldnn_linear_backward_input, ([5, 3], meta(5, 7), meta(7, 3)), Cost(macs=105)),
        (aten.mkldnn_linear_backward_weights, (meta(5, 7), meta(5, 3), meta(7, 3), True), Cost(macs=105, add=28)),
        (aten.mkldnn_linear_backward_weights, (meta(5, 7), meta(5, 3), meta(7, 3), False), Cost(macs=105)),
        (aten.linear_backward, (meta(0, 3), meta(0, 7), meta(7, 3), ALL), Cost()),
        (aten.matmul_backward, (meta(2, 5, 7), meta(2, 5, 3), meta(2, 3, 7), [True, True]), Cost(macs=2 * 2 * 105)),
        (aten.matmul_backward, (meta(5, 7), meta(5, 3), meta(3, 7), [True, False]), Cost(macs=105)),
        # theta [2, 2, 3] for a grid [2, 4, 5, 2], theta [2, 3, 4] for a grid [2, 4, 5, 3]
        (aten.cudnn_affine_grid_generator_backward, (meta(2, 4, 5, 2), 2, 3, 4, 5), Cost(macs=80 * 3)),
        (aten.affine_grid_generator_backward, (meta(2, 4, 5, 1, 3), [2, 1, 4, 5, 1], False), Cost(macs=120 * 4)),
    ],
)
def test_products(operator, args, expected):
    assert formula_cost(operator.default, *args) == expected


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [
        ("sum", Cost(macs=2 * 3 * 5)),
        ("mean", Cost(macs=2 * 3 * 5, div=2 * 5)),
        ("amax", Cost(macs=2 * 2 * 5)),
    ],
)
def test_sparse_product(reduce, expected):
    """x [2, 4] with 3 stored values times w [4, 5]."""
    x = torch.sparse_csr_tensor([0, 1, 3], [1, 0, 3], torch.ones(3), (2, 4), check_invariants=True)
    args = (x, meta(2, 5), meta(4, 5), reduce, meta(2, 5), [True, True])
    assert formula_cost(aten._sparse_mm_reduce_impl_backward.default, *args) == expected


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (torch.nn.Conv2d(4, 6, 3, padding=1), (2, 4, 7, 5)),
        (torch.nn.Conv1d(4, 6, 3, stride=2, dilation=2), (2, 4, 11)),
        (torch.nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 7, 5)),
        (torch.nn.Linear(3, 7), (2, 5, 3)),
    ],
)
def test_a_backward_pass_has_the_macs_that_torch_counts(module, shape):
    module = module.to("meta")
    x = meta(*shape).requires_grad_()
    outputs = module(x)
    operands = [x, *module.parameters()]

    def backward():
        torch.autograd.grad(outputs, operands, torch.empty_like(outputs), retain_graph=True)

    replayed = sum(cost_of(func, *args, **kwargs).macs for func, args, kwargs in operators_of(backward))
    flops = flops_of(backward)
    assert 2 * replayed == flops > 0


@pytest.mark.parametrize("transposed", [False, True])
def test_torch_counts_the_weight_gradient_of_grouped_convolutions_once_too_often_per_group(transposed):
    """torch.utils.flop_counter contracts it over all channels; only those of a group take part."""
    x, gradient, weight = meta(2, 6, 9), meta(2, 6, 9), meta(6, 2, 3)
    options = [[1], [1], [1], transposed, [0], 3]
    for mask, factor in (([True, False, False], 1), ([False, True, False], 3)):

        def backward(mask=mask):
            return aten.convolution_backward(gradient, x, weight, [6], *options, mask)

        assert cost_of(backward) == Cost(macs=2 * 6 * 9 * 2 * 3)
        assert flops_of(backward) == 2 * factor * (2 * 6 * 9 * 2 * 3)


# Attention: B 2, H 4, L 3, S 5, E 8, Ev 6 (on the CPU 8)

SCORES, ROWS = 2 * 4 * 3 * 5, 2 * 4 * 3


def attention_cost(value_width, *, added=0, selected=0, dropped=0):
    """Per score three products over E and two over Ev, the scale twice, P - L, exp, and P (dP - D); D per row."""
    return Cost(
        macs=SCORES * (3 * 8 + 2 * value_width),
        mul=SCORES * (3 + 2 * dropped) + ROWS * value_width,
        add=SCORES * (2 + added) + ROWS * (value_width - 1),
        cmp=SCORES * selected,
        special=SCORES,
    )


def attention_tensors(value_width, heads=4):
    """grad, query, key, value, out, logsumexp."""
    out = meta(2, 4, 3, value_width)
    return out, meta(2, 4, 3, 8), meta(2, heads, 5, 8), meta(2, heads, 5, value_width), out, meta(2, 4, 3)


PHILOX = (meta(dtype=torch.long), meta(dtype=torch.long))


@pytest.mark.parametrize("heads", [4, 2])
@pytest.mark.parametrize(("dropout", "dropped"), [(0.0, 0), (0.5, 1)])
@pytest.mark.parametrize(("causal", "selected"), [(False, 0), (True, 1)])
def test_flash_attention(heads, dropout, dropped, causal, selected):
    """Grouped keys count per query head, causal scores in full."""
    tensors = attention_tensors(8, heads)
    expected = attention_cost(8, dropped=dropped, selected=selected)
    flash = aten._scaled_dot_product_flash_attention_backward
    args = (*tensors, None, None, 3, 5, dropout, causal, *PHILOX)
    assert formula_cost(flash.default, *args) == expected
    if heads == 4:
        cpu = aten._scaled_dot_product_flash_attention_for_cpu_backward
        assert cost_of(cpu, *tensors, dropout, causal) == expected
        assert 2 * expected.macs == flops_of(lambda: flash(*args))


@pytest.mark.parametrize(
    ("mask", "extra"),
    [(meta(2, 4, 3, 5), {"added": 1}), (meta(2, 4, 3, 5, dtype=torch.bool), {"selected": 1}), (None, {})],
)
def test_attention_with_a_mask(mask, extra):
    grad, query, key, value, out, logsumexp = attention_tensors(6)
    expected = attention_cost(6, **extra)
    forward, sequences = (out, logsumexp), (None, None, 3, 5)
    cpu = aten._scaled_dot_product_flash_attention_for_cpu_backward
    assert formula_cost(cpu.default, grad, query, key, value, *forward, 0.0, False, attn_mask=mask) == expected
    efficient = aten._scaled_dot_product_efficient_attention_backward
    args = (grad, query, key, value, mask, *forward, *PHILOX, 0.0, [True] * 4)
    assert formula_cost(efficient.default, *args) == expected
    cudnn = (grad, query, key, value, *forward, *PHILOX, mask, *sequences, 0.0, False)
    assert formula_cost(aten._scaled_dot_product_cudnn_attention_backward.default, *cudnn) == expected
    assert formula_cost(aten._cudnn_attention_backward.default, *cudnn) == expected
    fused = aten._scaled_dot_product_fused_attention_overrideable_backward.default
    args = (grad, query, key, value, mask, [True] * 4, *forward, *sequences, 0.0, False, *PHILOX)
    assert formula_cost(fused, *args) == expected


@pytest.mark.parametrize(
    "operator",
    [aten._scaled_dot_product_efficient_attention_backward, aten._scaled_dot_product_cudnn_attention_backward],
)
def test_attention_has_the_macs_that_torch_counts(operator):
    grad, query, key, value, out, logsumexp = attention_tensors(6)
    if operator is aten._scaled_dot_product_efficient_attention_backward:
        args = (grad, query, key, value, None, out, logsumexp, *PHILOX, 0.0, [True, True, True, False])
    else:
        args = (grad, query, key, value, out, logsumexp, *PHILOX, None, None, None, 3, 5, 0.0, False)
    assert 2 * formula_cost(operator.default, *args).macs == flops_of(lambda: operator(*args)) > 0


def test_attention_kernels_that_put_the_heads_last():
    grad, query, key, value, out, logsumexp = (x.transpose(1, 2) if x.dim() == 4 else x for x in attention_tensors(8))
    flash = (grad, query, key, value, out, logsumexp, None, None, 3, 5, 0.0, False, *PHILOX)
    assert formula_cost(aten._flash_attention_backward.default, *flash) == attention_cost(8)
    efficient = (grad, query, key, value, None, out, None, None, 3, 5, logsumexp, 0.0, *PHILOX)
    operator = aten._efficient_attention_backward.default
    assert formula_cost(operator, *efficient, 0, False) == attention_cost(8)
    assert formula_cost(operator, *efficient, 1, False) == attention_cost(8, selected=1)


def test_packed_sequences_count_as_if_all_were_as_long_as_the_longest():
    """Two sequences: at most 3 queries and 5 keys each."""
    offsets = meta(3, dtype=torch.int32)
    grad, query, key, value = meta(4, 4, 8), meta(4, 4, 8), meta(9, 4, 8), meta(9, 4, 8)
    flash = (grad, query, key, value, grad, meta(4, 4), offsets, offsets, 3, 5, 0.0, False, *PHILOX)
    assert formula_cost(aten._flash_attention_backward.default, *flash) == attention_cost(8)
    cudnn = (grad, query, key, value, grad, meta(4, 4), *PHILOX, None, offsets, offsets, 3, 5, 0.0, False)
    assert formula_cost(aten._cudnn_attention_backward.default, *cudnn) == attention_cost(8)
    grad, query, key, value = (x.unsqueeze(0) for x in (grad, query, key, value))
    efficient = (grad, query, key, value, None, grad, offsets, offsets, 3, 5, meta(4, 4), 0.0, *PHILOX, 0, False)
    assert formula_cost(aten._efficient_attention_backward.default, *efficient) == attention_cost(8)


def test_attention_without_queries_is_free():
    out, query, key = meta(2, 4, 0, 8), meta(2, 4, 0, 8), meta(2, 4, 5, 8)
    cpu = aten._scaled_dot_product_flash_attention_for_cpu_backward.default
    assert formula_cost(cpu, out, query, key, key, out, meta(2, 4, 0), 0.0, False) == Cost()


# Recurrent cells, a batch of 2 and 3 hidden elements

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
def test_lstm_cell(grad_h, grad_c, bias, expected):
    args = (grad_h, grad_c, HIDDEN, HIDDEN, meta(2, 12), bias)
    assert formula_cost(aten._thnn_fused_lstm_cell_backward_impl.default, *args) == expected
    assert formula_cost(aten._thnn_fused_lstm_cell_backward.default, *args) == expected


@pytest.mark.parametrize(("bias", "summed"), [(True, 4 * 3 * 1), (False, 0)])
def test_gru_cell(bias, summed):
    cost = formula_cost(aten._thnn_fused_gru_cell_backward.default, HIDDEN, meta(2, 15), bias)
    assert cost == Cost(mul=10 * 6, add=4 * 6 + summed)


def test_cells_without_a_batch_are_free():
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
def test_differentiable_cells_are_counted_by_their_parts(operator, args):
    assert cost_of(operator, *args).mul > 0


# Recurrent networks: 5 steps, a batch of 2, 4 inputs, 3 hidden elements; every step has 2 rows

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
def test_a_layer(mode, gates, sums, cell):
    """Both matrices have two gradients; one addition joins each output's gradient with the next step's; each of the
    sums of the biases has 10 terms."""
    matrices = gates * 3 * (4 + 3)
    expected = 3 * STEPS * cell + Cost(macs=2 * STEPS * matrices, add=3 * STEPS + sums * 3 * (STEPS - 1))
    assert network_cost(mode, network_weights(gates, 1, 1)) == expected
    args = (meta(5, 2, 4), *network_weights(gates, 1, 1), *[meta(2, 3)] * 2, *[meta(5, 2, 3)] * 3)
    tail = (None, None, None, False, mode, 3, 2, True, True, True, [], False, meta(0))
    assert formula_cost(aten.mkldnn_rnn_layer_backward.default, *args, *tail) == expected


def test_only_the_gradients_that_are_asked_for():
    matrices, weights = 4 * 3 * (4 + 3), network_weights(4, 1, 1, bias=False)
    cells = 3 * STEPS * Cost(mul=16, add=6 + 1, special=1)
    assert network_cost(2, weights, (False,) * 4) == Cost()
    assert network_cost(2, weights, (True, False, False, False)) == cells + Cost(macs=STEPS * matrices)
    assert network_cost(2, weights, (False, True, False, False)) == cells + Cost(macs=STEPS * 4 * 3 * 3)
    learned = cells + Cost(macs=STEPS * (matrices + 4 * 3 * 3))
    assert network_cost(2, weights, (False, False, False, True)) == learned


def test_two_layers_in_two_directions_with_dropout():
    weights = network_weights(3, 2, 2)
    matrices = 2 * 9 * (4 + 3) + 2 * 9 * (6 + 3)
    # 4 stacked cells; 2 * 3 elements between the layers are dropped, and meet (as do the 4 inputs) from two directions
    cells = 4 * 3 * STEPS * Cost(mul=10, add=5 + 1)
    between = STEPS * Cost(mul=6, add=6 + 4)
    biases = Cost(add=4 * 4 * 3 * (STEPS - 1))
    cost = network_cost(3, weights, layers=2, bidirectional=True, dropout=0.5)
    assert cost == cells + between + biases + Cost(macs=2 * STEPS * matrices)


def test_a_projection_is_one_more_matrix():
    weights = network_weights(4, 1, 1, projected=2, bias=False)
    cost = network_cost(2, weights, projected=2)
    # gates over 4 inputs and 2 projected elements, a projection of 3 to 2, one addition per projected element
    expected = Cost(macs=2 * STEPS * (12 * (4 + 2) + 2 * 3), add=2 * STEPS)
    assert cost == 3 * STEPS * Cost(mul=16, add=6, special=1) + expected


def test_the_same_network_on_other_backends():
    weights = network_weights(4, 2, 1)
    expected = network_cost(2, weights, layers=2, dropout=0.5)
    state, out = meta(2, 2, 3), meta(5, 2, 3)
    args = (meta(5, 2, 4), weights, 4, meta(0), state, state, out, out, state, state, 2, 3, 2, False, 0.5, True, False)
    assert formula_cost(aten.miopen_rnn_backward.default, *args, [], None, meta(0), [True] * 4) == expected
    args = (out, state, state, meta(0), meta(0), meta(5, 2, 4), meta(0), [state, state], weights, True, 2, 0.5, True)
    assert formula_cost(aten.lstm_mps_backward.default, *args, False, False) == expected


# Embeddings


def test_embedding_adds_once_per_accumulated_element():
    indices = torch.zeros(2, 3, dtype=torch.long)
    assert cost_of(aten.embedding_dense_backward, meta(2, 3, 5), indices, 10, -1, False) == Cost(add=30)
    assert cost_of(aten.embedding_dense_backward, meta(2, 3, 5), indices, 10, 1, True) == Cost(add=30, div=30)
    assert cost_of(aten.embedding_backward, meta(2, 3, 5), indices, 10, -1, False, False) == Cost(add=30)


@pytest.mark.parametrize(
    ("mode", "sparse", "weights", "by_frequency", "expected"),
    [
        (0, False, None, False, Cost(add=7 * 5)),
        (0, False, meta(7), False, Cost(add=7 * 5, mul=7 * 5)),
        (0, True, meta(7), False, Cost(mul=7 * 5)),
        (1, False, None, True, Cost(add=7 * 5, div=2 * 5 + 7 * 5)),
        (1, True, None, False, Cost(div=2 * 5)),
        (2, False, None, False, Cost(add=2 * 5)),
    ],
)
def test_embedding_bag(mode, sparse, weights, by_frequency, expected):
    """7 embeddings of 5 elements in 2 bags."""
    bags = [meta(size, dtype=torch.long) for size in (7, 2, 7, 2, 2)]
    args = (meta(2, 5), *bags, 10, by_frequency, mode)
    assert formula_cost(aten._embedding_bag_backward.default, *args, sparse, weights) == expected
    if sparse:
        args = (meta(2, 5), *bags[:4], 10, by_frequency, mode, weights)
        assert formula_cost(aten._embedding_bag_sparse_backward.default, *args) == expected
    else:
        args = (meta(2, 5), bags[0], *bags[2:], 10, by_frequency, mode, weights)
        assert formula_cost(aten._embedding_bag_dense_backward.default, *args) == expected


def test_a_samples_weight_is_a_dot_product():
    bags = [meta(size, dtype=torch.long) for size in (7, 2, 7)]
    cost = formula_cost(aten._embedding_bag_per_sample_weights_backward.default, meta(2, 5), meta(10, 5), *bags, 0)
    assert cost == Cost(macs=7 * 5)


# What is counted by its parts, or free, or not counted


@pytest.mark.parametrize(
    ("operator", "args", "expected"),
    [
        (aten.gather_backward, (meta(2, 4), meta(3, 4), 0, meta(2, 4, dtype=torch.long), False), Cost(add=8)),
        (aten.index_select_backward, (meta(2, 4), [3, 4], 0, meta(2, dtype=torch.long)), Cost(add=8)),
        (aten.cummaxmin_backward, (meta(3, 4), meta(3, 4), meta(3, 4, dtype=torch.long), 1), Cost(add=12)),
        (aten.value_selecting_reduction_backward, (meta(3), 1, meta(3, dtype=torch.long), [3, 4], False), Cost()),
        (aten.masked_select_backward, (meta(5), meta(3, 4), meta(3, 4, dtype=torch.bool)), Cost()),
        (aten.select_backward, (meta(3), [3, 4], 1, 0), Cost()),
        (aten.slice_backward, (meta(3, 2), [3, 4], 1, 0, 2, 1), Cost()),
        (aten.diagonal_backward, (meta(3), [3, 4], 0, 0, 1), Cost()),
        (aten.masked_scatter_backward, (meta(3, 4), meta(3, 4, dtype=torch.bool), [5]), Cost()),
        (aten.to_mkldnn_backward, (meta(3, 3), meta(3, 3)), Cost()),
        (aten.to_dense_backward, (meta(3, 3), meta(3, 3)), Cost()),
    ],
)
def test_gradients_of_indexing(operator, args, expected):
    assert cost_of(operator, *args) == expected


def test_autograd_itself_is_refused_with_a_reason():
    assert "autograd" in REFUSED["aten._backward"]


def test_complex_gradients_take_four_real_macs():
    x, gradient, weight = (meta(*shape, dtype=torch.complex64) for shape in ((5, 3), (5, 7), (7, 3)))
    cost = formula_cost(aten.linear_backward.default, x, gradient, weight, [True, False, False])
    assert cost == Cost(macs=4 * prod((5, 7, 3)))
