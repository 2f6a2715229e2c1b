"""Pooling, resampling and accumulation: outputs that look at a window of the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod
from typing import Any

from fxcount.cost import Quantities
from fxcount.formulas.arithmetic import first_tensor
from fxcount.formulas.registry import formula, formulas


@formulas(
    {
        "cmp = outputs * (taps - 1)": (
            "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices "
            "fractional_max_pool2d fractional_max_pool3d quantized_max_pool1d quantized_max_pool2d "
            "quantized_max_pool3d mkldnn_max_pool2d mkldnn_max_pool3d"
        ),
        "add = outputs * (taps - 1), div = outputs": "avg_pool1d avg_pool2d avg_pool3d",
    }
)
def pooling(x: Any, kernel_size: Sequence[int], *, out: Any) -> Quantities:
    """Every output is the maximum or the mean of its taps = prod(kernel) inputs; padded places count."""
    return {"outputs": first_tensor(out).numel(), "taps": prod(kernel_size)}


@formulas(
    {
        "cmp = taps - outputs": "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
        "add = taps - outputs, div = outputs": (
            "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d "
            "mkldnn_adaptive_avg_pool2d"
        ),
    }
)
def adaptive_pooling(x: Any, output_size: Sequence[int]) -> Quantities:
    """Window i of an axis of n inputs and m outputs goes from floor(i n / m) to ceil((i + 1) n / m), so windows may
    overlap; taps is the sum of the sizes of all windows."""
    axes = len(output_size)
    outer, inputs = x.shape[: x.dim() - axes], x.shape[x.dim() - axes :]
    taps = prod(
        sum(-(-(i + 1) * n // m) - i * n // m for i in range(m)) for n, m in zip(inputs, output_size, strict=True)
    )
    return {"outputs": prod(outer) * prod(output_size), "taps": prod(outer) * taps}


@formulas(
    {
        "mul = 2 * outputs, add = outputs": "upsample_linear1d",
        "mul = 4 * outputs, add = 3 * outputs": "upsample_bilinear2d",
        "mul = 8 * outputs, add = 7 * outputs": "upsample_trilinear3d",
        "mul = 16 * outputs, add = 15 * outputs": "upsample_bicubic2d",
    }
)
def interpolation(*, out: Any) -> Quantities:
    """Every output is a weighted sum of its taps: per axis 2 for linear and 4 for cubic interpolation."""
    return {"outputs": out.numel()}


def _scale(inputs: int, outputs: int, align_corners: bool, factor: float | None) -> Fraction:
    """How many inputs lie between two outputs, as ``torch.nn.functional.interpolate`` defines it."""
    if align_corners:
        return Fraction(inputs - 1, outputs - 1) if outputs > 1 else Fraction(0)
    return 1 / Fraction(factor) if factor else Fraction(inputs, outputs)


def _antialiased_taps(inputs: int, outputs: int, scale: Fraction, radius: int) -> int:
    """The taps of all outputs of an axis: the filter of that radius, widened by the scale where the axis shrinks."""
    support = radius * max(scale, Fraction(1))
    taps = 0
    for i in range(outputs):
        centre = scale * (i + Fraction(1, 2))
        first = max(int(centre - support + Fraction(1, 2)), 0)
        taps += max(min(int(centre + support + Fraction(1, 2)), inputs) - first, 0)
    return taps


def _antialiased(radius: int) -> Callable[..., Quantities]:
    def antialiased(
        x: Any,
        *,
        align_corners: bool = False,
        scales_h: float | None = None,
        scales_w: float | None = None,
        scale_factors: Sequence[float] | None = None,
        out: Any,
    ) -> Quantities:
        """Every output is a weighted sum of the inputs under a filter as wide as the scale; taps is the sum over all
        outputs."""
        (*outer, height, width), (*_, rows, columns) = x.shape, out.shape
        factors = scale_factors or (scales_h, scales_w)
        axes = zip((height, width), (rows, columns), factors, strict=True)
        taps = prod(_antialiased_taps(n, m, _scale(n, m, align_corners, factor), radius) for n, m, factor in axes)
        return {"outputs": out.numel(), "taps": prod(outer) * taps}

    return antialiased


for _operator, _radius in {
    "_upsample_bilinear2d_aa": 1,
    "_upsample_bicubic2d_aa": 2,
    "_upsample_lanczos2d_aa": 3,
}.items():
    formula(_operator, "mul = taps, add = taps - outputs")(_antialiased(_radius))


@formula("col2im", "add = accumulated")
def fold(x: Any) -> Quantities:
    """Overlapping blocks are summed: one addition per accumulated element."""
    return {"accumulated": x.numel()}
