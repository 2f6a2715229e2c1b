"""Affine grids and samples of an image at the places of a grid, with their gradients."""

from collections.abc import Sequence
from math import prod

from fxcount.cost import Quantities
from fxcount.formulas.contractions import GRADIENTS
from fxcount.formulas.registry import formula
from fxcount.formulas.tensor import Tensor


@formula("affine_grid_generator cudnn_affine_grid_generator", "macs = outputs * (axes + 1)")
def affine_grid(theta: Tensor, *, out: Tensor) -> Quantities:
    """Every coordinate of the grid is a row of theta times a base point (x, y, [z], 1)."""
    return {"outputs": out.numel(), "axes": theta.shape[1]}


@formula("affine_grid_generator_backward cudnn_affine_grid_generator_backward", GRADIENTS)
def affine_grid_backward(grad: Tensor) -> Quantities:
    """grid = base theta^T: grad_theta = grad_grid^T base over all places, where a base point is (x, y, [z], 1)."""
    return {"products": grad.numel() * (grad.shape[-1] + 1), "gradients": 1, "summed": 0}


def _taps_of_an_axis(interpolation_mode: int) -> int:
    """2 for linear and 4 for cubic interpolation; the nearest input is only copied."""
    return (2, 0, 4)[interpolation_mode]


@formula(
    "grid_sampler grid_sampler_2d grid_sampler_3d cudnn_grid_sampler _grid_sampler_2d_cpu_fallback",
    "mul = sampled * taps, add = sampled * (taps - 1)",
)
def grid_sample(x: Tensor, grid: Tensor, interpolation_mode: int = 0, *, out: Tensor) -> Quantities:
    """Every output is a weighted sum of its taps: per axis 2 for linear and 4 for cubic interpolation; the nearest
    input is only copied."""
    per_axis = _taps_of_an_axis(interpolation_mode)
    return {"sampled": out.numel() if per_axis else 0, "taps": per_axis ** grid.shape[-1]}


GRID_SAMPLE = (
    "mul = sampled * (taps * to_input + axes * (taps + 1) * to_grid), "
    "add = outputs * scattered * to_input + axes * (sampled * taps - places) * to_grid"
)
"""For each of the sampled outputs, grad_x takes g times the weight of each tap (1 mul, 1 add per tap; a nearest input
takes g, 1 add). grad_grid of each axis is g times the sum of the taps' values times the derivative of their weights
(taps + 1 mul, taps - 1 add), summed over the channels of a place. As in the forward, weights are not counted."""


@formula(
    "grid_sampler_2d_backward grid_sampler_3d_backward _grid_sampler_2d_cpu_fallback_backward "
    "cudnn_grid_sampler_backward",
    GRID_SAMPLE,
)
def grid_sample_backward(
    *, grad_output: Tensor, grid: Tensor, interpolation_mode: int = 0, output_mask: Sequence[bool] = (True, True)
) -> Quantities:
    """The gradients of a sample for the input and the grid; that of cuDNN is bilinear and has both."""
    per_axis, axes = _taps_of_an_axis(interpolation_mode), grid.shape[-1]
    sampled, taps = grad_output.numel() if per_axis else 0, per_axis**axes
    return {
        "outputs": grad_output.numel(),
        "sampled": sampled,
        "taps": taps,
        "scattered": max(taps, 1),
        "axes": axes,
        "places": prod(grid.shape[:-1]) if sampled else 0,
        "to_input": int(output_mask[0]),
        "to_grid": int(output_mask[1]),
    }
