"""Interpolation: outputs that are weighted sums of the nearest inputs, or of those under a filter, with gradients."""

from collections.abc import Sequence
from fractions import Fraction
from math import prod

from fxcount.cost import Quantities, Size
from fxcount.formulas.registry import aliases, formula, formulas, given
from fxcount.formulas.tensor import Tensor


@formulas(
    {
        "mul = 2 * outputs, add = outputs": "upsample_linear1d",
        "mul = 4 * outputs, add = 3 * outputs": "upsample_bilinear2d",
        "mul = 8 * outputs, add = 7 * outputs": "upsample_trilinear3d",
        "mul = 16 * outputs, add = 15 * outputs": "upsample_bicubic2d",
    }
)
def interpolation(*, out: Tensor) -> Quantities:
    """Every output is a weighted sum of its taps: per axis 2 for linear and 4 for cubic interpolation."""
    return {"outputs": out.numel()}


@formulas(
    {
        "mul = 2 * outputs, add = 2 * outputs": "upsample_linear1d_backward",
        "mul = 4 * outputs, add = 4 * outputs": "upsample_bilinear2d_backward",
        "mul = 8 * outputs, add = 8 * outputs": "upsample_trilinear3d_backward",
        "mul = 16 * outputs, add = 16 * outputs": "upsample_bicubic2d_backward",
    }
)
def interpolation_backward(grad: Tensor) -> Quantities:
    """Every gradient, times a tap's weight, is added to that of the tap: per axis 2 for linear, 4 for cubic."""
    return {"outputs": grad.numel()}


@formula(
    "upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward "
    "_upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward _upsample_nearest_exact3d_backward",
    "add = accumulated",
)
def nearest_backward(grad: Tensor) -> Quantities:
    """Outputs are copies of the nearest input: every gradient is added to that of its input."""
    return {"accumulated": grad.numel()}


def _scale(inputs: Size, outputs: Size, align_corners: bool, factor: float | None) -> Fraction:
    """How many inputs lie between two outputs, as ``torch.nn.functional.interpolate`` defines it."""
    if align_corners:
        return Fraction(inputs - 1, outputs - 1) if outputs > 1 else Fraction(0)
    return 1 / Fraction(factor) if factor else Fraction(inputs, outputs)


def _taps_of_an_axis(inputs: Size, outputs: Size, scale: Fraction, radius: int) -> Size:
    """The taps of all outputs of an axis: the filter of that radius, widened by the scale where the axis shrinks."""
    support = radius * max(scale, Fraction(1))
    taps = 0
    for i in range(outputs):
        centre = scale * (i + Fraction(1, 2))
        first = max(int(centre - support + Fraction(1, 2)), 0)
        taps += max(min(int(centre + support + Fraction(1, 2)), inputs) - first, 0)
    return taps


def _taps(x: Tensor, out: Tensor, radius: int, align_corners: bool, factors: Sequence[float | None]) -> Size:
    """The taps of all outputs."""
    (*outer, height, width), (*_, rows, columns) = x.shape, out.shape
    axes = zip((height, width), (rows, columns), factors, strict=True)
    return prod(outer) * prod(_taps_of_an_axis(n, m, _scale(n, m, align_corners, f), radius) for n, m, f in axes)


@formula("_upsample_bilinear2d_aa", "mul = taps, add = taps - outputs")
def antialiased(
    x: Tensor,
    *,
    radius: int = 1,
    align_corners: bool = False,
    scales_h: float | None = None,
    scales_w: float | None = None,
    scale_factors: Sequence[float] | None = None,
    out: Tensor,
) -> Quantities:
    """Every output is a weighted sum of the inputs under a filter as wide as the scale; taps is the sum over all
    outputs."""
    taps = _taps(x, out, radius, align_corners, scale_factors or (scales_h, scales_w))
    return {"outputs": out.numel(), "taps": taps}


@formula("_upsample_bilinear2d_aa_backward", "mul = taps, add = taps")
def antialiased_backward(
    grad: Tensor,
    *,
    radius: int = 1,
    align_corners: bool = False,
    scales_h: float | None = None,
    scales_w: float | None = None,
    out: Tensor,
) -> Quantities:
    """As of an interpolation, over the taps of a filter as wide as the scale, as the forward has them."""
    return {"taps": _taps(out, grad, radius, align_corners, (scales_h, scales_w))}


for _filter, _radius in {"bicubic": 2, "lanczos": 3}.items():
    aliases(
        {
            "_upsample_bilinear2d_aa": f"_upsample_{_filter}2d_aa",
            "_upsample_bilinear2d_aa_backward": f"_upsample_{_filter}2d_aa_backward",
        },
        adapt=given(radius=_radius),
    )
