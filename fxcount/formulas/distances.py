"""Distances between points: differences, and their p-norm (sum |x - y|^p)^(1/p)."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from fxcount.cost import Quantities
from fxcount.formulas.registry import formula

DISTANCE = (
    "add = differences + summed * (differences - distances), mul = differences * squared, "
    "cmp = differences * absolute + compared * (differences - distances), "
    "special = differences * raised + distances * rooted"
)
"""One subtraction for each coordinate of each pair of points; then the norm of the differences, counted as
``linalg_vector_norm`` is: what is done to each difference, how they come down to one, what is done to that."""


def _distances(pairs: int, coordinates: int, p: float) -> Quantities:
    """For p = 2 the root of the sum of squares; for 1 the sum of magnitudes; for 0 the number of coordinates that
    differ; for an infinite p the largest magnitude; else |x - y|^p and its root are special functions."""
    euclidean, largest, plain = p == 2, abs(p) == float("inf"), p in (0, 1)
    return {
        "differences": pairs * coordinates,
        "distances": pairs if pairs * coordinates else 0,
        "squared": int(euclidean),
        "absolute": int(not euclidean),
        "raised": int(not (euclidean or largest or plain)),
        "summed": int(not largest),
        "compared": int(largest),
        "rooted": int(not (largest or plain)),
    }


@formula("cdist _cdist_forward", DISTANCE)
def distances_between(x1: Any, x2: Any, p: float, *, out: Any) -> Quantities:
    """From each point in x1 [..., P, M] to each in x2 [..., R, M], by the definition, whether or not a kernel takes
    the way over a matrix product for p = 2."""
    return _distances(out.numel(), x1.shape[-1], p)


@formula("_euclidean_dist", DISTANCE)
def euclidean_distances(x1: Any, x2: Any, *, out: Any) -> Quantities:
    """As ``cdist`` with p = 2."""
    return _distances(out.numel(), x1.shape[-1], 2)


@formula("pdist _pdist_forward", DISTANCE)
def distances_within(x: Any, p: float, *, out: Any) -> Quantities:
    """From each of N points [N, M] to each later one: N (N - 1) / 2 pairs."""
    return _distances(out.numel(), x.shape[-1], p)


@formula("dist", DISTANCE)
def distance(x: Any, y: Any, p: float) -> Quantities:
    """The p-norm of x - y, both taken as one vector."""
    return _distances(1, prod(torch.broadcast_shapes(x.shape, y.shape)), p)
