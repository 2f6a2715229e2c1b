"""Histograms and the search among sorted edges against counts worked out by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from fxcount import Cost
from tests.costing import cost_of, formula_cost

meta = partial(torch.empty, device="meta")
integers = partial(meta, dtype=torch.int64)
aten = torch.ops.aten
X = meta(3, 5)

CASES: dict[str, tuple[Callable[[], Any], Cost]] = {
    # 7 edges part the line in 8: 3 comparisons; 8 edges in 9: 4
    "bucketize": (partial(torch.bucketize, X, meta(7)), Cost(cmp=15 * 3)),
    "bucketize, 8 edges": (partial(torch.bucketize, X, meta(8)), Cost(cmp=15 * 4)),
    "bucketize, no edges": (partial(torch.bucketize, X, meta(0)), Cost()),
    "bucketize a number": (partial(torch.bucketize, 0.5, meta(7)), Cost(cmp=3)),
    "bucketize integers": (partial(torch.bucketize, integers(3), integers(7)), Cost()),
    "searchsorted": (partial(torch.searchsorted, meta(3, 7), X), Cost(cmp=15 * 3)),
    "searchsorted a number": (partial(torch.searchsorted, meta(7), 0.5), Cost(cmp=3)),
    # an offset is (x - min) / width, rounded, and inside both ends; one more in its bin
    "histc": (partial(torch.histc, X, 4, 0, 1), 15 * Cost(add=2, div=1, cmp=3)),
    "histc, no range": (partial(torch.histc, X, 4), 15 * Cost(add=2, div=1, cmp=3) + Cost(cmp=2 * 14)),
}


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


HISTOGRAM = (meta(4), meta(5))

# Operators that torch cannot run on shapes: their arguments, their result, their cost.
WITHOUT_SHAPES: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], Any, Cost]] = {
    "histogram": (
        aten.histogram.bin_ct,
        (X, 4),
        {"range": [0.0, 1.0], "weight": X},
        HISTOGRAM,
        15 * Cost(add=2, div=1, cmp=3),
    ),
    "histogram, no range": (
        aten.histogram.bin_ct,
        (X, 4),
        {},
        HISTOGRAM,
        15 * Cost(add=2, div=1, cmp=3) + Cost(cmp=28),
    ),
    # 5 edges: 3 comparisons; a density sums 4 bins, and divides each by total times width
    "histogram, edges": (aten.histogram.bins_tensor, (X, meta(5)), {}, HISTOGRAM, 15 * Cost(add=1, cmp=3)),
    "histogram, density": (
        aten.histogram.bins_tensor,
        (X, meta(5)),
        {"density": True},
        HISTOGRAM,
        15 * Cost(add=1, cmp=3) + Cost(add=3, mul=4, div=4),
    ),
    "histogram of nothing": (aten.histogram.bin_ct, (meta(0), 4), {}, HISTOGRAM, Cost()),
    # 3 points of 5 coordinates: 15 offsets, 3 counts
    "many coordinates": (
        aten._histogramdd_from_bin_cts.default,
        (X, [2] * 5),
        {},
        meta(2, 2, 2, 2, 2),
        15 * Cost(add=1, div=1, cmp=3) + Cost(add=3),
    ),
    # 2, 3, 4, 7 and 8 edges: 2 + 2 + 3 + 3 + 4 comparisons for each point
    "many coordinates, edges": (
        aten._histogramdd_from_bin_tensors.default,
        (X, [meta(2), meta(3), meta(4), meta(7), meta(8)]),
        {},
        meta(1, 2, 3, 6, 7),
        Cost(add=3, cmp=3 * 14),
    ),
    "edges": (aten._histogramdd_bin_edges.default, (X, [2] * 5), {}, [meta(3)] * 5, Cost(cmp=2 * (15 - 5))),
    "edges of a range": (
        aten._histogramdd_bin_edges.default,
        (X, [2] * 5),
        {"range": [0.0, 1.0] * 5},
        [meta(3)] * 5,
        Cost(),
    ),
}


@pytest.mark.parametrize(("operator", "args", "kwargs", "out", "expected"), WITHOUT_SHAPES.values(), ids=WITHOUT_SHAPES)
def test_operators_without_a_shape_function(
    operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, expected: Cost
) -> None:
    assert formula_cost(operator, *args, out=out, **kwargs) == expected
