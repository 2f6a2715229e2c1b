"""Polynomials by recurrence; searches, histograms, bounded norms and other operators that few models call."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import special
from torch.nn import functional as F

from fxcount import Cost
from fxcount.formulas import REFUSED, find_formula
from tests.costing import cost_of

meta = partial(torch.empty, device="meta")
integers = partial(torch.empty, dtype=torch.int64, device="meta")
aten = torch.ops.aten

CHEBYSHEV_STEP = Cost(mul=2, add=1)  # 2x C_k - C_(k-1)

# The polynomial of degree 1, and a step of the recurrence.
POLYNOMIALS: dict[str, tuple[Cost, Cost]] = {
    "chebyshev_polynomial_t": (Cost(), CHEBYSHEV_STEP),  # x
    "chebyshev_polynomial_u": (Cost(mul=1), CHEBYSHEV_STEP),  # 2x
    "chebyshev_polynomial_v": (Cost(mul=1, add=1), CHEBYSHEV_STEP),  # 2x - 1
    "chebyshev_polynomial_w": (Cost(mul=1, add=1), CHEBYSHEV_STEP),  # 2x + 1
    "shifted_chebyshev_polynomial_t": (Cost(mul=1, add=1), CHEBYSHEV_STEP),  # y = 2x - 1
    "shifted_chebyshev_polynomial_u": (Cost(mul=2, add=1), CHEBYSHEV_STEP),  # 2y
    "shifted_chebyshev_polynomial_v": (Cost(mul=2, add=2), CHEBYSHEV_STEP),  # 2y - 1
    "shifted_chebyshev_polynomial_w": (Cost(mul=2, add=2), CHEBYSHEV_STEP),  # 2y + 1
    "hermite_polynomial_h": (Cost(mul=1), Cost(mul=3, add=1)),  # 2x; 2x H_k - 2k H_(k-1)
    "hermite_polynomial_he": (Cost(), Cost(mul=2, add=1)),  # x; x He_k - k He_(k-1)
    "laguerre_polynomial_l": (Cost(add=1), Cost(mul=2, add=2, div=1)),  # 1 - x; ((2k+1-x) L_k - k L_(k-1)) / (k+1)
    "legendre_polynomial_p": (Cost(), Cost(mul=3, add=1, div=1)),  # x; ((2k+1) x P_k - k P_(k-1)) / (k+1)
}


@pytest.mark.parametrize(("name", "first", "step"), [(name, *costs) for name, costs in POLYNOMIALS.items()])
def test_polynomials(name: str, first: Cost, step: Cost) -> None:
    polynomial = getattr(special, name)
    assert cost_of(polynomial, meta(3, 5), -1) == Cost()
    assert cost_of(polynomial, meta(3, 5), 0) == Cost()
    assert cost_of(polynomial, meta(3, 5), 1) == 15 * first
    assert cost_of(polynomial, meta(3, 5), 4) == 15 * (first + 3 * step)
    assert cost_of(polynomial, meta(3, 5), 4.0) == 15 * (first + 3 * step)
    assert cost_of(polynomial, meta(0, 5), 4) == Cost()
    assert cost_of(polynomial, torch.ones(3, 5), 4, out=meta(3, 5)) == 15 * (first + 3 * step)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_a_degree_in_a_tensor_is_not_known(name: str) -> None:
    polynomial = getattr(special, name)
    assert cost_of(polynomial, meta(3, 1), meta(5)) == Cost(special=15)
    assert cost_of(polynomial, meta(3, 5), torch.tensor(4)) == Cost(special=15)
    assert cost_of(polynomial, 0.5, meta(5)) == Cost(special=5)


def test_multivariate_log_gamma() -> None:
    # p functions, of x and of x less 1/2 and 1; 2 sums of the three, and one with the constant
    assert cost_of(torch.mvlgamma, meta(3, 5), 3) == 15 * Cost(special=3, add=2 + 2 + 1)
    assert cost_of(special.multigammaln, meta(3, 5), 1) == 15 * Cost(special=1, add=1)
    assert cost_of(meta(3, 5).mvlgamma_, 3) == 15 * Cost(special=3, add=5)


SLICES = meta(3, 5)

# By the order of the norm, of 3 slices of 5: the norms; then each is compared, maxnorm / (norm + eps), all 15 scaled.
RENORMALISED: dict[float, Cost] = {
    2: Cost(mul=15, add=3 * 4, special=3),
    1: Cost(cmp=15, add=3 * 4),
    3: Cost(cmp=15, add=3 * 4, special=15 + 3),
}
BOUND = Cost(cmp=3, add=3, div=3, mul=15)


@pytest.mark.parametrize(("order", "norms"), RENORMALISED.items())
def test_bounded_norms(order: float, norms: Cost) -> None:
    assert cost_of(torch.renorm, SLICES, order, 0, 1.0) == norms + BOUND
    assert cost_of(torch.renorm, SLICES.t(), order, -1, 1.0) == norms + BOUND
    assert cost_of(SLICES.clone().renorm_, order, 0, 1.0) == norms + BOUND
    # as many rows as indices, whether they are the same or not
    assert cost_of(F.embedding, integers(3), meta(7, 5), max_norm=1.0, norm_type=order) == norms + BOUND


def test_bounded_norms_of_nothing() -> None:
    assert cost_of(torch.renorm, meta(3, 0), 2, 0, 1.0) == Cost()
    assert cost_of(F.embedding, integers(3), meta(7, 0), max_norm=1.0) == Cost()


def test_power_sums_are_norms_without_a_root() -> None:
    power_sum = aten.linalg__powsum
    assert cost_of(power_sum, meta(3, 5), 2, [1]) == Cost(mul=15, add=12)
    assert cost_of(power_sum, meta(3, 5), 3) == Cost(cmp=15, add=14, special=15)
    assert cost_of(aten._foreach_powsum, [meta(3), meta(2, 5)], 2) == Cost(mul=13, add=2 + 9)


def test_native_norm() -> None:
    norm = find_formula(aten.native_norm.default)
    assert norm is not None
    assert norm((meta(3, 5),), {}, meta(())).cost == Cost(mul=15, add=14, special=1)


def test_weight_norm() -> None:
    # v [3, 5], g [3, 1]: 3 norms of 5, 3 quotients g / norm, 15 products with v
    expected = Cost(mul=15 + 15, add=12, special=3, div=3)
    assert cost_of(torch._weight_norm, meta(3, 5), meta(3, 1), 0) == expected
    assert cost_of(torch._weight_norm, torch.ones(3, 5), torch.ones(3, 1), 0) == expected
    assert cost_of(aten._weight_norm_interface, meta(3, 5), meta(3, 1), 0) == expected
    assert cost_of(torch._weight_norm, meta(3, 0), meta(3, 1), 0) == Cost()


X = meta(3, 5)
MASK = meta(2, dtype=torch.bool)

SEARCHED: dict[str, tuple[Callable[[], Any], Cost]] = {
    # 7 edges part the line in 8: 3 comparisons; 8 edges in 9: 4
    "bucketize": (partial(torch.bucketize, X, meta(7)), Cost(cmp=15 * 3)),
    "bucketize, 8 edges": (partial(torch.bucketize, X, meta(8)), Cost(cmp=15 * 4)),
    "bucketize, no edges": (partial(torch.bucketize, X, meta(0)), Cost()),
    "bucketize a number": (partial(torch.bucketize, 0.5, meta(7)), Cost(cmp=3)),
    "bucketize integers": (partial(torch.bucketize, integers(3), integers(7)), Cost()),
    "searchsorted": (partial(torch.searchsorted, meta(3, 7), X), Cost(cmp=15 * 3)),
    "searchsorted a number": (partial(torch.searchsorted, meta(7), 0.5), Cost(cmp=3)),
    "isin": (partial(torch.isin, X, meta(2, 2)), Cost(cmp=15 * 4)),
    "isin a number": (partial(torch.isin, X, 2.0), Cost(cmp=15)),
    "a number isin": (partial(torch.isin, 2.0, X), Cost(cmp=15)),
    # |x - y| <= atol + rtol |y|
    "isclose": (partial(torch.isclose, X, meta(5)), 15 * Cost(mul=1, add=2, cmp=3)),
    "isclose, integers": (partial(torch.isclose, integers(3), integers(3)), Cost()),
    # an offset is (x - min) / width, rounded, and inside both ends; one more in its bin
    "histc": (partial(torch.histc, X, 4, 0, 1), 15 * Cost(add=2, div=1, cmp=3)),
    "histc, no range": (partial(torch.histc, X, 4), 15 * Cost(add=2, div=1, cmp=3) + Cost(cmp=2 * 14)),
    "frexp": (partial(torch.frexp, X), Cost(cmp=15)),
    "rrelu": (partial(F.rrelu, X, training=True), 15 * Cost(cmp=1, mul=1)),
    "rrelu, in eval": (partial(F.rrelu, X), 15 * Cost(cmp=1, mul=1)),
    "fused dropout": (partial(torch._fused_dropout, X, 0.5), Cost(mul=15)),
    "masked scale": (partial(torch._masked_scale, X, meta(3, 5, dtype=torch.uint8), 2.0), Cost(mul=15)),
    "segment sum": (partial(torch.segment_reduce, X, "sum", lengths=integers(2)), Cost(add=15)),
    "segment mean": (partial(torch.segment_reduce, X, "mean", lengths=integers(2)), Cost(add=15, div=2 * 5)),
    "segment max": (partial(torch.segment_reduce, X, "max", lengths=integers(2)), Cost(cmp=15)),
    "segment product": (partial(torch.segment_reduce, X, "prod", lengths=integers(2)), Cost(mul=15)),
    "masked places": (
        partial(aten._unsafe_masked_index_put_accumulate, meta(5), MASK, [integers(2)], meta(2)),
        Cost(add=2),
    ),
    "all true": (partial(torch._is_all_true, meta(5, dtype=torch.bool)), Cost()),
    "any true": (partial(torch._is_any_true, meta(5, dtype=torch.bool)), Cost()),
}


@pytest.mark.parametrize(("call", "expected"), SEARCHED.values(), ids=SEARCHED)
def test_pointwise_and_reductions(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


HISTOGRAM = (meta(4), meta(5))

# Operators that torch cannot run on shapes: their arguments, their result, their cost.
WITHOUT_SHAPES: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], Any, Cost]] = {
    "allclose": (aten.allclose.default, (X, meta(5)), {}, True, 15 * Cost(mul=1, add=2, cmp=3)),
    "unique": (aten._unique2.default, (X,), {}, (X, X, X), Cost(cmp=15 * 4)),  # as a sort of 15
    "_unique": (aten._unique.default, (X,), {}, (X, X), Cost(cmp=15 * 4)),
    "unique, integers": (aten._unique2.default, (integers(15),), {}, (integers(9), integers(0)), Cost()),
    "unique rows": (aten.unique_dim.default, (X, 0), {}, (X, X, X), Cost(cmp=15 * 2)),  # as a sort of 3, over 5
    "unique neighbours": (aten.unique_consecutive.default, (X,), {}, (X, X, X), Cost(cmp=15 - 1)),
    "unique neighbours of rows": (aten.unique_consecutive.default, (X,), {"dim": 0}, (X, X, X), Cost(cmp=15 - 5)),
    "unique neighbouring rows": (aten.unique_dim_consecutive.default, (X, 0), {}, (X, X, X), Cost(cmp=15 - 5)),
    "no neighbours": (aten.unique_consecutive.default, (meta(0),), {}, (X, X, X), Cost()),
    "counts": (aten.bincount.default, (integers(7),), {}, integers(3), Cost()),
    "weighted counts": (aten.bincount.default, (integers(7), meta(7)), {}, meta(3), Cost(add=7)),
    "smallest and largest": (aten._aminmax.default, (X,), {}, (meta(()), meta(())), Cost(cmp=2 * 14)),
    "smallest and largest of rows": (aten._aminmax.dim, (X, 1), {}, (meta(3), meta(3)), Cost(cmp=2 * 12)),
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
    formula = find_formula(operator)
    assert formula is not None
    assert formula(args, kwargs, out).cost == expected


I = integers(3, 5)  # noqa: E741
B = meta(3, 5, dtype=torch.bool)

FREE: dict[str, Callable[[], Any]] = {
    "and": lambda: I & I,
    "or": lambda: B | B,
    "exclusive or": lambda: I ^ 3,
    "not": lambda: ~I,
    "in place": lambda: I.clone().__iand__(I),
    "shifts": lambda: (I << 2) >> I,
    "shifts in place": lambda: I.clone().__ilshift__(2),
    "divisors": lambda: torch.gcd(I, I) + torch.lcm(I, I),
    "bitwise": lambda: torch.bitwise_left_shift(torch.bitwise_and(I, 3), I),
    "hash": partial(torch.hash_tensor, X),
    "masked index": partial(aten._unsafe_masked_index, meta(5), MASK, [integers(2)], 0),
    "normal": lambda: aten.normal_functional(X),
    "copy": partial(torch._lazy_clone, X),
}


@pytest.mark.parametrize("call", FREE.values(), ids=FREE)
def test_bits_copies_and_random_numbers_are_free(call: Callable[[], Any]) -> None:
    assert cost_of(call) == Cost()


def test_operators_of_torchs_own_tests_are_refused() -> None:
    assert REFUSED["aten._foobar"] == REFUSED["aten._test_warn_in_autograd"]
