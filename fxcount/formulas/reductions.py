"""Reductions: elements come down to fewer results. Without elements there is nothing to reduce and nothing to pay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fxcount.cost import Quantities
from fxcount.cost.equation import ceil_log2
from fxcount.formulas.accumulation import REDUCE
from fxcount.formulas.arithmetic import first_tensor
from fxcount.formulas.registry import formula, formulas

REDUCTIONS = {
    "add = elements - results": "sum",
    "cmp = elements, add = elements - results": "nansum",
    "add = elements - results, div = results": "mean",
    "mul = elements - results": "prod",
    "cmp = elements - results": "amax amin argmax argmin any all _is_all_true _is_any_true",
    "cmp = 2 * (elements - results)": "aminmax _aminmax",
    "cmp = elements": "count_nonzero",
    "add = 3 * elements - 2 * results, mul = elements, div = 2 * results": "var var_mean",
    "add = 3 * elements - 2 * results, mul = elements, div = 2 * results, special = results": "std std_mean",
    "cmp = elements - results, add = 2 * elements, special = elements + results": "logsumexp",
}


def reduced(x: Any, out: Any) -> Quantities:
    """How many elements come down to how many results."""
    elements = x.numel()
    return {"elements": elements, "results": first_tensor(out).numel() if elements else 0}


@formulas(REDUCTIONS)
def reduction(x: Any, *, out: Any) -> Quantities:
    """The operator's definition in the PyTorch documentation over the elements of each result. A variance takes the
    mean first: a sum and a division; then a subtraction, a square and an addition per element, and a division."""
    return reduced(x, out)


@formula("trace", "add = diagonal - sums")
def trace(x: Any) -> Quantities:
    """The sum of the diagonal."""
    diagonal = min(x.shape)
    return {"diagonal": diagonal, "sums": min(diagonal, 1)}


@formula("max min", "cmp = comparisons")
def extremum(x: Any, *, other: Any = None, out: Any) -> Quantities:
    """Of one tensor the reduction, elements - results comparisons; of two the larger or smaller, one per output."""
    if other is not None:
        return {"comparisons": out.numel()}
    quantities = reduced(x, out)
    return {"comparisons": quantities["elements"] - quantities["results"]}


def _lines(x: Any, dim: int | None) -> Quantities:
    """The elements, and the lines along ``dim`` that they make up."""
    length = x.shape[dim] if x.dim() and dim is not None else x.numel() if dim is None else 1
    return {"elements": x.numel(), "lines": x.numel() // max(1, length), "length": length}


@formulas(
    {
        "cmp = elements - lines, add = 2 * elements - lines, special = elements, div = elements": (
            "softmax _softmax _safe_softmax"
        ),
        "cmp = elements - lines, add = 3 * elements - lines, special = elements + lines": "log_softmax _log_softmax",
        "add = elements - lines": "cumsum",
        "mul = elements - lines": "cumprod",
        "cmp = elements - lines": (
            "cummax cummin _cummax_helper _cummin_helper unique_consecutive unique_dim_consecutive"
        ),
        "special = 3 * (elements - lines), add = elements - lines": "logcumsumexp _logcumsumexp",
    }
)
def along_an_axis(x: Any, *, dim: int) -> Quantities:
    """Along each line of the axis: a softmax subtracts the maximum, takes the exponential, sums and divides, a
    log_softmax subtracts the logarithm of the sum instead of dividing; a running reduction takes one step per element
    but the first, and so does a comparison with the element before."""
    return _lines(x, dim)


@formulas({"cmp = elements * ceil_log2(length)": "sort topk kthvalue mode unique_dim"})
def selection(x: Any, *, dim: int | None = -1) -> Quantities:
    """An order by comparison: ceil(log2 n) comparisons for each of the n elements of a line."""
    return _lines(x, dim)


@formulas({"cmp = elements * ceil_log2(length)": "median nanmedian _unique _unique2"})
def median(x: Any, *, dim: int | None = None) -> Quantities:
    """An order by comparison: ceil(log2 n) comparisons for each of the n elements of a line."""
    return _lines(x, dim)


@formula("segment_reduce", REDUCE)
def segment_reduce(x: Any, reduce: str, *, out: Any) -> Quantities:
    """One step per element, accumulated into the result of its segment; a mean divides every result once."""
    return {
        "accumulated": x.numel(),
        "summing": int(reduce in ("sum", "mean")),
        "multiplying": int(reduce == "prod"),
        "comparing": int(reduce in ("max", "min")),
        "results": out.numel() if reduce == "mean" else 0,
    }


@formula("bincount", "add = accumulated")
def bincount(x: Any) -> Quantities:
    """Every element adds its weight to the sum of its bin; without weights whole numbers are counted: free."""
    return {"accumulated": x.numel()}


@formula("_unsafe_masked_index_put_accumulate", "add = accumulated")
def masked_put(*, values: Any) -> Quantities:
    """One addition per accumulated element; those that the mask leaves out count too."""
    return {"accumulated": values.numel()}


HISTOGRAM = (
    "add = points + offsets + cells - totals, mul = cells, div = offsets + cells, "
    "cmp = 3 * offsets + points * levels + extremes"
)
"""Every point adds one, or its weight, to its bin. In bins of one width, each coordinate has an offset,
floor((x - min) / width): a subtraction, a division, a rounding and two comparisons with the ends of the range. In bins
with given edges it is found by bisection, levels = ceil(log2(edges + 1)) comparisons, summed over the coordinates.
extremes are the comparisons for the smallest and the largest element where these are the range. A density is
bin / (total * volume) in every cell."""


def _histogram(x: Any, coordinates: int, bins: Sequence[Any], extremes: bool, density: bool, out: Any) -> Quantities:
    values = x.numel()
    edges = [each.numel() for each in bins if isinstance(each, torch.Tensor)]
    cells = first_tensor(out).numel() if density else 0
    return {
        "points": values // max(1, coordinates),
        "offsets": 0 if edges else values,
        "levels": sum(ceil_log2(each + 1) for each in edges),
        "extremes": 2 * (values - coordinates) if extremes and values else 0,
        "cells": cells,
        "totals": int(cells > 0),
    }


@formula("histc", HISTOGRAM)
def histc(x: Any, bins: int, lower: Any, upper: Any, *, out: Any) -> Quantities:
    """The number of elements in each of the equal bins; without a range, lower == upper, from smallest to largest."""
    return _histogram(x, 1, [bins], lower == upper, False, out)


@formula("histogram", HISTOGRAM)
def histogram(x: Any, bins: Any, *, range: Any = None, density: bool, out: Any) -> Quantities:
    """The number, or the weight, or the density of the elements in each bin."""
    uniform = not isinstance(bins, torch.Tensor)
    return _histogram(x, 1, [bins], uniform and range is None, density, out)


@formula("_histogramdd_from_bin_cts _histogramdd_from_bin_tensors", HISTOGRAM)
def histogramdd(x: Any, bins: Sequence[Any], *, density: bool, out: Any) -> Quantities:
    """As ``histogram``, for points of several coordinates; ``_histogramdd_bin_edges`` has found the range."""
    return _histogram(x, x.shape[-1], bins, False, density, out)


@formula("_histogramdd_bin_edges", "cmp = extremes")
def histogram_edges(x: Any, *, range: Any) -> Quantities:
    """Without a range the bins of each coordinate reach from its smallest to its largest value."""
    return {"extremes": 2 * (x.numel() - x.shape[-1]) if range is None and x.numel() else 0}


NORM = "mul = squares, cmp = magnitudes, add = summed, special = powers + roots"


def _norm(elements: int, results: int, order: Any) -> dict[str, int]:
    """The quantities of ``NORM`` for elements that come down to results."""
    results = results if elements else 0
    fewer = elements - results
    p = 2.0 if order is None or isinstance(order, str) else float(order)
    quantities = {"squares": 0, "magnitudes": elements, "summed": fewer, "powers": 0, "roots": 0}
    if p == 2:
        return {**quantities, "squares": elements, "magnitudes": 0, "roots": results}
    if p in (0, 1):
        return quantities
    if abs(p) == float("inf"):
        return {**quantities, "magnitudes": elements + fewer, "summed": 0}
    return {**quantities, "powers": elements, "roots": results}


@formula("linalg_vector_norm norm native_norm", NORM)
def vector_norm(x: Any, order: Any = None, *, out: Any) -> Quantities:
    """(sum |x|^p)^(1/p): for p = 2 the root of the sum of squares; for 1 the sum of magnitudes; for 0 the number of
    elements that are not 0; for an infinite p the largest or smallest magnitude; else |x|^p is a special function."""
    return _norm(x.numel(), first_tensor(out).numel(), order)


@formula("linalg__powsum powsum", NORM)
def power_sum(x: Any, order: Any, *, out: Any) -> Quantities:
    """sum |x|^p: a vector norm without its root."""
    return {**_norm(x.numel(), out.numel(), order), "roots": 0}


RENORM = "mul = squares + scaled, cmp = magnitudes + norms, add = summed + norms, div = norms, special = powers + roots"
"""Where a norm is larger than it may be, its elements are scaled by maxnorm / (norm + eps). Which are is not known
from shapes: all count."""


@formula("renorm", RENORM)
def renorm(x: Any, p: Any, dim: int) -> Quantities:
    """The vector norm of every slice along ``dim`` is held against its maximum, and the slice scaled."""
    elements = x.numel()
    norms = x.shape[dim] if elements else 0
    return {"scaled": elements, "norms": norms, **_norm(elements, norms, p)}


@formula("embedding_renorm", RENORM)
def embedding_renorm(weight: Any, indices: Any, max_norm: float, norm_type: float) -> Quantities:
    """As ``renorm`` for every row that is looked up; one that is looked up again counts again."""
    elements = indices.numel() * weight.shape[-1]
    norms = indices.numel() if elements else 0
    return {"scaled": elements, "norms": norms, **_norm(elements, norms, norm_type)}


@formula(
    "_weight_norm _weight_norm_interface",
    "mul = 2 * elements, add = elements - norms, div = norms, special = norms",
)
def weight_norm(v: Any, g: Any) -> Quantities:
    """v * (g / ||v||): a vector norm of order 2 and a quotient for each g, and a product for each element of v."""
    elements = v.numel()
    return {"elements": elements, "norms": g.numel() if elements else 0}
