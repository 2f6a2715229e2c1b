"""Bags of embeddings and the gradients of embeddings against counts worked out by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of, formula_cost

meta = partial(torch.empty, device="meta")
integers = partial(torch.empty, dtype=torch.int64, device="meta")
aten = torch.ops.aten


def bag(mode: str, **options: Any) -> Callable[[], Any]:
    """Two bags of seven rows together, three wide."""
    return partial(F.embedding_bag, integers(7), meta(10, 3), integers(2), mode=mode, **options)


CASES: dict[str, tuple[Callable[[], Any], Cost]] = {
    "bag, sum": (bag("sum"), Cost(add=7 * 3)),
    "bag, mean": (bag("mean"), Cost(add=7 * 3, div=2 * 3)),
    "bag, max": (bag("max"), Cost(cmp=7 * 3)),
    "bag, weighted": (bag("sum", per_sample_weights=meta(7)), Cost(add=7 * 3, mul=7 * 3)),
    "bag, padded": (bag("sum", padding_idx=0), Cost(add=7 * 3)),
    "bags of equal size": (partial(F.embedding_bag, integers(2, 4), meta(10, 3)), Cost(add=2 * 4 * 3, div=2 * 3)),
    "bag of nothing": (partial(F.embedding_bag, integers(0), meta(10, 3), integers(2), mode="sum"), Cost()),
}


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


# Gradients


def test_gradient_adds_once_per_accumulated_element() -> None:
    indices = torch.zeros(2, 3, dtype=torch.long)
    assert cost_of(aten.embedding_dense_backward, meta(2, 3, 5), indices, 10, -1, False) == Cost(add=30)
    assert cost_of(aten.embedding_dense_backward, meta(2, 3, 5), indices, 10, 1, True) == Cost(add=30, div=30)
    assert cost_of(aten.embedding_backward, meta(2, 3, 5), indices, 10, -1, False, False) == Cost(add=30)


@pytest.mark.parametrize(
    ("mode", "sparse", "weights", "by_frequency", "expected"),
    [
        (0, False, None, False, Cost(add=7 * 5)),
        (0, False, meta(7), False, Cost(add=7 * 5, mul=7 * 5)),
        (0, True, meta(7), False, Cost(mul=7 * 5)),
        (1, False, None, True, Cost(add=7 * 5, div=2 * 5 + 7 * 5)),
        (1, True, None, False, Cost(div=2 * 5)),
        (2, False, None, False, Cost(add=2 * 5)),
    ],
)
def test_gradient_of_a_bag(mode: int, sparse: bool, weights: Any, by_frequency: bool, expected: Cost) -> None:
    """7 embeddings of 5 elements in 2 bags."""
    bags = [meta(size, dtype=torch.long) for size in (7, 2, 7, 2, 2)]
    args = (meta(2, 5), *bags, 10, by_frequency, mode)
    assert formula_cost(aten._embedding_bag_backward.default, *args, sparse, weights) == expected
    if sparse:
        args = (meta(2, 5), *bags[:4], 10, by_frequency, mode, weights)
        assert formula_cost(aten._embedding_bag_sparse_backward.default, *args) == expected
    else:
        args = (meta(2, 5), bags[0], *bags[2:], 10, by_frequency, mode, weights)
        assert formula_cost(aten._embedding_bag_dense_backward.default, *args) == expected


def test_a_samples_weight_is_a_dot_product() -> None:
    bags = [meta(size, dtype=torch.long) for size in (7, 2, 7)]
    cost = formula_cost(aten._embedding_bag_per_sample_weights_backward.default, meta(2, 5), meta(10, 5), *bags, 0)
    assert cost == Cost(macs=7 * 5)
