"""Affine grids and samples at the places of a grid against counts worked out by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of, formula_cost

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten


def sampled(x: Any, grid: Any, mode: str) -> Callable[[], Any]:
    return partial(F.grid_sample, x, grid, mode=mode, align_corners=False)


CASES: dict[str, tuple[Callable[[], Any], Cost]] = {
    "affine grid": (  # two coordinates, each a row of three of theta times (x, y, 1)
        partial(aten.affine_grid_generator, meta(2, 2, 3), [2, 4, 5, 7], False),
        Cost(macs=(2 * 5 * 7 * 2) * 3),
    ),
    # 2 * 3 channels at 5 x 7 places
    "grid, nearest": (sampled(meta(2, 3, 4, 6), meta(2, 5, 7, 2), "nearest"), Cost()),
    "grid, bilinear": (sampled(meta(2, 3, 4, 6), meta(2, 5, 7, 2), "bilinear"), Cost(mul=210 * 4, add=210 * 3)),
    "grid, bicubic": (sampled(meta(2, 3, 4, 6), meta(2, 5, 7, 2), "bicubic"), Cost(mul=210 * 16, add=210 * 15)),
    "grid, trilinear": (sampled(meta(1, 3, 4, 6, 5), meta(1, 2, 5, 7, 3), "bilinear"), Cost(mul=210 * 8, add=210 * 7)),
    "grid of nothing": (sampled(meta(2, 3, 4, 6), meta(2, 0, 7, 2), "bilinear"), Cost()),
}


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


# Gradients


def test_affine_grid() -> None:
    """theta [2, 2, 3] for a grid [2, 4, 5, 2], theta [2, 3, 4] for a grid [2, 4, 5, 3]."""
    plane, volume = aten.cudnn_affine_grid_generator_backward.default, aten.affine_grid_generator_backward.default
    assert formula_cost(plane, meta(2, 4, 5, 2), 2, 3, 4, 5) == Cost(macs=80 * 3)
    assert formula_cost(volume, meta(2, 4, 5, 1, 3), [2, 1, 4, 5, 1], False) == Cost(macs=120 * 4)


@pytest.mark.parametrize(("mode", "taps"), [(0, 4), (2, 16)])
def test_grid_sample(mode: int, taps: int) -> None:
    """y [2, 3, 5, 7] of x [2, 3, 4, 6]: 210 outputs at 70 places with 2 coordinates."""
    gradient, x, grid = meta(2, 3, 5, 7), meta(2, 3, 4, 6), meta(2, 5, 7, 2)
    args = (gradient, x, grid, mode, 0, False)
    to_input = Cost(mul=210 * taps, add=210 * taps)
    to_grid = Cost(mul=2 * 210 * (taps + 1), add=2 * (210 * (taps - 1) + 210 - 70))
    operator = aten.grid_sampler_2d_backward.default
    assert formula_cost(operator, *args, [True, True]) == to_input + to_grid
    assert formula_cost(operator, *args, [True, False]) == to_input
    assert formula_cost(operator, *args, [False, True]) == to_grid
    assert formula_cost(aten._grid_sampler_2d_cpu_fallback_backward.default, *args) == to_input + to_grid
    if mode == 0:
        assert formula_cost(aten.cudnn_grid_sampler_backward.default, x, grid, gradient) == to_input + to_grid


def test_grid_sample_of_the_nearest_input_and_in_three_dimensions() -> None:
    args = (meta(2, 3, 5, 7), meta(2, 3, 4, 6), meta(2, 5, 7, 2), 1, 0, False, [True, True])
    assert formula_cost(aten.grid_sampler_2d_backward.default, *args) == Cost(add=210)
    args = (meta(1, 2, 2, 2, 3), meta(1, 2, 4, 4, 4), meta(1, 2, 2, 3, 3), 0, 0, False, [False, True])
    # 24 outputs at 12 places, 8 taps, 3 coordinates
    expected = Cost(mul=3 * 24 * 9, add=3 * (24 * 7 + 24 - 12))
    assert formula_cost(aten.grid_sampler_3d_backward.default, *args) == expected
