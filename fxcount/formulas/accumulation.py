"""Scattering with a sum: one addition per element that is accumulated into a place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from math import prod
from typing import Any

import torch

from fxcount.cost import Quantities
from fxcount.formulas.arithmetic import first_tensor
from fxcount.formulas.formula import RefusedError
from fxcount.formulas.registry import formula


@formula("index_add", "add = accumulated, mul = accumulated * scaled")
def index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Quantities:
    """self[index] += alpha source: one addition per accumulated element."""
    return {"accumulated": source.numel(), "scaled": int(alpha != 1)}


@formula("scatter_add", "add = accumulated")
def scatter_add(x: Any, dim: int, index: Any) -> Quantities:
    """self[index] += source: one addition for each element of the source that has an index."""
    return {"accumulated": index.numel()}


@formula("put", "add = accumulated")
def put(x: Any, index: Any, source: Any, *, accumulate: bool) -> Quantities:
    """Writing is free; with accumulate it is one addition per element of the source."""
    return {"accumulated": source.numel() if accumulate else 0}


@formula("index_put _index_put_impl _unsafe_index_put", "add = accumulated")
def index_put(x: Any, indices: Sequence[Any], values: Any, *, accumulate: bool) -> Quantities:
    """Writing is free; with accumulate it is one addition per place written to, however few values are broadcast over
    the places."""
    return {"accumulated": _places(x, indices, values) if accumulate else 0}


def _places(x: torch.Tensor, indices: Sequence[torch.Tensor | None], values: torch.Tensor) -> int:
    """What the indices broadcast to, times the axes that they leave whole."""
    given = [index for index in indices if index is not None]
    masks = [index for index in given if index.dtype in (torch.bool, torch.uint8)]
    if masks:
        return _masked_places(x.dim() - (len(given) - len(masks)) - sum(mask.dim() for mask in masks), values)
    broadcast: torch.Size = torch.broadcast_shapes(*(index.shape for index in given))
    whole = [size for size, index in zip_longest(x.shape, indices) if index is None]
    return prod(broadcast) * prod(whole)


def _masked_places(whole_axes: int, values: torch.Tensor) -> int:
    """As many as there are values, unless one value goes to every place that the mask selects."""
    if values.dim() <= whole_axes:
        raise RefusedError("how many places a mask selects depends on its data")
    return values.numel()


REDUCE = "add = accumulated * summing, mul = accumulated * multiplying, cmp = accumulated * comparing, div = results"


def _reduced(x: Any, accumulated: int, reduce: str | None) -> Quantities:
    """One step per accumulated element: an addition for sum and mean, a multiplication for prod, a comparison for amax
    and amin; a mean divides every place once."""
    return {
        "accumulated": accumulated,
        "summing": int(reduce in ("sum", "mean", "add")),
        "multiplying": int(reduce in ("prod", "multiply")),
        "comparing": int(reduce in ("amax", "amin")),
        "results": x.numel() if reduce == "mean" else 0,
    }


@formula("scatter_reduce scatter", REDUCE)
def scatter_reduce(x: Any, dim: int, index: Any, *, reduce: str | None = None) -> Quantities:
    """One step for each element of the source that has an index; without a reduction a scatter only copies."""
    return _reduced(x, index.numel(), reduce)


@formula("index_reduce", REDUCE)
def index_reduce(x: Any, dim: int, index: Any, source: Any, reduce: str) -> Quantities:
    """One step per element of the source: the index names whole slices."""
    return _reduced(x, source.numel(), reduce)


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
