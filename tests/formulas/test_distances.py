"""Distances against counts worked out by hand."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of, formula_cost

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten


def distances(pairs: int, m: int, p: float) -> Cost:
    """A subtraction for each of m coordinates, then the p-norm."""
    return Cost(add=pairs * m) + {
        2.0: Cost(mul=pairs * m, add=pairs * (m - 1), special=pairs),
        1.0: Cost(cmp=pairs * m, add=pairs * (m - 1)),
        0.0: Cost(cmp=pairs * m, add=pairs * (m - 1)),
        math.inf: Cost(cmp=pairs * m + pairs * (m - 1)),
    }.get(p, Cost(cmp=pairs * m, special=pairs * m + pairs, add=pairs * (m - 1)))


NORMS = [2.0, 1.0, 0.0, math.inf, 3.0, 0.5]


@pytest.mark.parametrize("p", NORMS)
def test_every_norm(p: float) -> None:
    assert cost_of(torch.cdist, meta(3, 4), meta(5, 4), p) == distances(3 * 5, 4, p)
    assert cost_of(F.pdist, meta(6, 4), p) == distances(6 * 5 // 2, 4, p)
    assert cost_of(torch.dist, meta(3, 4), meta(3, 4), p) == distances(1, 3 * 4, p)


@pytest.mark.parametrize("p", NORMS)
def test_a_distance_is_the_norm_of_the_differences(p: float) -> None:
    def by_hand(a: Tensor, b: Tensor) -> Tensor:
        return torch.linalg.vector_norm(a[:, None] - b, p, dim=-1)

    a, b = meta(3, 4), meta(5, 4)
    assert cost_of(torch.cdist, a, b, p) == cost_of(by_hand, a, b)


CALLS: dict[str, tuple[Callable[[], Any], Cost]] = {
    "by matrix product": (
        lambda: torch.cdist(meta(30, 4), meta(30, 4), compute_mode="use_mm_for_euclid_dist"),
        distances(900, 4, 2.0),
    ),
    "by definition": (
        lambda: torch.cdist(meta(30, 4), meta(30, 4), compute_mode="donot_use_mm_for_euclid_dist"),
        distances(900, 4, 2.0),
    ),
    "batches": (lambda: torch.cdist(meta(2, 3, 4), meta(2, 5, 4)), distances(2 * 3 * 5, 4, 2.0)),
    "broadcast batches": (lambda: torch.cdist(meta(7, 1, 3, 4), meta(2, 5, 4), 1.0), distances(7 * 2 * 3 * 5, 4, 1.0)),
    "on cpu": (lambda: torch.cdist(torch.zeros(3, 4), torch.zeros(5, 4)), distances(15, 4, 2.0)),
    "kernel": (lambda: aten._cdist_forward(meta(3, 4), meta(5, 4), 1.0, None), distances(15, 4, 1.0)),
    "euclidean kernel": (lambda: aten._euclidean_dist(meta(3, 4), meta(5, 4)), distances(15, 4, 2.0)),
    "one coordinate": (lambda: torch.cdist(meta(3, 1), meta(5, 1)), distances(15, 1, 2.0)),
    "no points": (lambda: torch.cdist(meta(0, 4), meta(5, 4)), Cost()),
    "no coordinates": (lambda: torch.cdist(meta(3, 0), meta(5, 0)), Cost()),
    "within kernel": (lambda: aten._pdist_forward(meta(6, 4), 2.0), distances(15, 4, 2.0)),
    "within two points": (lambda: F.pdist(meta(2, 4)), distances(1, 4, 2.0)),
    "within one point": (lambda: F.pdist(meta(1, 4)), Cost()),
    "within no points": (lambda: F.pdist(meta(0, 4)), Cost()),
    "broadcast vectors": (lambda: torch.dist(meta(3, 1), meta(4)), distances(1, 3 * 4, 2.0)),
    "scalars": (lambda: torch.dist(meta(()), meta(()), 3.0), distances(1, 1, 3.0)),
    "empty vectors": (lambda: torch.dist(meta(0), meta(0)), Cost()),
    # |x1 - x2 + eps|: eps is one more addition.
    "pairwise": (lambda: F.pairwise_distance(meta(5, 4), meta(5, 4)), distances(5, 4, 2.0) + Cost(add=5 * 4)),
    "pairwise, p = 1": (
        lambda: F.pairwise_distance(meta(5, 4), meta(5, 4), p=1.0),
        distances(5, 4, 1.0) + Cost(add=5 * 4),
    ),
    # Two norms, each at least eps; both vectors divided by theirs; 20 products summed in fives.
    "cosine similarity": (
        lambda: F.cosine_similarity(meta(5, 4), meta(5, 4)),
        2 * Cost(mul=20, add=5 * 3, special=5) + Cost(cmp=2 * 5) + Cost(div=2 * 20) + Cost(mul=20, add=5 * 3),
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_cost(case: str) -> None:
    call, expected = CALLS[case]
    assert cost_of(call) == expected


# Gradients, in 4 dimensions


@pytest.mark.parametrize(
    ("p", "per_term", "per_pair"),
    [
        (0.0, Cost(), Cost()),
        (1.0, Cost(add=1, cmp=1, mul=1), Cost()),
        (2.0, Cost(add=1, mul=1), Cost(div=1)),
        (float("inf"), Cost(add=1, cmp=3, mul=1), Cost()),
        (3.0, Cost(add=1, cmp=1, special=1, mul=2), Cost(special=1, div=1)),
    ],
)
def test_gradients(p: float, per_term: Cost, per_pair: Cost) -> None:
    """Every term joins the gradient of one row of a pair (cdist) or of both (pdist)."""
    joined = Cost(add=1 if p else 0)
    # 2 * 3 * 5 pairs of rows; 6 pairs among 4 rows
    args = (meta(2, 3, 5), meta(2, 3, 4), meta(2, 5, 4), p, meta(2, 3, 5))
    assert cost_of(aten._cdist_backward, *args) == 30 * (4 * (per_term + joined) + per_pair)
    cost = formula_cost(aten._pdist_backward.default, meta(6), meta(4, 4), p, meta(6))
    assert cost == 6 * (4 * (per_term + 2 * joined) + per_pair)
