"""Attention against counts worked out by hand, and its kernels against the same mathematics written out."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import flop_registry

from fxcount import Cost
from fxcount.formulas import find_formula
from tests.costing import cost_of, flops_of, formula_cost
from tests.optional import optional

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten


def attention(
    rows: int,
    s: int,
    e: int,
    ev: int,
    *,
    scaled: int | None = None,
    added: bool = False,
    selected: bool = False,
    dropped: bool = False,
) -> Cost:
    """For B H L rows. The softmax: s - 1 comparisons, s subtractions, exponentials and divisions, s - 1 additions."""
    scores = rows * s
    return Cost(
        macs=scores * (e + ev),
        mul=(scores if scaled is None else scaled) + scores * dropped,
        add=scores * added + scores + rows * (s - 1),
        cmp=scores * selected + rows * (s - 1),
        div=scores,
        special=scores,
    )


def of(operator: Any, *args: Any, **kwargs: Any) -> Cost:
    """What the formula of an operator that only some devices have makes of a call."""
    formula = find_formula(operator)
    assert formula is not None
    return formula(args, kwargs, kwargs.pop("out", None)).cost


sdpa = F.scaled_dot_product_attention
q, k, v = meta(2, 3, 5, 4), meta(2, 3, 7, 4), meta(2, 3, 7, 6)
boolean, additive = meta(5, 7, dtype=torch.bool), meta(5, 7)

CALLS: dict[str, tuple[Callable[[], Any], Cost]] = {
    "another width of values": (lambda: sdpa(q, k, v), attention(2 * 3 * 5, 7, 4, 6)),
    "boolean mask": (lambda: sdpa(q, k, v, boolean), attention(2 * 3 * 5, 7, 4, 6, selected=True)),
    "mask of numbers": (lambda: sdpa(q, k, v, additive), attention(2 * 3 * 5, 7, 4, 6, added=True)),
    "a mask for each head": (lambda: sdpa(q, k, v, meta(2, 3, 5, 7)), attention(2 * 3 * 5, 7, 4, 6, added=True)),
    "causal": (lambda: sdpa(q, k, v, is_causal=True), attention(2 * 3 * 5, 7, 4, 6, selected=True)),
    "dropout": (lambda: sdpa(q, k, v, dropout_p=0.1), attention(2 * 3 * 5, 7, 4, 6, dropped=True)),
    "given scale": (lambda: sdpa(q, k, v, scale=1.0), attention(2 * 3 * 5, 7, 4, 6)),
    "grouped keys": (
        lambda: sdpa(meta(2, 8, 5, 4), meta(2, 2, 7, 4), meta(2, 2, 7, 6), enable_gqa=True),
        attention(2 * 8 * 5, 7, 4, 6),
    ),
    "no heads": (lambda: sdpa(meta(3, 5, 4), meta(3, 7, 4), meta(3, 7, 6)), attention(3 * 5, 7, 4, 6)),
    "no batch": (lambda: sdpa(meta(5, 4), meta(7, 4), meta(7, 6)), attention(5, 7, 4, 6)),
    "more batch axes": (
        lambda: sdpa(meta(2, 3, 2, 5, 4), meta(2, 3, 2, 7, 4), meta(2, 3, 2, 7, 4)),
        attention(2 * 3 * 2 * 5, 7, 4, 4),
    ),
    "broadcast batch": (
        lambda: sdpa(meta(1, 3, 5, 4), meta(6, 1, 7, 4), meta(6, 3, 7, 6)),
        attention(6 * 3 * 5, 7, 4, 6),
    ),
    "one key": (lambda: sdpa(meta(2, 3, 5, 4), meta(2, 3, 1, 4), meta(2, 3, 1, 4)), attention(2 * 3 * 5, 1, 4, 4)),
    "no queries": (lambda: sdpa(meta(2, 3, 0, 4), k, v), Cost()),
    "no keys": (lambda: sdpa(q, meta(2, 3, 0, 4), meta(2, 3, 0, 6)), Cost()),
    "on cpu": (lambda: sdpa(torch.zeros(3, 5, 4), torch.zeros(3, 7, 4), torch.zeros(3, 7, 4)), attention(15, 7, 4, 4)),
    "strided": (lambda: sdpa(meta(2, 5, 3, 4).transpose(1, 2), k, v), attention(2 * 3 * 5, 7, 4, 6)),
}


FOUR_SCORES, FOUR_ROWS = 2 * 4 * 3 * 7, 2 * 4 * 3  # 2 batches, 4 heads, 3 queries, 7 keys
FOUR_HEADS = Cost(  # widths 5 and 6; the scale, then a softmax
    macs=FOUR_SCORES * (5 + 6),
    mul=FOUR_SCORES,
    cmp=FOUR_SCORES - FOUR_ROWS,
    add=FOUR_SCORES + FOUR_SCORES - FOUR_ROWS,
    special=FOUR_SCORES,
    div=FOUR_SCORES,
)


def four_heads(heads_of_keys: int = 4, **options: Any) -> Callable[[], Tensor]:
    query, key, value = meta(2, 4, 3, 5), meta(2, heads_of_keys, 7, 5), meta(2, heads_of_keys, 7, 6)
    return partial(sdpa, query, key, value, **options)


CALLS |= {
    "four heads": (four_heads(), FOUR_HEADS),
    "four heads, scaled": (four_heads(scale=0.3), FOUR_HEADS),
    "four heads, grouped keys": (four_heads(2, enable_gqa=True), FOUR_HEADS),
    "four heads, additive mask": (four_heads(attn_mask=meta(3, 7)), FOUR_HEADS + Cost(add=FOUR_SCORES)),
    "four heads, boolean mask": (
        four_heads(attn_mask=meta(3, 7, dtype=torch.bool)),
        FOUR_HEADS + Cost(cmp=FOUR_SCORES),
    ),
    "four heads, three axes": (
        lambda: sdpa(meta(4, 3, 5), meta(4, 7, 5), meta(4, 7, 5)),
        Cost(macs=84 * 10, mul=84, cmp=84 - 12, add=84 + 84 - 12, special=84, div=84),
    ),
    "four heads, no keys": (lambda: sdpa(meta(2, 4, 3, 5), meta(2, 4, 0, 5), meta(2, 4, 0, 6)), Cost()),
}


@pytest.mark.parametrize("case", CALLS)
def test_cost(case: str) -> None:
    call, expected = CALLS[case]
    assert cost_of(call) == expected


def written_out(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout_p: float = 0) -> Tensor:
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]))
    if mask is not None and mask.dtype == torch.bool:
        scores = torch.where(mask, scores, -math.inf)
    elif mask is not None:
        scores = scores + mask
    return F.dropout(scores.softmax(-1), dropout_p) @ value


@pytest.mark.parametrize("dropout_p", [0.0, 0.5])
@pytest.mark.parametrize("mask", [None, boolean, additive], ids=["no mask", "boolean", "additive"])
def test_attention_costs_what_it_costs_written_out(mask: Tensor | None, dropout_p: float) -> None:
    assert cost_of(sdpa, q, k, v, mask, dropout_p) == cost_of(written_out, q, k, v, mask, dropout_p)


K, BIAS = meta(2, 3, 7, 4), meta(2, 3, 5, 7)
SPREAD = [meta(2, n, 3, 4) for n in (5, 7, 7)]  # [B, L, H, E]
KERNELS: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "math": (aten._scaled_dot_product_attention_math, (q, K, K, BIAS, 0.1), {}),
    "mps": (aten._scaled_dot_product_attention_math_for_mps, (q, K, K, BIAS, 0.1), {}),
    "cpu": (aten._scaled_dot_product_flash_attention_for_cpu, (q, K, K, 0.1), {"attn_mask": BIAS}),
    "efficient": (aten._scaled_dot_product_efficient_attention, (q, K, K, BIAS, True, 0.1), {}),
    "cudnn": (aten._scaled_dot_product_cudnn_attention, (q, K, K, BIAS, True, 0.1), {}),
    "other": (aten._scaled_dot_product_fused_attention_overrideable, (q, K, K, BIAS, 0.1), {}),
    "raw cudnn": (aten._cudnn_attention_forward, (q, K, K, BIAS, None, None, 5, 7, True, 0.1), {}),
    "raw efficient": (aten._efficient_attention_forward, (*SPREAD, BIAS, None, None, None, None, 0.1, 0), {}),
    "raw flash": (
        aten._flash_attention_forward,
        (*SPREAD, None, None, 5, 7, 0.1, False, False),
        {"alibi_slopes": meta(3)},
    ),
}
UNMASKED: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "flash": (aten._scaled_dot_product_flash_attention, (q, K, K, 0.1, True), {}),
    "flash of eighths": (
        optional("ops.aten._scaled_dot_product_flash_attention.quantized"),
        (q, K, K, None, None, None, 0.1, True),
        {},
    ),
    "efficient": (aten._scaled_dot_product_efficient_attention, (q, K, K, None, True, 0.1, True), {}),
    "raw efficient": (aten._efficient_attention_forward, (*SPREAD, None, None, None, None, None, 0.1, 1), {}),
    "raw efficient window": (
        aten._efficient_attention_forward,
        (*SPREAD, None, None, None, None, None, 0.1, 0),
        {"window_size": 3},
    ),
    "raw flash": (aten._flash_attention_forward, (*SPREAD, None, None, 5, 7, 0.1, True, False), {}),
    "raw flash window": (
        aten._flash_attention_forward,
        (*SPREAD, None, None, 5, 7, 0.1, False, False),
        {"window_size_left": 2, "window_size_right": 0},
    ),
    "raw flash of eighths": (
        optional("ops.aten._flash_attention_forward.quantized"),
        (*SPREAD, None, None, 5, 7, 0.1, True, False, None, None, None),
        {},
    ),
    "raw flash in place": (
        optional("ops.aten._flash_attention_forward_no_dropout_inplace"),
        (SPREAD[0], *SPREAD, None, None, 5, 7, 0.1, True, False),
        {},
    ),
    "raw cudnn": (aten._cudnn_attention_forward, (q, K, K, None, None, None, 5, 7, True, 0.1, True), {}),
}


def overload(operator: Any) -> torch._ops.OpOverload:
    return operator.default if isinstance(operator, torch._ops.OpOverloadPacket) else operator


@pytest.mark.parametrize("case", KERNELS)
def test_kernels_with_a_mask_of_numbers(case: str) -> None:
    kernel, args, kwargs = KERNELS[case]
    expected = attention(2 * 3 * 5, 7, 4, 4, added=True, dropped=True)
    assert of(overload(kernel), *args, **kwargs, out=(q,)) == expected


@pytest.mark.parametrize("case", UNMASKED)
def test_kernels_that_select(case: str) -> None:
    kernel, args, kwargs = UNMASKED[case]
    expected = attention(2 * 3 * 5, 7, 4, 4, selected=True, dropped=True)
    assert of(overload(kernel), *args, **kwargs, out=(q,)) == expected


def test_a_kernel_on_meta() -> None:
    expected = attention(2 * 3 * 5, 7, 4, 4, selected=True)
    assert cost_of(aten._scaled_dot_product_flash_attention, q, K, K, 0.0, True) == expected
    assert of(aten._triton_scaled_dot_attention.default, q, K, K, out=q) == attention(2 * 3 * 5, 7, 4, 4)


# Three sequences, of at most 5 queries and 7 keys, in 11 and 16 rows.
PACKED, STARTS = [meta(n, 2, 4) for n in (11, 16, 16)], meta(4, dtype=torch.int32)
OF_LENGTHS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "flash": (aten._flash_attention_forward, (*PACKED, STARTS, STARTS, 5, 7, 0.0, False, False)),
    "cudnn": (aten._cudnn_attention_forward, (*PACKED, None, STARTS, STARTS, 5, 7, False)),
    "efficient": (aten._efficient_attention_forward, (*(x[None] for x in PACKED), None, STARTS, STARTS, 5, 7, 0.0, 0)),
}


@pytest.mark.parametrize("case", OF_LENGTHS)
def test_every_sequence_counts_as_the_longest(case: str) -> None:
    kernel, args = OF_LENGTHS[case]
    assert of(overload(kernel), *args, out=(PACKED[0],)) == attention(3 * 2 * 5, 7, 4, 4)


def test_the_function_for_sequences_of_different_lengths() -> None:
    with patch.dict(flop_registry):  # to which the import adds, for good
        varlen = pytest.importorskip("torch.nn.attention.varlen")
    plain = cost_of(varlen.varlen_attn, *PACKED, STARTS, STARTS, 5, 7)
    assert plain == attention(3 * 2 * 5, 7, 4, 4)
    causal = cost_of(varlen.varlen_attn, *PACKED, STARTS, STARTS, 5, 7, window_size=(-1, 0))
    assert causal == attention(3 * 2 * 5, 7, 4, 4, selected=True)


def test_choosing_a_kernel_is_free() -> None:
    assert cost_of(aten._fused_sdp_choice, q, K, K) == Cost()


def test_bias_and_scale() -> None:
    # Three biases, one scale for every element of q.
    assert of(aten._transform_bias_rescale_qkv.default, meta(2, 5, 24), meta(24), 2) == Cost(
        add=2 * 5 * 24, mul=2 * 5 * 8
    )


# Multi-head attention

B, L, D, H = 2, 5, 12, 3
X = meta(B, L, D)
PROJECTIONS = Cost(macs=4 * B * L * D * D, add=4 * B * L * D)
PADDING = meta(B, L, dtype=torch.bool)


def heads(s: int = L, **of_mask: bool) -> Cost:
    return attention(B * H * L, s, D // H, D // H, **of_mask)


def multi_head(**options: Any) -> nn.MultiheadAttention:
    return nn.MultiheadAttention(D, H, batch_first=True, device="meta", **options).eval()


def test_multi_head_attention() -> None:
    m = multi_head()
    assert cost_of(m, X, X, X, need_weights=False) == PROJECTIONS + heads()
    # Where the weights are wanted, the queries are scaled instead of the scores.
    weighted = PROJECTIONS + attention(B * H * L, L, D // H, D // H, scaled=B * L * D)
    assert cost_of(m, X, X, X, average_attn_weights=False) == weighted
    assert cost_of(m, X, X, X) == weighted + Cost(add=B * L * L * (H - 1), div=B * L * L)


def test_attention_over_another_sequence() -> None:
    m, memory = multi_head(kdim=7, vdim=9), (meta(B, 4, 7), meta(B, 4, 9))
    # Queries and results D x D; keys 7 x D; values 9 x D; a bias each.
    projections = Cost(macs=2 * B * L * D * D + B * 4 * (7 + 9) * D, add=2 * B * L * D + 2 * B * 4 * D)
    assert cost_of(m, X, *memory, need_weights=False) == projections + heads(4)


def test_what_a_mask_adds() -> None:
    m = multi_head()
    # A boolean mask becomes one of numbers, -inf where it holds, which is added to every score.
    for need_weights in (True, False):
        plain = cost_of(m, X, X, X, need_weights=need_weights)
        masked = cost_of(m, X, X, X, key_padding_mask=PADDING, need_weights=need_weights)
        assert masked == plain + Cost(cmp=B * L, add=B * H * L * L)


def fused(m: nn.MultiheadAttention, x: Tensor, **options: Any) -> Any:
    weights = (m.in_proj_weight, m.in_proj_bias, m.out_proj.weight, m.out_proj.bias)
    return aten._native_multi_head_attention(x, x, x, D, H, *weights, **options)


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_the_fast_path_of_multi_head_attention(need_weights: bool, average: bool) -> None:
    m, options = multi_head(), {"need_weights": need_weights, "average_attn_weights": average}
    assert cost_of(fused, m, X, **options) == cost_of(m, X, X, X, **options)
    masked = cost_of(fused, m, X, mask=PADDING, mask_type=1, **options)
    assert masked == cost_of(fused, m, X, **options) + Cost(cmp=B * H * L * L)
    numbers = cost_of(fused, m, X, mask=meta(L, L), mask_type=0, **options)
    assert numbers == cost_of(fused, m, X, **options) + Cost(add=B * H * L * L)


def test_the_fast_path_is_what_torch_takes() -> None:
    """The kernel under test is the one that replaces the module's parts on a CPU."""
    m, x = nn.MultiheadAttention(D, H, batch_first=True).eval(), torch.rand(B, L, D)
    with torch.no_grad():
        expected, weights = m(x, x, x)
        out, fused_weights = fused(m, x)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(fused_weights, weights)


def test_the_fast_path_without_weights_on_another_device() -> None:
    m = multi_head()
    weights = (m.in_proj_weight, m.in_proj_bias, m.out_proj.weight, m.out_proj.bias)
    call = (X, X, X, D, H, *weights)
    assert of(aten._triton_multi_head_attention.default, *call, out=X) == cost_of(m, X, X, X, need_weights=False)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_fast_path_of_an_encoder_layer(activation: str, norm_first: bool) -> None:
    m = nn.TransformerEncoderLayer(
        D, H, 7, activation=activation, norm_first=norm_first, batch_first=True, device="meta"
    ).eval()
    attn = m.self_attn
    call = (
        *(D, H, attn.in_proj_weight, attn.in_proj_bias, attn.out_proj.weight, attn.out_proj.bias),
        *(activation == "gelu", norm_first, 1e-5),
        *(m.norm1.weight, m.norm1.bias, m.norm2.weight, m.norm2.bias),
        *(m.linear1.weight, m.linear1.bias, m.linear2.weight, m.linear2.bias),
    )
    n, inner = B * L * D, B * L * 7
    # A norm of B L statistics: square and gamma; 4 N - M additions with beta; N + 2 M divisions; M roots.
    norm = Cost(mul=2 * n, add=4 * n - B * L, div=n + 2 * B * L, special=B * L)
    gelu = Cost(mul=3 * inner, add=inner, special=inner)
    linear = Cost(macs=2 * B * L * D * 7, add=inner + n)
    between = gelu if activation == "gelu" else Cost(cmp=inner)
    expected = PROJECTIONS + heads() + 2 * norm + linear + between + Cost(add=2 * n)
    assert cost_of(m, X) == expected
    assert cost_of(aten._transformer_encoder_layer_fwd, X, *call) == expected
    masked = cost_of(aten._transformer_encoder_layer_fwd, X, *call, PADDING, 1)
    assert masked == expected + Cost(cmp=B * H * L * L)
    numbers = cost_of(aten._transformer_encoder_layer_fwd, X, *call, meta(L, L), 0)
    assert numbers == expected + Cost(add=B * H * L * L)
    assert cost_of(aten._transformer_encoder_layer_fwd, meta(0, L, D), *call) == Cost()


# Gradients: B 2, H 4, L 3, S 5, E 8, Ev 6 (on the CPU 8)

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
def test_gradients_of_flash_attention(heads: int, dropout: float, dropped: int, causal: bool, selected: int) -> None:
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
def test_gradients_of_attention_with_a_mask(mask: Any, extra: Any) -> None:
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
def test_gradients_have_the_macs_that_torch_counts(operator: Any) -> None:
    grad, query, key, value, out, logsumexp = attention_tensors(6)
    if operator is aten._scaled_dot_product_efficient_attention_backward:
        args = (grad, query, key, value, None, out, logsumexp, *PHILOX, 0.0, [True, True, True, False])
    else:
        args = (grad, query, key, value, out, logsumexp, *PHILOX, None, None, None, 3, 5, 0.0, False)
    assert 2 * formula_cost(operator.default, *args).macs == flops_of(lambda: operator(*args)) > 0


def test_gradients_of_kernels_that_put_the_heads_last() -> None:
    grad, query, key, value, out, logsumexp = (x.transpose(1, 2) if x.dim() == 4 else x for x in attention_tensors(8))
    flash = (grad, query, key, value, out, logsumexp, None, None, 3, 5, 0.0, False, *PHILOX)
    assert formula_cost(aten._flash_attention_backward.default, *flash) == attention_cost(8)
    efficient = (grad, query, key, value, None, out, None, None, 3, 5, logsumexp, 0.0, *PHILOX)
    operator = aten._efficient_attention_backward.default
    assert formula_cost(operator, *efficient, 0, False) == attention_cost(8)
    assert formula_cost(operator, *efficient, 1, False) == attention_cost(8, selected=1)


def test_gradients_of_packed_sequences_count_as_if_all_were_as_long_as_the_longest() -> None:
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


def test_gradients_without_queries_are_free() -> None:
    out, query, key = meta(2, 4, 0, 8), meta(2, 4, 0, 8), meta(2, 4, 5, 8)
    cpu = aten._scaled_dot_product_flash_attention_for_cpu_backward.default
    assert formula_cost(cpu, out, query, key, key, out, meta(2, 4, 0), 0.0, False) == Cost()
