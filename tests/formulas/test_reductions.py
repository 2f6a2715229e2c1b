"""Reductions against the cost model: N elements come down to M results."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of, formula_cost
from tests.optional import optional

meta = partial(torch.empty, device="meta")
integers = partial(meta, dtype=torch.int64)
aten = torch.ops.aten


def along(dim: Any, function: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda x: function(x, dim=dim)


# What of a tensor is reduced over dim, with and without the axis kept.
REDUCED: dict[str, tuple[Callable[..., Any], Callable[[int, int], Cost]]] = {
    "sum": (torch.sum, lambda n, m: Cost(add=n - m)),
    "mean": (torch.mean, lambda n, m: Cost(add=n - m, div=m)),
    "amax": (torch.amax, lambda n, m: Cost(cmp=n - m)),
    "amin": (torch.amin, lambda n, m: Cost(cmp=n - m)),
    "any": (torch.any, lambda n, m: Cost(cmp=n - m)),
    "all": (torch.all, lambda n, m: Cost(cmp=n - m)),
    # the mean (n - m additions, m divisions), then a deviation, a square and a term of the sum, and m divisions
    "var": (torch.var, lambda n, m: Cost(add=(n - m) + n + (n - m), mul=n, div=2 * m)),
    "var_mean": (torch.var_mean, lambda n, m: Cost(add=(n - m) + n + (n - m), mul=n, div=2 * m)),
    "biased var": (partial(torch.var, correction=0), lambda n, m: Cost(add=(n - m) + n + (n - m), mul=n, div=2 * m)),
    "std": (torch.std, lambda n, m: Cost(add=(n - m) + n + (n - m), mul=n, div=2 * m, special=m)),
    "std_mean": (torch.std_mean, lambda n, m: Cost(add=(n - m) + n + (n - m), mul=n, div=2 * m, special=m)),
    "norm": (torch.linalg.vector_norm, lambda n, m: Cost(mul=n, add=n - m, special=m)),
    # each element is asked whether it is a number
    "nansum": (torch.nansum, lambda n, m: Cost(cmp=n, add=n - m)),
    "logsumexp": (torch.logsumexp, lambda n, m: Cost(cmp=n - m, add=n + (n - m) + m, special=n + m)),
}

# The tensor, the axes, and N and M.
AXES: dict[str, tuple[Tensor, Any, int, int]] = {
    "first": (meta(3, 5, 7), 0, 105, 35),
    "last": (meta(3, 5, 7), -1, 105, 15),
    "two": (meta(3, 5, 7), (0, 2), 105, 5),
    "two, negative": (meta(3, 5, 7), (-1, -3), 105, 5),
    "all": (meta(3, 5, 7), (0, 1, 2), 105, 1),
    "one of one": (meta(3, 1), 1, 3, 3),
    "scalar": (meta(()), 0, 1, 1),
    "no elements": (meta(0, 5), 1, 0, 0),
    "strided": (meta(7, 10).t()[::2], 1, 35, 5),
    "half": (meta(3, 5, dtype=torch.float16), 1, 15, 3),
}


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize(("x", "dim", "n", "m"), AXES.values(), ids=AXES)
@pytest.mark.parametrize(("function", "expected"), REDUCED.values(), ids=REDUCED)
def test_reduced(
    function: Callable[..., Any],
    expected: Callable[[int, int], Cost],
    x: Tensor,
    dim: Any,
    n: int,
    m: int,
    keepdim: bool,
) -> None:
    assert cost_of(function, x, dim=dim, keepdim=keepdim) == expected(n, m)


# Of [3, 5, 7]: one axis of 5, 105 elements in 21 lines.
LINES: dict[str, tuple[Callable[[Any], Any], Cost]] = {
    "prod": (along(1, torch.prod), Cost(mul=105 - 21)),
    "max": (along(1, torch.max), Cost(cmp=105 - 21)),
    "min": (along(-2, torch.min), Cost(cmp=105 - 21)),
    "argmax": (along(1, torch.argmax), Cost(cmp=105 - 21)),
    "argmin": (along(1, torch.argmin), Cost(cmp=105 - 21)),
    "aminmax": (lambda x: torch.aminmax(x, dim=1), Cost(cmp=2 * (105 - 21))),
    "cumsum": (along(1, torch.cumsum), Cost(add=105 - 21)),
    "cumprod": (along(1, torch.cumprod), Cost(mul=105 - 21)),
    "cummax": (along(1, torch.cummax), Cost(cmp=105 - 21)),
    # log(exp x + exp y) for each element but the first of a line
    "logcumsumexp": (along(1, torch.logcumsumexp), (105 - 21) * Cost(special=3, add=1)),
    # each is compared with 0; how many are not is a whole number
    "count_nonzero": (along(1, torch.count_nonzero), Cost(cmp=105)),
    "sort": (along(1, torch.sort), Cost(cmp=105 * 3)),  # ceil(log2 5)
    "sort, descending": (lambda x: x.sort(dim=1, descending=True), Cost(cmp=105 * 3)),
    "sort, stable": (lambda x: x.sort(dim=1, stable=True), Cost(cmp=105 * 3)),
    "argsort": (along(1, torch.argsort), Cost(cmp=105 * 3)),
    "msort": (torch.msort, Cost(cmp=105 * 2)),  # over the first axis, of 3
    "topk": (lambda x: x.topk(2, dim=1), Cost(cmp=105 * 3)),
    "topk of the last axis": (lambda x: x.topk(2), Cost(cmp=105 * 3)),  # ceil(log2 7)
    "median of a line": (along(1, torch.median), Cost(cmp=105 * 3)),
    "median of everything": (torch.median, Cost(cmp=105 * 7)),  # ceil(log2 105)
}

WHOLE: dict[str, tuple[Callable[[Any], Any], Cost]] = {
    "sum": (torch.sum, Cost(add=104)),
    "mean": (torch.mean, Cost(add=104, div=1)),
    "prod": (torch.prod, Cost(mul=104)),
    "max": (torch.max, Cost(cmp=104)),
    "min": (torch.min, Cost(cmp=104)),
    "argmax": (torch.argmax, Cost(cmp=104)),
    "amax": (torch.amax, Cost(cmp=104)),
    "any": (torch.any, Cost(cmp=104)),
    "all": (torch.all, Cost(cmp=104)),
    "var": (torch.var, Cost(add=104 + 105 + 104, mul=105, div=2)),
    "std": (torch.std, Cost(add=104 + 105 + 104, mul=105, div=2, special=1)),
    "norm": (torch.norm, Cost(mul=105, add=104, special=1)),
    "linalg norm": (torch.linalg.vector_norm, Cost(mul=105, add=104, special=1)),
}


@pytest.mark.parametrize(("function", "expected"), LINES.values(), ids=LINES)
def test_along_an_axis(function: Callable[[Any], Any], expected: Cost) -> None:
    assert cost_of(function, meta(3, 5, 7)) == expected


@pytest.mark.parametrize(("function", "expected"), WHOLE.values(), ids=WHOLE)
def test_over_everything(function: Callable[[Any], Any], expected: Cost) -> None:
    assert cost_of(function, meta(3, 5, 7)) == expected


@pytest.mark.parametrize("function", [torch.sum, torch.mean, torch.prod, torch.var, torch.any, torch.norm])
def test_nothing_to_reduce(function: Callable[[Any], Any]) -> None:
    assert cost_of(function, meta(3, 0)) == Cost()


@pytest.mark.parametrize("function", [torch.cumsum, torch.cumprod, torch.sort, torch.logsumexp, torch.logcumsumexp])
def test_nothing_along_an_axis(function: Callable[..., Any]) -> None:
    assert cost_of(function, meta(0, 5), dim=1) == Cost()
    assert cost_of(function, meta(5, 0), dim=0) == Cost()


def test_a_trace_sums_the_diagonal() -> None:
    assert cost_of(torch.trace, meta(3, 5)) == Cost(add=3 - 1)
    assert cost_of(torch.trace, meta(0, 5)) == Cost()


def test_scalars_along_an_axis() -> None:
    scalar = meta(())
    assert cost_of(torch.cumsum, scalar, 0) == Cost()
    assert cost_of(torch.sort, scalar) == Cost()


VECTOR = meta(3, 5)
NORMS: dict[Any, Cost] = {
    2: Cost(mul=15, add=12, special=3),
    1: Cost(cmp=15, add=12),  # magnitudes
    0: Cost(cmp=15, add=12),  # places that are not 0
    float("inf"): Cost(cmp=15 + 12),  # magnitudes and their maximum
    -float("inf"): Cost(cmp=15 + 12),
    3: Cost(cmp=15, add=12, special=15 + 3),
}


@pytest.mark.parametrize("order", NORMS)
def test_norms(order: Any) -> None:
    assert cost_of(torch.linalg.vector_norm, VECTOR, order, dim=1) == NORMS[order]
    assert cost_of(torch.norm, VECTOR, order, dim=1) == NORMS[order]
    assert cost_of(VECTOR.norm, order, 1) == NORMS[order]


x = meta(3, 5, 7)
FORMS: dict[str, tuple[Cost, list[Callable[[], Any]]]] = {
    "sum": (
        Cost(add=84),
        [
            lambda: torch.sum(x, 1),
            lambda: x.sum(1),
            lambda: x.sum(dim=-2, keepdim=True),
            partial(torch.sum, x, [1], out=meta(3, 7)),
            lambda: torch.einsum("ijk->ik", x),
        ],
    ),
    "mean": (
        Cost(add=84, div=21),
        [lambda: torch.mean(x, 1), lambda: x.mean(-2), partial(torch.mean, x, 1, out=meta(3, 7))],
    ),
    "max": (
        Cost(cmp=84),
        [
            lambda: torch.max(x, 1),
            lambda: x.max(1),
            lambda: x.amax(1),
            partial(torch.max, x, 1, out=(meta(3, 7), meta(3, 7, dtype=torch.int64))),
        ],
    ),
    "cumsum": (
        Cost(add=84),
        [lambda: x.cumsum(1), lambda: x.clone().cumsum_(1), partial(torch.cumsum, x, 1, out=meta(3, 5, 7))],
    ),
}


@pytest.mark.parametrize(("expected", "forms"), FORMS.values(), ids=FORMS)
def test_every_form_costs_the_same(expected: Cost, forms: list[Callable[[], Any]]) -> None:
    assert [cost_of(form) for form in forms] == [expected] * len(forms)


SLICES = meta(3, 5)


# By the order of the norm, of 3 slices of 5: the norms; then each is compared, maxnorm / (norm + eps), all 15 scaled.
RENORMALISED: dict[float, Cost] = {
    2: Cost(mul=15, add=3 * 4, special=3),
    1: Cost(cmp=15, add=3 * 4),
    3: Cost(cmp=15, add=3 * 4, special=15 + 3),
    float("inf"): Cost(cmp=15 + 3 * 4),
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
    power_sum = optional("ops.aten.linalg__powsum")
    assert cost_of(power_sum, meta(3, 5), 2, [1]) == Cost(mul=15, add=12)
    assert cost_of(power_sum, meta(3, 5), 3) == Cost(cmp=15, add=14, special=15)
    # Of complex numbers the squares of both parts are added; a magnitude is the root of that.
    z = meta(3, 5, dtype=torch.complex64)
    assert cost_of(power_sum, z, 2, [1]) == Cost(mul=30, add=15 + 12)
    assert cost_of(power_sum, z, 3) == Cost(mul=30, add=15 + 14, special=15 + 15)
    assert cost_of(power_sum, z, 0) == Cost(cmp=15, add=14)
    assert cost_of(aten._foreach_powsum, [meta(3), meta(2, 5)], 2) == Cost(mul=13, add=2 + 9)


def test_native_norm() -> None:
    assert formula_cost(aten.native_norm.default, meta(3, 5), out=meta(())) == Cost(mul=15, add=14, special=1)


X = meta(3, 5)

# Operators that torch cannot run on shapes: their arguments, their result, their cost.
WITHOUT_SHAPES: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], Any, Cost]] = {
    "unique": (aten._unique2.default, (X,), {}, (X, X, X), Cost(cmp=15 * 4)),  # as a sort of 15
    "_unique": (aten._unique.default, (X,), {}, (X, X), Cost(cmp=15 * 4)),
    "unique, integers": (aten._unique2.default, (integers(15),), {}, (integers(9), integers(0)), Cost()),
    "unique rows": (aten.unique_dim.default, (X, 0), {}, (X, X, X), Cost(cmp=15 * 2)),  # as a sort of 3, over 5
    "unique neighbours": (aten.unique_consecutive.default, (X,), {}, (X, X, X), Cost(cmp=15 - 1)),
    "unique neighbours of rows": (aten.unique_consecutive.default, (X,), {"dim": 0}, (X, X, X), Cost(cmp=15 - 5)),
    "unique neighbouring rows": (aten.unique_dim_consecutive.default, (X, 0), {}, (X, X, X), Cost(cmp=15 - 5)),
    "no neighbours": (aten.unique_consecutive.default, (meta(0),), {}, (X, X, X), Cost()),
    "smallest and largest": (aten._aminmax.default, (X,), {}, (meta(()), meta(())), Cost(cmp=2 * 14)),
    "smallest and largest of rows": (aten._aminmax.dim, (X, 1), {}, (meta(3), meta(3)), Cost(cmp=2 * 12)),
}


@pytest.mark.parametrize(("operator", "args", "kwargs", "out", "expected"), WITHOUT_SHAPES.values(), ids=WITHOUT_SHAPES)
def test_operators_without_a_shape_function(
    operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, expected: Cost
) -> None:
    assert formula_cost(operator, *args, out=out, **kwargs) == expected


def test_truth_of_booleans_is_free() -> None:
    assert cost_of(torch._is_all_true, meta(5, dtype=torch.bool)) == Cost()
    assert cost_of(torch._is_any_true, meta(5, dtype=torch.bool)) == Cost()


def test_gradient_of_cumprod() -> None:
    lines = meta(3, 5)
    assert cost_of(aten.cumprod_backward, lines, lines, 1, lines) == Cost(mul=15, add=15 - 3, div=15)
