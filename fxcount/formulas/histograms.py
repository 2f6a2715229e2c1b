"""Histograms, and the search for the bin or the place among sorted edges that a value has."""

from collections.abc import Sequence

import torch

from fxcount.cost import Quantities, Size
from fxcount.cost.equation import ceil_log2
from fxcount.formulas.number_kinds import first_tensor
from fxcount.formulas.registry import formula
from fxcount.formulas.tensor import Tensor

HISTOGRAM = (
    "add = points + offsets + cells - totals, mul = cells, div = offsets + cells, "
    "cmp = 3 * offsets + points * levels + extremes"
)
"""Every point adds one, or its weight, to its bin. In bins of one width, each coordinate has an offset,
floor((x - min) / width): a subtraction, a division, a rounding and two comparisons with the ends of the range. In bins
with given edges it is found by bisection, levels = ceil(log2(edges + 1)) comparisons, summed over the coordinates.
extremes are the comparisons for the smallest and the largest element where these are the range. A density is
bin / (total * volume) in every cell."""


def _histogram(
    x: Tensor, coordinates: Size, bins: Sequence[Size | torch.Tensor], extremes: bool, density: bool, out: object
) -> Quantities:
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
def histc(x: Tensor, bins: Size, lower: float, upper: float, *, out: Tensor) -> Quantities:
    """The number of elements in each of the equal bins; without a range, lower == upper, from smallest to largest."""
    return _histogram(x, 1, [bins], lower == upper, False, out)


@formula("histogram", HISTOGRAM)
def histogram(
    x: Tensor, bins: Size | torch.Tensor, *, range: Sequence[float] | None = None, density: bool, out: object
) -> Quantities:
    """The number, or the weight, or the density of the elements in each bin."""
    uniform = not isinstance(bins, torch.Tensor)
    return _histogram(x, 1, [bins], uniform and range is None, density, out)


@formula("_histogramdd_from_bin_cts _histogramdd_from_bin_tensors", HISTOGRAM)
def histogramdd(x: Tensor, bins: Sequence[Size | torch.Tensor], *, density: bool, out: object) -> Quantities:
    """As ``histogram``, for points of several coordinates; ``_histogramdd_bin_edges`` has found the range."""
    return _histogram(x, x.shape[-1], bins, False, density, out)


@formula("_histogramdd_bin_edges", "cmp = extremes")
def histogram_edges(x: Tensor, *, range: Sequence[float] | None) -> Quantities:
    """Without a range the bins of each coordinate reach from its smallest to its largest value."""
    return {"extremes": 2 * (x.numel() - x.shape[-1]) if range is None and x.numel() else 0}


BISECTION = "cmp = outputs * ceil_log2(edges + 1)"
"""Which of the places before, between and after the edges a value has, is found by bisection."""


@formula("bucketize", BISECTION)
def bucketize(*, boundaries: Tensor, out: Tensor) -> Quantities:
    """Every value is placed among the same edges."""
    return {"outputs": out.numel(), "edges": boundaries.shape[-1]}


@formula("searchsorted", BISECTION)
def searchsorted(*, sorted_sequence: Tensor, out: Tensor) -> Quantities:
    """Every value is placed among the edges of its own line."""
    return {"outputs": out.numel(), "edges": sorted_sequence.shape[-1]}
