"""Scaled dot product attention, the same on every backend."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from fxcount.formulas.formula import Quantities
from fxcount.formulas.registry import formula

ATTENTION = (
    "macs = scores * (width + value_width), mul = scores * (1 + dropped), "
    "add = scores * added + scores + scores - rows, cmp = scores * selected + scores - rows, "
    "special = scores, div = scores"
)
"""scores = B H L S, rows = B H L: the product with the keys contracts over width E, the one with the values gives
Ev = value_width columns of S terms each; then one scaling per score, the mask and the softmax over S."""


def attention_quantities(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, causal: bool) -> Quantities:
    """The quantities of ``ATTENTION`` for a query [B, H, L, E], key [B, G, S, E] and value [B, G, S, Ev]."""
    batch = prod(torch.broadcast_shapes(query.shape[:-3], key.shape[:-3])) * query.shape[-3] if query.dim() > 2 else 1
    rows = batch * query.shape[-2]
    scores = rows * key.shape[-2]
    boolean = mask is not None and mask.dtype == torch.bool
    return {
        "scores": scores,
        "rows": rows if scores else 0,
        "width": query.shape[-1],
        "value_width": value.shape[-1],
        "dropped": int(dropout_p > 0),
        "added": int(mask is not None and not boolean),
        "selected": int(boolean or causal),
    }


@formula("scaled_dot_product_attention _scaled_dot_product_attention_math", ATTENTION)
def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any, dropout_p: float, is_causal: bool
) -> Quantities:
    """softmax(scale Q K^T + mask) V, as defined in the documentation of
    ``torch.nn.functional.scaled_dot_product_attention``. A mask of numbers is added, a boolean or causal one selects;
    masked scores count in full. Grouped keys count per query head."""
    return attention_quantities(query, key, value, attn_mask, dropout_p, is_causal)
