"""Scattering with a sum: one addition per element that is accumulated into a place."""

from __future__ import annotations

from typing import Any

from fxcount.formulas.arithmetic import first_tensor
from fxcount.formulas.formula import Quantities
from fxcount.formulas.registry import formula


@formula("index_add", "add = accumulated, mul = accumulated * scaled")
def index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Quantities:
    """self[index] += alpha source: one addition per accumulated element."""
    return {"accumulated": source.numel(), "scaled": int(alpha != 1)}


@formula("scatter_add", "add = accumulated")
def scatter_add(x: Any, dim: int, index: Any) -> Quantities:
    """self[index] += source: one addition for each element of the source that has an index."""
    return {"accumulated": index.numel()}


@formula("index_put _index_put_impl _unsafe_index_put put", "add = accumulated")
def put(x: Any, indices: Any, values: Any, *, accumulate: bool = False) -> Quantities:
    """Writing is free; with accumulate it is one addition per place written to."""
    if not accumulate:
        return {"accumulated": 0}
    return {"accumulated": values.numel()}


REDUCE = "add = accumulated * summing, mul = accumulated * multiplying, cmp = accumulated * comparing, div = results"


@formula("scatter_reduce index_reduce scatter", REDUCE)
def scatter_reduce(x: Any, dim: int, index: Any, source: Any, *, reduce: str | None = None) -> Quantities:
    """One step per accumulated element: an addition for sum and mean, a multiplication for prod, a comparison for amax
    and amin; a mean divides every place once. Without a reduction a scatter only copies."""
    accumulated = index.numel() if reduce is not None else 0
    return {
        "accumulated": accumulated,
        "summing": int(reduce in ("sum", "mean", "add")),
        "multiplying": int(reduce in ("prod", "multiply")),
        "comparing": int(reduce in ("amax", "amin")),
        "results": x.numel() if reduce == "mean" else 0,
    }


@formula(
    "embedding_bag _embedding_bag _embedding_bag_forward_only",
    "add = accumulated * summing, cmp = accumulated * comparing, mul = accumulated * weighted, div = averaged",
)
def embedding_bag(weight: Any, indices: Any, *, mode: int = 0, per_sample_weights: Any = None, out: Any) -> Quantities:
    """One addition (sum, mean) or comparison (max) per accumulated element, one multiplication with a weight per
    sample; a mean divides each element of each bag."""
    accumulated = indices.numel() * weight.shape[-1]
    return {
        "accumulated": accumulated,
        "summing": int(mode in (0, 1)),
        "comparing": int(mode == 2),
        "weighted": int(per_sample_weights is not None),
        "averaged": first_tensor(out).numel() if mode == 1 else 0,
    }
