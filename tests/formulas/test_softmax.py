"""Softmaxes and their gradients against counts worked out by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of, formula_cost

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten
x = meta(3, 5, 7)  # along an axis of 5: 105 elements in 21 lines

FORMS: dict[str, tuple[Cost, list[Callable[[], Any]]]] = {
    # maximum; subtract it; exp; sum; divide
    "softmax": (
        Cost(cmp=84, add=105 + 84, special=105, div=105),
        [
            lambda: F.softmax(x, 1),
            lambda: x.softmax(1),
            lambda: torch.softmax(x, 1),
            lambda: torch.special.softmax(x, 1),
            lambda: torch._softmax(x, 1, False),
            partial(nn.Softmax(1), x),
            lambda: torch.softmax(x, dim=-2),
        ],
    ),
    # maximum; subtract it; exp; sum; log of it; subtract it
    "log_softmax": (
        Cost(cmp=84, add=105 + 84 + 105, special=105 + 21),
        [
            lambda: F.log_softmax(x, 1),
            lambda: x.log_softmax(1),
            lambda: torch._log_softmax(x, 1, False),
            partial(nn.LogSoftmax(1), x),
        ],
    ),
    # the softmax of -x
    "softmin": (Cost(cmp=105 + 84, add=105 + 84, special=105, div=105), [lambda: F.softmin(x, 1)]),
}


@pytest.mark.parametrize(("expected", "forms"), FORMS.values(), ids=FORMS)
def test_every_form_costs_the_same(expected: Cost, forms: list[Callable[[], Any]]) -> None:
    assert [cost_of(form) for form in forms] == [expected] * len(forms)


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax])
def test_nothing_along_an_axis(function: Callable[..., Any]) -> None:
    assert cost_of(function, meta(0, 5), dim=1) == Cost()
    assert cost_of(function, meta(5, 0), dim=0) == Cost()


def test_scalars_along_an_axis() -> None:
    assert cost_of(torch.softmax, meta(()), 0) == Cost(add=1, special=1, div=1)
    assert cost_of(torch.log_softmax, meta(()), 0) == Cost(add=2, special=2)


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
