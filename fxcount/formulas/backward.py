"""Gradients of contractions, of attention and of recurrent networks, and of the gathering of embeddings.

A product a * b that the forward operator accumulates appears once in the gradient of a and once in that of b. So each
gradient of a contraction is a contraction with as many multiply-accumulates as the forward operator. An operator is
counted for what its arguments leave to compute: what the forward operator has saved for it is not computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fxcount.cost import Quantities
from fxcount.formulas.contractions import additions_over_rows
from fxcount.formulas.registry import formula, refuse

# Attention

ATTENTION = (
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


def _attention(
    rows: int, keys: int, query: Any, value: Any, *, mask: Any, dropout_p: float, causal: bool
) -> Quantities:
    boolean = mask is not None and not mask.dtype.is_floating_point
    scores = rows * keys
    return {
        "scores": scores,
        "rows": rows if value.shape[-1] else 0,
        "width": query.shape[-1],
        "value_width": value.shape[-1],
        "dropped": int(dropout_p > 0),
        "added": int(mask is not None and not boolean),
        "selected": int(boolean or causal),
    }


@formula(
    "_scaled_dot_product_flash_attention_backward _scaled_dot_product_flash_attention_for_cpu_backward "
    "_scaled_dot_product_efficient_attention_backward _scaled_dot_product_cudnn_attention_backward "
    "_scaled_dot_product_fused_attention_overrideable_backward",
    ATTENTION,
)
def attention_backward(
    grad: Any,
    query: Any,
    key: Any,
    value: Any,
    *,
    attn_bias: Any = None,
    attn_mask: Any = None,
    dropout_p: float,
    is_causal: bool,
) -> Quantities:
    """The gradients of softmax(scale Q K^T + mask) V for a query [B, H, L, E], key [B, G, S, E] and value [B, G, S,
    Ev]; grouped keys count per query head. The gradient of the mask is dS itself."""
    mask = attn_bias if attn_mask is None else attn_mask
    rows = prod(query.shape[:-1])
    return _attention(rows, key.shape[-2], query, value, mask=mask, dropout_p=dropout_p, causal=is_causal)


def _rows_and_keys(
    query: Any, key: Any, sequences: Any, max_q: int, max_k: int, *, tokens_first: bool
) -> tuple[int, int]:
    """B H L and S. Sequences of different lengths, packed into one, count as if all were as long as the longest:
    ``sequences`` holds one more offset than there are sequences."""
    if sequences is not None:
        return (sequences.shape[0] - 1) * max_q * query.shape[-2], max_k
    return prod(query.shape[:-1]), key.shape[-3 if tokens_first else -2]


@formula("_flash_attention_backward", ATTENTION)
def flash_attention_backward(
    grad: Any,
    query: Any,
    key: Any,
    value: Any,
    *,
    cum_seq_q: Any,
    max_q: int,
    max_k: int,
    dropout_p: float,
    is_causal: bool,
) -> Quantities:
    """As ``attention_backward``, for a query [B, L, H, E], or [tokens, H, E] of packed sequences."""
    rows, keys = _rows_and_keys(query, key, cum_seq_q, max_q, max_k, tokens_first=True)
    return _attention(rows, keys, query, value, mask=None, dropout_p=dropout_p, causal=is_causal)


@formula("_cudnn_attention_backward", ATTENTION)
def cudnn_attention_backward(
    grad: Any,
    query: Any,
    key: Any,
    value: Any,
    *,
    attn_bias: Any,
    cum_seq_q: Any,
    max_q: int,
    max_k: int,
    dropout_p: float,
    is_causal: bool,
) -> Quantities:
    """As ``attention_backward``, for a query [B, H, L, E], or [tokens, H, E] of packed sequences."""
    rows, keys = _rows_and_keys(query, key, cum_seq_q, max_q, max_k, tokens_first=False)
    return _attention(rows, keys, query, value, mask=attn_bias, dropout_p=dropout_p, causal=is_causal)


@formula("_efficient_attention_backward", ATTENTION)
def efficient_attention_backward(
    grad: Any,
    query: Any,
    key: Any,
    value: Any,
    bias: Any,
    *,
    cu_seqlens_q: Any,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float,
    custom_mask_type: int,
) -> Quantities:
    """As ``attention_backward``, for a query [B, L, H, E], or [1, tokens, H, E] of packed sequences; a custom mask
    type other than 0 is causal."""
    rows, keys = _rows_and_keys(query, key, cu_seqlens_q, max_seqlen_q, max_seqlen_k, tokens_first=True)
    return _attention(rows, keys, query, value, mask=bias, dropout_p=dropout_p, causal=custom_mask_type != 0)


# Recurrent networks


@formula(
    "_thnn_fused_lstm_cell_backward_impl _thnn_fused_lstm_cell_backward",
    "mul = cells * (10 + 6 * from_hidden), add = cells * (3 + 2 * from_hidden + from_both) + summed, "
    "special = cells * from_hidden",
)
def lstm_cell_backward(grad_h: Any, grad_c: Any, c: Any, new_c: Any, workspace: Any, has_bias: bool) -> Quantities:
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
def gru_cell_backward(grad_h: Any, workspace: Any, has_bias: bool) -> Quantities:
    """h' = (1 - z) n + z h, n = tanh(x_n + r m), with the gates r, z, n and the product m given, for every cell:

        u  = dh (1 - z)           1 mul, 1 add
        dn = u (1 - n n)          2 mul, 1 add
        dz = u (h - n) z          2 mul, 1 add
        dr = (dn m) (1 - r) r     3 mul, 1 add
        dm = dn r, and dh z       2 mul

    The gradients of the two biases share their sums of dr and dz: dr, dz, dn and dm are summed over the batch."""
    cells = grad_h.numel()
    return {"cells": cells, "summed": 4 * additions_over_rows(grad_h, grad_h.shape[-1]) if has_bias else 0}


CELLS = {
    # mode: (mul, add, cmp, special of one cell; gates whose gradients the biases sum)
    0: (0, 0, 1, 0, 1),  # relu: dh where h > 0
    1: (2, 1, 0, 0, 1),  # tanh: dh (1 - h h)
    2: (16, 6, 0, 1, 4),  # as lstm_cell_backward
    3: (10, 5, 0, 0, 4),  # as gru_cell_backward, and dh z joins what the products pass back
}

RECURRENT = (
    "macs = steps * weights * passed + steps * weights * learned - steps * unneeded, "
    "mul = cells * cell_mul + dropped, add = cells * cell_add + outputs + merged + summed, "
    "cmp = cells * cell_cmp, special = cells * cell_special"
)
"""Every matrix of gates (and of a projection) passes a gradient back at every step, steps * weights macs, and has one
of its own, as many; the gradient of the network's input is left out where nobody asks for it. Besides, there are the
cells, one addition per output element where the gradient from above joins that of the next step, one per element
where the two directions meet in their input, one multiplication per element that was dropped out, and the biases."""


def _recurrent(
    x: Any,
    weights: Sequence[Any],
    first: Sequence[Any],
    mode: int,
    hidden: int,
    *,
    projected: int = 0,
    layers: int = 1,
    bidirectional: bool = False,
    dropping: bool = False,
    to_input: bool = True,
    to_hidden: bool = True,
    to_weights: bool = True,
) -> Quantities:
    """The quantities of ``RECURRENT``; ``first`` are the matrices that take the network's input. Padded steps count."""
    steps, directions = prod(x.shape[:-1]), 1 + bidirectional
    cell_mul, cell_add, cell_cmp, cell_special, gates = CELLS[mode]
    stacked = layers * directions
    width = projected or hidden
    inner = steps * directions * width * (layers - 1)
    biased = to_weights and any(weight.dim() == 1 for weight in weights)
    asked = int(to_input or to_hidden or to_weights)
    return {
        "steps": steps,
        "weights": sum(weight.numel() for weight in weights if weight.dim() > 1),
        "passed": asked,
        "learned": int(to_weights),
        "unneeded": 0 if to_input else asked * sum(weight.numel() for weight in first),
        "cells": asked * steps * stacked * hidden,
        "cell_mul": cell_mul,
        "cell_add": cell_add,
        "cell_cmp": cell_cmp,
        "cell_special": cell_special,
        "outputs": asked * steps * stacked * width,
        "dropped": asked * inner if dropping else 0,
        "merged": asked * (inner + (x.numel() if to_input else 0)) if bidirectional else 0,
        "summed": (steps - 1) * stacked * gates * hidden if biased and steps else 0,
    }


@formula("_cudnn_rnn_backward miopen_rnn_backward", RECURRENT)
def recurrent_backward(
    x: Any,
    weight: Sequence[Any],
    weight_stride0: int,
    *,
    mode: int,
    hidden_size: int,
    proj_size: int = 0,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    output_mask: Sequence[bool],
) -> Quantities:
    """The gradients of an RNN (mode 0 relu, 1 tanh), LSTM (2) or GRU (3) for the input, the hidden and cell states and
    the weights, whichever the mask asks for."""
    return _recurrent(
        x,
        weight,
        weight[::weight_stride0][: 1 + bidirectional],
        mode,
        hidden_size,
        projected=proj_size,
        layers=num_layers,
        bidirectional=bidirectional,
        dropping=train and dropout > 0,
        to_input=output_mask[0],
        to_hidden=any(output_mask[1:3]),
        to_weights=output_mask[3],
    )


@formula("mkldnn_rnn_layer_backward", RECURRENT)
def recurrent_layer_backward(
    x: Any, weight1: Any, weight2: Any, bias1: Any, bias2: Any, *, mode: int, hidden_size: int, has_biases: bool
) -> Quantities:
    """As ``recurrent_backward``, all gradients of one layer in one direction, whatever the network around it has."""
    weights = [weight1, weight2, bias1, bias2] if has_biases else [weight1, weight2]
    return _recurrent(x, weights, [weight1], mode, hidden_size)


@formula("lstm_mps_backward", RECURRENT)
def lstm_backward(
    *,
    input: Any,
    hx: Sequence[Any],
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> Quantities:
    """As ``recurrent_backward``, all gradients of an LSTM."""
    stride = 4 if has_biases else 2
    return _recurrent(
        input,
        params,
        params[::stride][: 1 + bidirectional],
        2,
        hx[1].shape[-1],
        projected=hx[0].shape[-1],
        layers=num_layers,
        bidirectional=bidirectional,
        dropping=train and dropout > 0,
    )


# Embeddings


@formula("embedding_dense_backward", "add = accumulated, div = accumulated * scaled")
def embedding_backward(grad: Any, *, scale_grad_by_freq: bool) -> Quantities:
    """grad_weight[index] += grad (/ how often the index occurs): one addition per accumulated element."""
    return {"accumulated": grad.numel(), "scaled": int(scale_grad_by_freq)}


EMBEDDING_BAG = "add = accumulated * dense, mul = accumulated * weighted, div = averaged + accumulated * scaled"


@formula("_embedding_bag_backward _embedding_bag_dense_backward", EMBEDDING_BAG)
def embedding_bag_backward(
    grad: Any,
    indices: Any,
    *,
    scale_grad_by_freq: bool,
    mode: int,
    sparse: bool = False,
    per_sample_weights: Any,
) -> Quantities:
    """grad_weight[index] += grad of its bag: one addition per accumulated element (a sparse gradient only lists them),
    after a multiplication with a weight per sample, or a division of the bag's gradient by its size for a mean. Of a
    maximum every element of a bag has come from one place."""
    return {
        "accumulated": grad.numel() if mode == 2 else indices.numel() * grad.shape[-1],
        "dense": int(not sparse),
        "weighted": int(per_sample_weights is not None),
        "averaged": grad.numel() if mode == 1 else 0,
        "scaled": int(scale_grad_by_freq),
    }


@formula("_embedding_bag_sparse_backward", EMBEDDING_BAG)
def embedding_bag_sparse_backward(
    grad: Any, indices: Any, *, scale_grad_by_freq: bool, mode: int, per_sample_weights: Any
) -> Quantities:
    """As ``embedding_bag_backward`` with a sparse gradient."""
    return embedding_bag_backward(
        grad,
        indices,
        scale_grad_by_freq=scale_grad_by_freq,
        mode=mode,
        sparse=True,
        per_sample_weights=per_sample_weights,
    )


@formula("_embedding_bag_per_sample_weights_backward", "macs = samples * width")
def per_sample_weights_backward(grad: Any, weight: Any, indices: Any) -> Quantities:
    """The gradient of a sample's weight is the dot product of its bag's gradient with its embedding."""
    return {"samples": indices.numel(), "width": weight.shape[-1]}


refuse("_backward", "it runs autograd, which is no operator of its own; count the operators that autograd calls")
