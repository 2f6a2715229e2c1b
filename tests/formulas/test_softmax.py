"""Softmaxes and their gradients against counts worked out by hand."""

from functools import partial

import torch

from fxcount import Cost
from tests.costing import cost_of, formula_cost

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten


def test_masked_softmax_is_a_selection_and_a_softmax() -> None:
    x, mask = meta(2, 3, 5), meta(2, 3, 5, dtype=torch.bool)
    for axis in (-1, 0):
        expected = cost_of(torch.softmax, x, axis) + Cost(cmp=2 * 3 * 5)
        assert formula_cost(aten._masked_softmax.default, x, mask, axis, 2, out=x) == expected
    assert formula_cost(aten._masked_softmax.default, x, mask, out=x) == cost_of(torch.softmax, x, -1) + Cost(
        cmp=2 * 3 * 5
    )


# Gradients, 3 lines of 5

X, BOOL = meta(3, 5), meta(3, 5, dtype=torch.bool)


def test_gradient_of_softmax() -> None:
    expected = Cost(mul=2 * 15, add=(15 - 3) + 15)
    assert cost_of(aten._softmax_backward_data, X, X, 1, torch.float32) == expected
    assert cost_of(aten._softmax_backward_data, X, X, 0, torch.float32) == Cost(mul=30, add=(15 - 5) + 15)
    masked = aten._masked_softmax_backward.default
    assert formula_cost(masked, X, X, BOOL) == expected + Cost(cmp=15)
    assert formula_cost(masked, X, X, BOOL, 0) == Cost(mul=30, add=25, cmp=15)
    assert cost_of(aten._softmax_backward_data, meta(0, 5), meta(0, 5), 1, torch.float32) == Cost()


def test_gradient_of_log_softmax() -> None:
    cost = cost_of(aten._log_softmax_backward_data, X, X, -1, torch.float32)
    assert cost == Cost(special=15, mul=15, add=(15 - 3) + 15)
