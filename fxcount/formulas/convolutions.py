"""Convolutions and their gradients: every output is a sum of products over a window of the input and its channels.

A product a * b that the forward operator accumulates appears once in the gradient of a and once in that of b. So each
gradient of a convolution is a convolution with as many multiply-accumulates as the forward operator.

Products with padding are multiply-accumulates as all others are. How many these are, ``padded``, stands beside the
quantities of the equation, for a kernel may leave them out.
"""

from collections.abc import Sequence
from math import prod

from fxcount.cost import Quantities, Size
from fxcount.formulas.contractions import GRADIENTS, additions_over_rows, bias_additions
from fxcount.formulas.registry import aliases, formula, given
from fxcount.formulas.tensor import Tensor

Spatial = Sequence[Size] | Size
"""A number for each spatial axis, or one for all."""


def padded_products(
    positions: Tensor, weight: Tensor, stride: Spatial, padding: Spatial | str, dilation: Spatial
) -> Size:
    """How many of the products of a convolution are with padding, at most: ``positions`` are its output or, of a
    transposed one, its input, whose products fall into what is cut off. It is exact for a stride of 1; for another,
    whether the last window of an axis reaches all of its padding is not asked."""
    kernel = weight.shape[2:]
    within = weight.shape[1] * prod(positions.shape[: -len(kernel)])
    for size, taps, step, rim, apart in zip(
        positions.shape[-len(kernel) :],
        kernel,
        _each(stride, kernel),
        _rims(padding, kernel),
        _each(dilation, kernel),
        strict=True,
    ):
        within *= size * taps - sum(_outside(size, tap * apart, (taps - 1) * apart, step, rim) for tap in range(taps))
    return positions.numel() * prod(weight.shape[1:]) - within


def _outside(size: Size, start: Size, end: Size, stride: Size, rim: Size | None) -> Size:
    """For how many of ``size`` places of a window one of its taps lies in the padding of an axis: the tap at ``start``
    of a window from 0 to ``end``. A ``rim`` of None is as wide as leaves the size as it is."""
    before, behind = (end // 2, end - end // 2) if rim is None else (rim, rim)
    outside = max(0, -((start - before) // stride)) + max(0, -((end - start - behind) // stride))
    return min(outside, size) if isinstance(size, int) else outside


def _each(value: Spatial, kernel: Sequence[Size]) -> Sequence[Size]:
    values = value if isinstance(value, Sequence) else (value,)
    return [*values] * len(kernel) if len(values) == 1 else values


def _rims(padding: Spatial | str, kernel: Sequence[Size]) -> Sequence[Size | None]:
    if isinstance(padding, str):
        return [None if padding == "same" else 0] * len(kernel)
    return _each(padding, kernel)


@formula(
    "conv1d conv2d conv3d conv_depthwise3d _conv_depthwise2d _convolution_mode thnn_conv2d _slow_conv2d_forward "
    "slow_conv3d slow_conv3d_forward slow_conv_dilated2d slow_conv_dilated3d mkldnn_convolution cudnn_convolution "
    "miopen_convolution miopen_depthwise_convolution _mps_convolution _nnpack_spatial_convolution",
    "macs = outputs * taps, add = biases",
)
def convolution(
    x: Tensor,
    weight: Tensor,
    *,
    bias: Tensor | None = None,
    stride: Spatial = 1,
    padding: Spatial | str = 0,
    dilation: Spatial = 1,
    out: Tensor,
) -> Quantities:
    """Every output element is a sum over its taps: the channels of its group times the kernel,
    taps = (C_in / groups) * prod(kernel). A bias is one addition per output element."""
    padded = padded_products(out, weight, stride, padding, dilation)
    return {
        "outputs": out.numel(),
        "taps": prod(weight.shape[1:]),
        "biases": bias_additions(bias, out),
        "padded": padded,
    }


@formula(
    "conv_transpose1d conv_transpose2d conv_transpose3d slow_conv_transpose2d slow_conv_transpose3d "
    "cudnn_convolution_transpose miopen_convolution_transpose _mps_convolution_transpose",
    "macs = inputs * taps, add = biases",
)
def transposed_convolution(
    x: Tensor,
    weight: Tensor,
    *,
    bias: Tensor | None = None,
    stride: Spatial = 1,
    padding: Spatial = 0,
    dilation: Spatial = 1,
    out: Tensor,
) -> Quantities:
    """Every input element is spread over its taps, taps = (C_out / groups) * prod(kernel). A bias is one addition per
    output element."""
    padded = padded_products(x, weight, stride, padding, dilation)
    return {"inputs": x.numel(), "taps": prod(weight.shape[1:]), "biases": bias_additions(bias, out), "padded": padded}


@formula("convolution _convolution convolution_overrideable", "macs = positions * taps, add = biases")
def general_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: Spatial,
    padding: Spatial,
    dilation: Spatial,
    transposed: bool,
    out: Tensor,
) -> Quantities:
    """Positions are the output elements of a convolution and the input elements of a transposed one; taps are the
    other side's channels of one group times the kernel."""
    positions = x if transposed else out
    return {
        "positions": positions.numel(),
        "taps": prod(weight.shape[1:]),
        "biases": bias_additions(bias, out),
        "padded": padded_products(positions, weight, stride, padding, dilation),
    }


@formula("conv_tbc", "macs = outputs * taps, add = outputs")
def convolution_over_time(x: Tensor, weight: Tensor, *, out: Tensor) -> Quantities:
    """A convolution over [time, batch, channels] with a weight [kernel, C_in, C_out]; its bias is not optional."""
    return {"outputs": out.numel(), "taps": prod(weight.shape[:2])}


@formula("convolution_backward convolution_backward_overrideable _slow_conv2d_backward", GRADIENTS)
def convolution_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    *,
    stride: Spatial,
    padding: Spatial,
    dilation: Spatial = 1,
    transposed: bool = False,
    output_mask: Sequence[bool] = (True, True, True),
) -> Quantities:
    """y = w * x + b: grad_x is a transposed convolution of grad_y with w, grad_w a convolution of x with grad_y, each
    over the (C_in / groups) * prod(kernel) taps of an output element (of an input element if transposed), as the
    forward; grad_b sums grad_y over examples and places."""
    positions, gradients = x if transposed else grad, sum(output_mask[:2])
    return {
        "products": positions.numel() * prod(weight.shape[1:]),
        "gradients": gradients,
        "summed": additions_over_rows(grad, grad.shape[1]) if any(output_mask[2:]) else 0,
        "padded": gradients * padded_products(positions, weight, stride, padding, dilation),
    }


@formula("mps_convolution_backward", GRADIENTS)
def mps_convolution_backward(
    x: Tensor,
    grad: Tensor,
    weight: Tensor,
    *,
    stride: Spatial,
    padding: Spatial,
    dilation: Spatial,
    transposed: bool = False,
    output_mask: Sequence[bool],
) -> Quantities:
    """As ``convolution_backward``."""
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    return convolution_backward(grad, x, weight, **window, transposed=transposed, output_mask=output_mask)


aliases({"mps_convolution_backward": "mps_convolution_transpose_backward"}, adapt=given(transposed=True))


@formula("conv_tbc_backward", GRADIENTS)
def convolution_over_time_backward(grad: Tensor, x: Tensor, weight: Tensor) -> Quantities:
    """As ``convolution_backward``, with a weight of shape [kernel, C_in, C_out] and channels last; padded places
    count."""
    kernel, inputs, channels = weight.shape
    return {"products": grad.numel() * kernel * inputs, "gradients": 2, "summed": additions_over_rows(grad, channels)}
