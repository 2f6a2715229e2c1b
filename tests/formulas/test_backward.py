"""Gradients of contractions, attention, recurrent networks and embeddings."""

from functools import partial
from typing import Any

import pytest
import torch

from fxcount.cost import Cost
from fxcount.formulas import REFUSED
from tests.costing import cost_of, flops_of, formula_cost

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten
ALL = [True, True, True]


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


PHILOX = (meta((), dtype=torch.long), meta((), dtype=torch.long))


@pytest.mark.parametrize("heads", [4, 2])
@pytest.mark.parametrize(("dropout", "dropped"), [(0.0, 0), (0.5, 1)])
@pytest.mark.parametrize(("causal", "selected"), [(False, 0), (True, 1)])
def test_flash_attention(heads: int, dropout: float, dropped: int, causal: bool, selected: int) -> None:
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
def test_attention_with_a_mask(mask: Any, extra: Any) -> None:
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
def test_attention_has_the_macs_that_torch_counts(operator: Any) -> None:
    grad, query, key, value, out, logsumexp = attention_tensors(6)
    if operator is aten._scaled_dot_product_efficient_attention_backward:
        args = (grad, query, key, value, None, out, logsumexp, *PHILOX, 0.0, [True, True, True, False])
    else:
        args = (grad, query, key, value, out, logsumexp, *PHILOX, None, None, None, 3, 5, 0.0, False)
    assert 2 * formula_cost(operator.default, *args).macs == flops_of(lambda: operator(*args)) > 0


def test_attention_kernels_that_put_the_heads_last() -> None:
    grad, query, key, value, out, logsumexp = (x.transpose(1, 2) if x.dim() == 4 else x for x in attention_tensors(8))
    flash = (grad, query, key, value, out, logsumexp, None, None, 3, 5, 0.0, False, *PHILOX)
    assert formula_cost(aten._flash_attention_backward.default, *flash) == attention_cost(8)
    efficient = (grad, query, key, value, None, out, None, None, 3, 5, logsumexp, 0.0, *PHILOX)
    operator = aten._efficient_attention_backward.default
    assert formula_cost(operator, *efficient, 0, False) == attention_cost(8)
    assert formula_cost(operator, *efficient, 1, False) == attention_cost(8, selected=1)


def test_packed_sequences_count_as_if_all_were_as_long_as_the_longest() -> None:
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


def test_attention_without_queries_is_free() -> None:
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
def test_lstm_cell(grad_h: Any, grad_c: Any, bias: bool, expected: Cost) -> None:
    args = (grad_h, grad_c, HIDDEN, HIDDEN, meta(2, 12), bias)
    assert formula_cost(aten._thnn_fused_lstm_cell_backward_impl.default, *args) == expected
    assert formula_cost(aten._thnn_fused_lstm_cell_backward.default, *args) == expected


@pytest.mark.parametrize(("bias", "summed"), [(True, 4 * 3 * 1), (False, 0)])
def test_gru_cell(bias: bool, summed: int) -> None:
    cost = formula_cost(aten._thnn_fused_gru_cell_backward.default, HIDDEN, meta(2, 15), bias)
    assert cost == Cost(mul=10 * 6, add=4 * 6 + summed)


def test_cells_without_a_batch_are_free() -> None:
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
def test_differentiable_cells_are_counted_by_their_parts(operator: Any, args: tuple[Any, ...]) -> None:
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
def test_a_layer(mode: int, gates: int, sums: int, cell: Cost) -> None:
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


def test_two_layers_in_two_directions_with_dropout() -> None:
    weights = network_weights(3, 2, 2)
    matrices = 2 * 9 * (4 + 3) + 2 * 9 * (6 + 3)
    # 4 stacked cells; 2 * 3 elements between the layers are dropped, and meet (as do the 4 inputs) from two directions
    cells = 4 * 3 * STEPS * Cost(mul=10, add=5 + 1)
    between = STEPS * Cost(mul=6, add=6 + 4)
    biases = Cost(add=4 * 4 * 3 * (STEPS - 1))
    cost = network_cost(3, weights, layers=2, bidirectional=True, dropout=0.5)
    assert cost == cells + between + biases + Cost(macs=2 * STEPS * matrices)


def test_a_projection_is_one_more_matrix() -> None:
    weights = network_weights(4, 1, 1, projected=2, bias=False)
    cost = network_cost(2, weights, projected=2)
    # gates over 4 inputs and 2 projected elements, a projection of 3 to 2, one addition per projected element
    expected = Cost(macs=2 * STEPS * (12 * (4 + 2) + 2 * 3), add=2 * STEPS)
    assert cost == 3 * STEPS * Cost(mul=16, add=6, special=1) + expected


def test_the_same_network_on_other_backends() -> None:
    weights = network_weights(4, 2, 1)
    expected = network_cost(2, weights, layers=2, dropout=0.5)
    state, out = meta(2, 2, 3), meta(5, 2, 3)
    args = (meta(5, 2, 4), weights, 4, meta(0), state, state, out, out, state, state, 2, 3, 2, False, 0.5, True, False)
    assert formula_cost(aten.miopen_rnn_backward.default, *args, [], None, meta(0), [True] * 4) == expected
    args = (out, state, state, meta(0), meta(0), meta(5, 2, 4), meta(0), [state, state], weights, True, 2, 0.5, True)
    assert formula_cost(aten.lstm_mps_backward.default, *args, False, False) == expected


# Embeddings


def test_embedding_adds_once_per_accumulated_element() -> None:
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
def test_embedding_bag(mode: int, sparse: bool, weights: Any, by_frequency: bool, expected: Cost) -> None:
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


def test_a_samples_weight_is_a_dot_product() -> None:
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
def test_gradients_of_indexing(operator: Any, args: tuple[Any, ...], expected: Cost) -> None:
    assert cost_of(operator, *args) == expected


def test_autograd_itself_is_refused_with_a_reason() -> None:
    assert "autograd" in REFUSED["aten._backward"]
