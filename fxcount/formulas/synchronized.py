"""Batch normalisation over several processes (``torch.nn.SyncBatchNorm``), whose parts are operators of their own."""

from __future__ import annotations

from typing import Any

from fxcount.cost import Quantities
from fxcount.formulas.registry import formula, formulas


@formulas(
    {
        "mul = elements, div = 2 * channels, add = 3 * elements - channels, special = channels": "batch_norm_stats",
        "mul = elements, div = 2 * channels, add = 3 * elements - 2 * channels": "batch_norm_update_stats",
    }
)
def statistics(x: Any) -> Quantities:
    """Mean and variance per channel, as a ``var_mean``; of the first 1 / sqrt(var + eps) instead of the variance."""
    elements = x.numel()
    return {"elements": elements, "channels": x.shape[1] if elements else 0}


@formula(
    "batch_norm_gather_stats batch_norm_gather_stats_with_counts",
    "mul = 10 * parts, add = 6 * parts + channels, div = 2 * parts + channels, special = channels",
)
def gathered_statistics(x: Any, mean: Any) -> Quantities:
    """The parts, one per process and channel, are merged one after the other (Chan, Golub, LeVeque, "Updating Formulae
    and a Pairwise Algorithm for Computing Sample Variances"): with n elements so far, mean a and squares S, and a part
    of c elements, mean m and 1 / sigma

    - S += ((1 / invstd)^2 - eps) c + (a - m)^2 n c / (n + c): div 2, mul 6, add 5
    - a = n / (n + c) a + c / (n + c) m: mul 4, add 1

    and at last 1 / sqrt(S / n + eps) per channel. Running statistics do not reach the output."""
    return {"parts": mean.numel(), "channels": mean.shape[-1] if mean.numel() else 0}


@formula("batch_norm_elemt", "mul = elements + scaled, add = elements + shifted")
def normalised(x: Any, weight: Any, bias: Any) -> Quantities:
    """(x - mean) * invstd * gamma + beta with given statistics."""
    elements = x.numel()
    return {
        "elements": elements,
        "scaled": 0 if weight is None else elements,
        "shifted": 0 if bias is None else elements,
    }
