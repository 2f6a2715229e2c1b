"""Pooling: outputs that are the maximum or the mean of a window of the input, and their gradients."""

from collections.abc import Sequence
from math import prod

from fxcount.cost import Quantities, Size
from fxcount.formulas.number_kinds import first_tensor
from fxcount.formulas.registry import formula, formulas
from fxcount.formulas.tensor import Tensor


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
def pooling(x: Tensor, kernel_size: Sequence[Size], *, out: object) -> Quantities:
    """Every output is the maximum or the mean of its taps = prod(kernel) inputs; padded places count."""
    return {"outputs": first_tensor(out).numel(), "taps": prod(kernel_size)}


def _taps_of_an_axis(inputs: Size, outputs: Size) -> Size:
    """The sizes of all windows of an axis; one of each where as many come out, as of a batch, which may be a symbol."""
    if not isinstance(outputs, int) and inputs == outputs:
        return inputs
    return sum(-(-(i + 1) * inputs // outputs) - i * inputs // outputs for i in range(outputs))


@formulas(
    {
        "cmp = taps - outputs": "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
        "add = taps - outputs, div = outputs": (
            "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d "
            "mkldnn_adaptive_avg_pool2d"
        ),
    }
)
def adaptive_pooling(x: Tensor, output_size: Sequence[Size]) -> Quantities:
    """Window i of an axis of n inputs and m outputs goes from floor(i n / m) to ceil((i + 1) n / m), so windows may
    overlap; taps is the sum of the sizes of all windows."""
    axes = len(output_size)
    outer, inputs = x.shape[: x.dim() - axes], x.shape[x.dim() - axes :]
    taps = prod(map(_taps_of_an_axis, inputs, output_size))
    return {"outputs": prod(outer) * prod(output_size), "taps": prod(outer) * taps}


@formula(
    "max_pool2d_backward mkldnn_max_pool2d_backward mkldnn_max_pool3d_backward max_pool2d_with_indices_backward "
    "max_pool3d_with_indices_backward adaptive_max_pool2d_backward adaptive_max_pool3d_backward "
    "fractional_max_pool2d_backward fractional_max_pool3d_backward",
    "add = accumulated",
)
def maximum_backward(grad: Tensor) -> Quantities:
    """Every gradient is added to that of the input that was the maximum."""
    return {"accumulated": grad.numel()}


@formula("avg_pool2d_backward avg_pool3d_backward", "div = outputs, add = outputs * taps")
def average_backward(grad: Tensor, x: Tensor, kernel_size: Sequence[Size]) -> Quantities:
    """g / taps is added to the gradient of each of the window's taps = prod(kernel) inputs; padded places count."""
    return {"outputs": grad.numel(), "taps": prod(kernel_size)}


@formula(
    "_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward adaptive_avg_pool3d_backward "
    "mkldnn_adaptive_avg_pool2d_backward",
    "div = outputs, add = taps",
)
def adaptive_average_backward(grad: Tensor, x: Tensor) -> Quantities:
    """As of an average, with windows as in ``adaptive_pooling``; the axes that are not pooled have windows of one."""
    return adaptive_pooling(x, grad.shape)
