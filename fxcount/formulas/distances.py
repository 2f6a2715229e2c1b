"""Distances between points: differences, and their p-norm (sum |x - y|^p)^(1/p); and their gradients."""

from math import prod

import torch

from fxcount.cost import Quantities, Size
from fxcount.formulas.reductions import NORM_OF_COMPLEX, norm_quantities
from fxcount.formulas.registry import aliases, formula, given, of_complex
from fxcount.formulas.tensor import Tensor

DISTANCE = (
    "add = differences + summed * (differences - distances), mul = differences * squared, "
    "cmp = differences * absolute + compared * (differences - distances), "
    "special = differences * raised + distances * rooted"
)
"""One subtraction for each coordinate of each pair of points; then the norm of the differences, counted as
``linalg_vector_norm`` is: what is done to each difference, how they come down to one, what is done to that."""


def _distances(pairs: Size, coordinates: Size, p: float) -> Quantities:
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


@formula("cdist _cdist_forward _euclidean_dist pdist _pdist_forward", DISTANCE)
def distances(x: Tensor, *, p: float = 2, out: Tensor) -> Quantities:
    """From each point in x [..., P, M] to each in another tensor [..., R, M], or to each later one in x itself, which
    are P (P - 1) / 2 pairs. By the definition, whether or not a kernel takes the way over a matrix product for p = 2.
    """
    return _distances(out.numel(), x.shape[-1], p)


@of_complex({NORM_OF_COMPLEX.replace("add = ", "add = 2 * differences + "): "dist"})
def complex_distance(x: Tensor, y: Tensor, p: float) -> Quantities:
    """A subtraction of both parts for each element, then ``linalg_vector_norm``."""
    differences = prod(torch.broadcast_shapes(x.shape, y.shape))
    return {"differences": differences, **norm_quantities(differences, 1, p)}


@formula("dist", DISTANCE)
def distance(x: Tensor, y: Tensor, p: float) -> Quantities:
    """The p-norm of x - y, both taken as one vector."""
    return _distances(1, prod(torch.broadcast_shapes(x.shape, y.shape)), p)


DISTANCE_GRADIENTS = (
    "add = terms * (1 + accumulated), cmp = terms * compared, mul = terms * multiplied, "
    "special = terms * powers + pairs * powers, div = pairs * divided"
)
"""terms = pairs * features. With d = a_k - b_k and the distance D of a pair, the gradient of a_k takes (1 add each)

    p = 1: sign(d) g             p = 2: d (g / D)           p = inf: sign(d) g where |d| = D
    other: d |d|^(p - 2) (g / D^(p - 1))                    p = 0: nothing
"""

GRADIENTS_BY_NORM = {
    # p: (compared, multiplied, powers, divided)
    1.0: (1, 1, 0, 0),
    2.0: (0, 1, 0, 1),
    float("inf"): (3, 1, 0, 0),
}


@formula("_cdist_backward", DISTANCE_GRADIENTS)
def distances_backward(grad: Tensor, x: Tensor, *, p: float, accumulated: int = 1) -> Quantities:
    """The gradient of the distances between all rows for the first ones. Within one tensor each term joins the
    gradients of both rows of its pair, with opposite signs: two are accumulated."""
    compared, multiplied, powers, divided = GRADIENTS_BY_NORM.get(p, (1, 2, 1, 1))
    pairs = grad.numel() if p else 0
    return {
        "pairs": pairs,
        "terms": pairs * x.shape[-1],
        "accumulated": accumulated,
        "compared": compared,
        "multiplied": multiplied,
        "powers": powers,
        "divided": divided,
    }


aliases({"_cdist_backward": "_pdist_backward"}, adapt=given(accumulated=2))
