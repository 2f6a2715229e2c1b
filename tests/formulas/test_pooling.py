"""Pooling and its gradients against counts worked out by hand."""

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
integers = partial(torch.empty, dtype=torch.int64, device="meta")
aten = torch.ops.aten

CASES: dict[str, tuple[Callable[[], Any], Cost]] = {
    # [2, 3, 7, 9] with windows of 2 x 3 one window apart: 3 x 3 places
    "max": (partial(F.max_pool2d, meta(2, 3, 7, 9), (2, 3)), Cost(cmp=(2 * 3 * 9) * (6 - 1))),
    "max, indices": (
        partial(F.max_pool2d, meta(2, 3, 7, 9), (2, 3), return_indices=True),
        Cost(cmp=(2 * 3 * 9) * (6 - 1)),
    ),
    "max, one number for the kernel": (partial(F.max_pool2d, meta(2, 3, 7, 9), 2), Cost(cmp=(2 * 3 * 3 * 4) * 3)),
    "max, overlapping": (partial(F.max_pool2d, meta(1, 1, 7, 7), 3, 1, 1), Cost(cmp=49 * 8)),
    "max, dilated": (partial(F.max_pool1d, meta(2, 3, 11), 3, dilation=2, stride=2), Cost(cmp=(2 * 3 * 4) * 2)),
    "max, ceil": (partial(F.max_pool1d, meta(2, 3, 8), 3, ceil_mode=True), Cost(cmp=(2 * 3 * 3) * 2)),
    "max, unbatched": (partial(F.max_pool2d, meta(3, 4, 6), 2), Cost(cmp=(3 * 2 * 3) * 3)),
    "max, three axes": (partial(F.max_pool3d, meta(1, 2, 4, 4, 6), (2, 2, 3)), Cost(cmp=(2 * 2 * 2 * 2) * 11)),
    "max of one": (partial(F.max_pool2d, meta(1, 2, 3, 5), 1), Cost()),
    "max of nothing": (partial(F.max_pool2d, meta(0, 3, 7, 9), 2), Cost()),
    "max of integers": (partial(F.max_pool2d, meta(1, 1, 4, 4, dtype=torch.int8), 2), Cost()),
    "fractional max": (
        partial(F.fractional_max_pool2d, meta(2, 3, 7, 9), (2, 3), output_size=(3, 4)),
        Cost(cmp=(2 * 3 * 3 * 4) * 5),
    ),
    "avg": (partial(F.avg_pool2d, meta(2, 3, 7, 9), (2, 3)), Cost(add=(2 * 3 * 9) * (6 - 1), div=2 * 3 * 9)),
    "avg, padded": (partial(F.avg_pool2d, meta(1, 1, 5, 5), 3, 1, 1), Cost(add=25 * 8, div=25)),
    "avg, one axis": (partial(F.avg_pool1d, meta(2, 3, 9), 4), Cost(add=(2 * 3 * 2) * 3, div=2 * 3 * 2)),
    "avg, three axes": (partial(F.avg_pool3d, meta(1, 2, 4, 4, 6), 2), Cost(add=(2 * 2 * 2 * 3) * 7, div=24)),
    "avg of nothing": (partial(F.avg_pool2d, meta(0, 3, 7, 9), 2), Cost()),
    # 7 into 3: [0, 3) [2, 5) [4, 7), 9 taps; 5 into 2: [0, 3) [2, 5), 6 taps
    "adaptive avg": (
        partial(F.adaptive_avg_pool2d, meta(2, 4, 7, 5), (3, 2)),
        Cost(add=8 * (9 * 6 - 3 * 2), div=8 * 3 * 2),
    ),
    "adaptive max": (partial(F.adaptive_max_pool2d, meta(2, 4, 7, 5), (3, 2)), Cost(cmp=8 * (9 * 6 - 3 * 2))),
    "adaptive max, indices": (
        partial(F.adaptive_max_pool2d, meta(2, 4, 7, 5), (3, 2), return_indices=True),
        Cost(cmp=8 * (9 * 6 - 3 * 2)),
    ),
    "adaptive avg to one": (partial(F.adaptive_avg_pool2d, meta(2, 4, 7, 5), 1), Cost(add=8 * 34, div=8)),
    "adaptive avg of an unchanged axis": (
        partial(F.adaptive_avg_pool2d, meta(2, 4, 7, 5), (None, 1)),
        Cost(add=8 * 7 * 4, div=8 * 7),
    ),
    "adaptive avg of one axis": (partial(F.adaptive_avg_pool1d, meta(2, 4, 7), 3), Cost(add=8 * (9 - 3), div=8 * 3)),
    "adaptive avg of three axes": (
        partial(F.adaptive_avg_pool3d, meta(1, 2, 4, 7, 5), (2, 3, 2)),
        Cost(add=2 * (4 * 9 * 6 - 12), div=2 * 12),
    ),
    # 2 into 3: [0, 1) [0, 2) [1, 2), 4 taps
    "adaptive avg to more": (partial(F.adaptive_avg_pool1d, meta(1, 1, 2), 3), Cost(add=4 - 3, div=3)),
    "adaptive avg, unbatched": (partial(F.adaptive_avg_pool2d, meta(4, 7, 5), (3, 2)), Cost(add=4 * 48, div=4 * 6)),
    "adaptive avg of nothing": (partial(F.adaptive_avg_pool2d, meta(0, 4, 7, 5), (3, 2)), Cost()),
    # its parts: x^2, the mean of 4, sign(mean) and relu(|mean|), their product, times 4, and the root
    "lp": (
        partial(F.lp_pool2d, meta(1, 2, 4, 6), 2, 2),
        Cost(mul=48) + Cost(add=12 * 3, div=12) + Cost(cmp=3 * 12, mul=2 * 12) + Cost(special=12),
    ),
}


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


x = meta(2, 3, 7, 9)
FORMS: dict[str, tuple[Cost, list[Callable[[], Any]]]] = {
    "max": (
        Cost(cmp=(2 * 3 * 3 * 4) * 3),
        [
            lambda: F.max_pool2d(x, 2),
            lambda: torch.max_pool2d(x, [2, 2]),
            partial(nn.MaxPool2d(2), x),
            partial(nn.MaxPool2d(2, return_indices=True), x),
            lambda: aten.max_pool2d_with_indices(x, [2]),
            lambda: F.max_pool3d(x, (1, 2, 2)),
        ],
    ),
    "avg": (
        Cost(add=(2 * 3 * 3 * 4) * 3, div=2 * 3 * 3 * 4),
        [
            lambda: F.avg_pool2d(x, 2),
            partial(nn.AvgPool2d(2), x),
            partial(aten.avg_pool2d.out, x, [2], out=meta(2, 3, 3, 4)),
        ],
    ),
    "adaptive avg": (
        Cost(add=6 * 62, div=6),
        [
            lambda: F.adaptive_avg_pool2d(x, 1),
            partial(nn.AdaptiveAvgPool2d(1), x),
            lambda: aten._adaptive_avg_pool2d(x, [1, 1]),
            lambda: x.mean((2, 3)),
            lambda: F.avg_pool2d(x, (7, 9)),
        ],
    ),
}


@pytest.mark.parametrize(("expected", "forms"), FORMS.values(), ids=FORMS)
def test_every_form_costs_the_same(expected: Cost, forms: list[Callable[[], Any]]) -> None:
    assert [cost_of(form) for form in forms] == [expected] * len(forms)


# Gradients

G2, X2 = meta(2, 3, 2, 3), meta(2, 3, 4, 6)


INDEX = meta(2, 3, 2, 3, dtype=torch.long)


@pytest.mark.parametrize(
    ("operator", "args"),
    [
        (aten.max_pool2d_with_indices_backward, (X2, [2, 2], [2, 2], [0, 0], [1, 1], False, INDEX)),
        (aten.max_pool2d_backward, (X2, [2, 2])),
        (aten.adaptive_max_pool2d_backward, (X2, INDEX)),
        (aten.fractional_max_pool2d_backward, (X2, [2, 2], [2, 3], INDEX)),
        (aten.mkldnn_max_pool2d_backward, (G2, X2, [2, 2])),
        (aten.reflection_pad2d_backward, (meta(2, 3, 1, 2), [0, 1, 1, 0])),
        (aten.replication_pad2d_backward, (meta(2, 3, 1, 2), [0, 1, 1, 0])),
        (aten.upsample_nearest2d_backward, ([2, 3], [2, 3, 1, 2])),
        (aten._upsample_nearest_exact2d_backward, ([2, 3], [2, 3, 1, 2])),
        (aten.unfold_backward, ([2, 3, 4], 2, 3, 1)),
    ],
)
def test_every_gradient_of_a_copy_is_added_to_its_input(operator: Any, args: tuple[Any, ...]) -> None:
    assert formula_cost(operator.default, G2, *args) == Cost(add=2 * 3 * 2 * 3)


def test_gradients_of_average_pools() -> None:
    # 36 outputs of 2 * 3 taps
    args = (G2, meta(2, 3, 4, 9), [2, 3], [2, 3], [0, 0], False, True, None)
    assert cost_of(aten.avg_pool2d_backward, *args) == Cost(div=36, add=36 * 6)
    # a kernel of 2 stands for 2 x 2
    args = (G2, X2, [2], [2], [0], False, True, None)
    assert formula_cost(aten.avg_pool2d_backward.default, *args) == Cost(div=36, add=36 * 4)
    args = (meta(1, 2, 2, 2), meta(1, 4, 4, 4), [2, 2, 2], [2, 2, 2], [0, 0, 0], False, True, None)
    assert cost_of(aten.avg_pool3d_backward, *args) == Cost(div=8, add=8 * 8)


def test_gradients_of_adaptive_average_pools() -> None:
    # 5 inputs in 3 windows of 2, 3, 2; 4 in 3 windows of 2: 6 planes of 7 * 6 taps
    cost = cost_of(aten._adaptive_avg_pool2d_backward, meta(2, 3, 3, 3), meta(2, 3, 5, 4))
    assert cost == Cost(div=54, add=6 * 7 * 6)
    cost = formula_cost(aten.mkldnn_adaptive_avg_pool2d_backward.default, meta(2, 3, 3, 3), meta(2, 3, 5, 4))
    assert cost == Cost(div=54, add=6 * 7 * 6)
    cost = cost_of(aten._adaptive_avg_pool3d_backward, meta(2, 1, 3, 3), meta(2, 2, 5, 4))
    assert cost == Cost(div=2 * 9, add=2 * 2 * 7 * 6)
