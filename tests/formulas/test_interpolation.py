"""Interpolation and its gradients against counts worked out by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of, formula_cost
from tests.optional import optional

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten


def resized(x: Any, mode: str, **options: Any) -> Callable[[], Any]:
    return partial(F.interpolate, x, mode=mode, **options)


CASES: dict[str, tuple[Callable[[], Any], Cost]] = {
    "nearest": (resized(meta(1, 2, 3, 4), "nearest", size=(5, 7)), Cost()),
    "nearest exact": (resized(meta(1, 2, 3, 4), "nearest-exact", scale_factor=2), Cost()),
    "linear": (resized(meta(2, 3, 4), "linear", size=7), Cost(mul=42 * 2, add=42)),
    "bilinear": (resized(meta(1, 2, 3, 4), "bilinear", size=(5, 7)), Cost(mul=70 * 4, add=70 * 3)),
    "bilinear, aligned": (
        resized(meta(1, 2, 3, 4), "bilinear", scale_factor=2, align_corners=True),
        Cost(mul=96 * 4, add=96 * 3),
    ),
    "bicubic": (resized(meta(1, 2, 3, 4), "bicubic", size=(5, 7)), Cost(mul=70 * 16, add=70 * 15)),
    "trilinear": (resized(meta(1, 2, 3, 4, 5), "trilinear", scale_factor=2), Cost(mul=960 * 8, add=960 * 7)),
    "area": (  # an adaptive pool
        resized(meta(2, 4, 7, 5), "area", size=(3, 2)),
        Cost(add=8 * (9 * 6 - 3 * 2), div=8 * 3 * 2),
    ),
    # 4 into 2, reach 2: [0, 3) [1, 4), 6 taps an axis
    "antialiased": (
        resized(meta(1, 3, 4, 4), "bilinear", size=(2, 2), antialias=True),
        Cost(mul=3 * 36, add=3 * (36 - 4)),
    ),
    "resampling nothing": (resized(meta(0, 2, 3, 4), "bilinear", size=(5, 7)), Cost()),
}


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


def test_every_form_costs_the_same() -> None:
    x = meta(2, 3, 7, 9)
    forms = [
        lambda: F.interpolate(x, (5, 7), mode="bilinear"),
        partial(nn.Upsample((5, 7), mode="bilinear"), x),
        lambda: aten.upsample_bilinear2d(x, [5, 7], False),
        partial(aten.upsample_bilinear2d.out, x, [5, 7], False, out=meta(2, 3, 5, 7)),
    ]
    assert [cost_of(form) for form in forms] == [Cost(mul=6 * 35 * 4, add=6 * 35 * 3)] * len(forms)


# Gradients


@pytest.mark.parametrize(
    ("operator", "axes", "taps"),
    [
        (aten.upsample_linear1d_backward, 1, 2),
        (aten.upsample_bilinear2d_backward, 2, 4),
        (aten.upsample_trilinear3d_backward, 3, 8),
        (aten.upsample_bicubic2d_backward, 2, 16),
    ],
)
def test_gradient_spreads_over_its_taps(operator: Any, axes: int, taps: int) -> None:
    gradient = meta(2, 3, *[5] * axes)
    cost = cost_of(operator, gradient, [5] * axes, [2, 3, *[3] * axes], False)
    assert cost == 6 * 5**axes * taps * Cost(mul=1, add=1)


def test_gradient_with_antialiasing_spreads_over_a_filter_as_wide_as_the_scale() -> None:
    # 6 to 3: a radius of 2 around 1, 3, 5, of which 3, 4, 3 places are inside; 4 to 4: a radius of 1, one place each
    # side of the centre and itself, cut at the borders: 2, 3, 3, 2
    cost = cost_of(aten._upsample_bilinear2d_aa_backward, meta(1, 2, 3, 3), [3, 3], [1, 2, 6, 6], False)
    assert cost == 2 * (3 + 4 + 3) ** 2 * Cost(mul=1, add=1)


# Antialiased, 8 to 4 and 6 to 3: centres of 1, 3, 5, 7, and a filter of twice its radius to either side, cut at the
# borders. Taps of an axis: a radius of 2 gives 5 + 7 + 7 + 5 and 5 + 6 + 5, of 3 it gives 7 + 8 + 8 + 7 and 6 + 6 + 6.
FILTERS = {"bicubic": 24 * 16, "lanczos": 30 * 18}


@pytest.mark.parametrize(("filtered", "taps"), FILTERS.items())
def test_wide_filters(filtered: str, taps: int) -> None:
    x, y = meta(2, 5, 8, 6), meta(2, 5, 4, 3)
    forward = optional(f"ops.aten._upsample_{filtered}2d_aa").default
    assert formula_cost(forward, x, [4, 3], False, out=y) == Cost(mul=10 * taps, add=10 * (taps - 4 * 3))
    backward = optional(f"ops.aten._upsample_{filtered}2d_aa_backward").default
    assert formula_cost(backward, y, [4, 3], [2, 5, 8, 6], False, out=x) == 10 * taps * Cost(mul=1, add=1)
