"""Scaled dot product attention and its gradients, the same on every backend, and kernels that fuse a layer around it.

A gradient is counted for what its arguments leave to compute: what the forward operator has saved for it is not
computed again.
"""

from collections.abc import Sequence
from math import prod

import torch

from fxcount.cost import Quantities, Size
from fxcount.formulas.number_kinds import first_tensor
from fxcount.formulas.registry import formula
from fxcount.formulas.tensor import Tensor

ATTENTION = (
    "macs = scores * (width + value_width), mul = scores * (1 + dropped), "
    "add = scores * added + scores + scores - rows, cmp = scores * selected + scores - rows, "
    "special = scores, div = scores"
)
"""scores = B H L S, rows = B H L: the product with the keys contracts over width E, the one with the values gives
Ev = value_width columns of S terms each; then one scaling per score, the mask and the softmax over S."""


def attention_quantities(
    rows: Size,
    keys: Size,
    width: Size,
    value_width: Size,
    mask: Tensor | None,
    causal: bool = False,
    dropout_p: float = 0,
) -> Quantities:
    """The quantities of ``ATTENTION`` for so many rows of queries (over all batches and heads) and keys for each."""
    scores = rows * keys
    boolean = mask is not None and mask.dtype == torch.bool
    return {
        "scores": scores,
        "rows": rows if scores else 0,
        "width": width,
        "value_width": value_width,
        "dropped": int(dropout_p > 0),
        "added": int(mask is not None and not boolean),
        "selected": int(boolean or causal),
    }


@formula(
    "scaled_dot_product_attention _scaled_dot_product_attention_math _scaled_dot_product_attention_math_for_mps "
    "_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu "
    "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
    "_scaled_dot_product_fused_attention_overrideable _triton_scaled_dot_attention",
    ATTENTION,
)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    attn_bias: Tensor | None = None,
    dropout_p: float,
    is_causal: bool = False,
    out: object,
) -> Quantities:
    """softmax(scale Q K^T + mask) V, as defined in the documentation of
    ``torch.nn.functional.scaled_dot_product_attention``. A mask of numbers is added, a boolean or causal one selects;
    masked scores count in full. Grouped keys count per query head."""
    mask = attn_bias if attn_mask is None else attn_mask
    rows = prod(first_tensor(out).shape[:-1])
    return attention_quantities(rows, key.shape[-2], query.shape[-1], value.shape[-1], mask, is_causal, dropout_p)


def _padded_rows(query: Tensor, starts: Tensor | None, longest: Size) -> Size:
    """The rows of queries in a batch; with the places where its sequences start, [total, H, E] stands for B sequences
    whose lengths are data: each counts as the longest."""
    return prod(query.shape[:-1]) if starts is None else (starts.shape[0] - 1) * longest * query.shape[-2]


@formula(
    "_flash_attention_forward _flash_attention_forward_no_dropout_inplace _cudnn_attention_forward "
    "torch_attn._varlen_attn torch_attn._varlen_attn_out",
    ATTENTION,
)
def attention_of_lengths(
    *,
    query: Tensor,
    value: Tensor,
    cum_seq_q: Tensor | None = None,
    cu_seq_q: Tensor | None = None,
    max_q: Size,
    max_k: Size,
    attn_bias: Tensor | None = None,
    alibi_slopes: Tensor | None = None,
    dropout_p: float = 0,
    is_causal: bool,
    window_size: Sequence[int] | None = None,
    window_size_left: int | None = None,
    window_size_right: int | None = None,
) -> Quantities:
    """As ``scaled_dot_product_attention``, over sequences of at most max_q queries and max_k keys. Slopes of a linear
    bias are added as a mask of numbers, a window selects as a causal mask does."""
    rows = _padded_rows(query, cu_seq_q if cum_seq_q is None else cum_seq_q, max_q)
    windows = (*(window_size or ()), window_size_left, window_size_right)
    selecting = is_causal or any(window not in (None, -1) for window in windows)
    mask = alibi_slopes if attn_bias is None else attn_bias
    return attention_quantities(rows, max_k, query.shape[-1], value.shape[-1], mask, selecting, dropout_p)


@formula("_efficient_attention_forward", ATTENTION)
def efficient_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    *,
    cu_seqlens_q: Tensor | None,
    max_seqlen_q: Size,
    max_seqlen_k: Size | None,
    dropout_p: float,
    custom_mask_type: int,
    window_size: int | None,
) -> Quantities:
    """As ``scaled_dot_product_attention``, for a query [B, L, H, E]. The types of mask are none and two causal ones,
    aligned with the first key or with the last; a window selects as they do."""
    rows = _padded_rows(query, cu_seqlens_q, max_seqlen_q)
    keys = key.shape[1] if max_seqlen_k is None else max_seqlen_k
    selecting = custom_mask_type != 0 or bool(window_size)
    return attention_quantities(rows, keys, query.shape[-1], value.shape[-1], bias, selecting, dropout_p)


ATTENTION_GRADIENTS = (
    "macs = scores * (3 * width + 2 * value_width), mul = scores * (3 + 2 * dropped) + rows * value_width, "
    "add = scores * (2 + added) + rows * (value_width - 1), cmp = scores * selected, special = scores"
)
"""scores = B H L S, rows = B H L, E = width, Ev = value_width. The arguments hold the logarithm L of each row's sum,
but not the probabilities, so these are recomputed:

    P  = exp(scale Q K^T + mask - L)                E macs, 1 mul, 1 add (2 with an additive mask), 1 special per score
    dV = P^T dO                                     Ev macs
    dP = dO V^T                                     Ev macs
    dS = P (dP - D), where D = sum over Ev of dO O  1 mul, 1 add; Ev mul, Ev - 1 add per row
    dQ = scale dS K                                 E macs, 1 mul for scale dS
    dK = scale dS^T Q                               E macs

Five contractions, which are also what ``torch.utils.flop_counter`` counts (``sdpa_backward_flop_count``). Attention
that was taken apart, as it is in a model that asks for gradients, has kept P and needs the last four. Dropout
multiplies P in dV, and dP, with the mask that the forward operator drew. Source: Dao et al. 2022, FlashAttention,
appendix B.2."""


def _gradient_quantities(
    rows: Size, keys: Size, query: Tensor, value: Tensor, mask: Tensor | None, causal: bool, dropout_p: float
) -> Quantities:
    """The quantities of ``ATTENTION_GRADIENTS``: those of the forward, where a row has its D even without keys."""
    value_width = value.shape[-1]
    forward = attention_quantities(rows, keys, query.shape[-1], value_width, mask, causal, dropout_p)
    return {**forward, "rows": rows if value_width else 0}


@formula(
    "_scaled_dot_product_flash_attention_backward _scaled_dot_product_flash_attention_for_cpu_backward "
    "_scaled_dot_product_efficient_attention_backward _scaled_dot_product_cudnn_attention_backward "
    "_scaled_dot_product_fused_attention_overrideable_backward",
    ATTENTION_GRADIENTS,
)
def attention_backward(
    *,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_bias: Tensor | None = None,
    attn_mask: Tensor | None = None,
    dropout_p: float,
    is_causal: bool,
) -> Quantities:
    """The gradients of softmax(scale Q K^T + mask) V for a query [B, H, L, E], key [B, G, S, E] and value [B, G, S,
    Ev]; grouped keys count per query head. The gradient of the mask is dS itself."""
    mask = attn_bias if attn_mask is None else attn_mask
    return _gradient_quantities(prod(query.shape[:-1]), key.shape[-2], query, value, mask, is_causal, dropout_p)


@formula("_flash_attention_backward _cudnn_attention_backward", ATTENTION_GRADIENTS)
def attention_of_lengths_backward(
    *,
    query: Tensor,
    value: Tensor,
    attn_bias: Tensor | None = None,
    cum_seq_q: Tensor | None,
    max_q: Size,
    max_k: Size,
    dropout_p: float,
    is_causal: bool,
) -> Quantities:
    """As ``attention_backward``, over sequences of at most max_q queries and max_k keys, or [tokens, H, E] of packed
    ones."""
    rows = _padded_rows(query, cum_seq_q, max_q)
    return _gradient_quantities(rows, max_k, query, value, attn_bias, is_causal, dropout_p)


@formula("_efficient_attention_backward", ATTENTION_GRADIENTS)
def efficient_attention_backward(
    *,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    cu_seqlens_q: Tensor | None,
    max_seqlen_q: Size,
    max_seqlen_k: Size,
    dropout_p: float,
    custom_mask_type: int,
) -> Quantities:
    """As ``attention_backward``, for a query [B, L, H, E], or [1, tokens, H, E] of packed sequences; a custom mask
    type other than 0 is causal."""
    rows = _padded_rows(query, cu_seqlens_q, max_seqlen_q)
    keys = key.shape[1] if cu_seqlens_q is None else max_seqlen_k
    return _gradient_quantities(rows, keys, query, value, bias, custom_mask_type != 0, dropout_p)


@formula("_transform_bias_rescale_qkv", "add = inputs, mul = inputs // 3")
def bias_and_scale(qkv: Tensor) -> Quantities:
    """q, k and v each plus a bias; q times 1 / sqrt(E)."""
    return {"inputs": qkv.numel()}


MULTI_HEAD_ATTENTION = (
    "macs = projected * embed * embed + scores * (width + value_width), mul = scaled, "
    "add = projected * embed + scores * added + scores + scores - rows + averaged * (heads - 1), "
    "cmp = scores * selected + scores - rows, special = scores, div = scores + averaged"
)
"""The rows of queries, keys, values and results are projected, with biases; attention in between."""


@formula("_native_multi_head_attention _triton_multi_head_attention", MULTI_HEAD_ATTENTION)
def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: Size,
    num_head: Size,
    *,
    mask: Tensor | None,
    need_weights: bool = False,
    average_attn_weights: bool = False,
) -> Quantities:
    """What ``torch.nn.MultiheadAttention`` computes: projections of [B, L, D] and [B, S, D], and
    ``scaled_dot_product_attention`` with head widths E = D / H. Where the weights are wanted, the queries are scaled
    instead of the scores, and the weights may be averaged over the heads."""
    batch, queries, keys = query.shape[0], query.shape[1], key.shape[1]
    attention = _projected_attention(batch, queries, keys, embed_dim, num_head, mask)
    return {
        **attention,
        "scaled": batch * queries * embed_dim if need_weights else attention["scores"],
        "heads": num_head,
        "averaged": batch * queries * keys if need_weights and average_attn_weights else 0,
    }


def _projected_attention(
    batch: Size, queries: Size, keys: Size, embed: Size, heads: Size, mask: Tensor | None
) -> Quantities:
    width = embed // heads
    return {
        "projected": 2 * batch * (queries + keys),
        "embed": embed,
        **attention_quantities(batch * heads * queries, keys, width, width, mask),
    }


ENCODER_LAYER = (
    "macs = projected * embed * embed + scores * (width + value_width) + 2 * inner * embed, "
    "mul = scores + 4 * elements + 3 * inner * gelu, "
    "add = projected * embed + scores * added + scores + scores - rows + inner + elements + 2 * elements "
    "+ 2 * (4 * elements - tokens) + inner * gelu, "
    "cmp = scores * selected + scores - rows + inner * (1 - gelu), "
    "special = scores + 2 * tokens + inner * gelu, div = scores + 2 * (elements + 2 * tokens)"
)
"""Attention as in ``MULTI_HEAD_ATTENTION``; two linear layers with biases over inner = B L F elements, and a gelu or a
relu between them; two sums with the layer's input; two layer norms with a statistic for each of the tokens."""


@formula("_transformer_encoder_layer_fwd", ENCODER_LAYER)
def transformer_encoder_layer(
    src: Tensor, embed_dim: Size, num_heads: Size, *, use_gelu: bool, ffn_weight_1: Tensor, mask: Tensor | None
) -> Quantities:
    """What ``torch.nn.TransformerEncoderLayer`` computes in eval, with either order of norms and sums."""
    batch, length = src.shape[0], src.shape[1]
    return {
        **_projected_attention(batch, length, length, embed_dim, num_heads, mask),
        "tokens": batch * length,
        "elements": src.numel(),
        "inner": batch * length * ffn_weight_1.shape[0],
        "gelu": int(use_gelu),
    }
