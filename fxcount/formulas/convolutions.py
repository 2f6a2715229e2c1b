"""Convolutions and their gradients: every output is a sum of products over a window of the input and its channels.

A product a * b that the forward operator accumulates appears once in the gradient of a and once in that of b. So each
gradient of a convolution is a convolution with as many multiply-accumulates as the forward operator.
"""

from collections.abc import Sequence
from math import prod

from fxcount.cost import Quantities
from fxcount.formulas.contractions import GRADIENTS, additions_over_rows, bias_additions
from fxcount.formulas.registry import aliases, formula, given
from fxcount.formulas.tensor import Tensor


@formula(
    "conv1d conv2d conv3d conv_depthwise3d _conv_depthwise2d _convolution_mode thnn_conv2d _slow_conv2d_forward "
    "slow_conv3d slow_conv3d_forward slow_conv_dilated2d slow_conv_dilated3d mkldnn_convolution cudnn_convolution "
    "miopen_convolution miopen_depthwise_convolution _mps_convolution _nnpack_spatial_convolution",
    "macs = outputs * taps, add = biases",
)
def convolution(x: Tensor, weight: Tensor, *, bias: Tensor | None = None, out: Tensor) -> Quantities:
    """Every output element is a sum over its taps: the channels of its group times the kernel,
    taps = (C_in / groups) * prod(kernel). A bias is one addition per output element."""
    return {"outputs": out.numel(), "taps": prod(weight.shape[1:]), "biases": bias_additions(bias, out)}


@formula(
    "conv_transpose1d conv_transpose2d conv_transpose3d slow_conv_transpose2d slow_conv_transpose3d "
    "cudnn_convolution_transpose miopen_convolution_transpose _mps_convolution_transpose",
    "macs = inputs * taps, add = biases",
)
def transposed_convolution(x: Tensor, weight: Tensor, *, bias: Tensor | None = None, out: Tensor) -> Quantities:
    """Every input element is spread over its taps, taps = (C_out / groups) * prod(kernel). A bias is one addition per
    output element."""
    return {"inputs": x.numel(), "taps": prod(weight.shape[1:]), "biases": bias_additions(bias, out)}


@formula("convolution _convolution convolution_overrideable", "macs = positions * taps, add = biases")
def general_convolution(x: Tensor, weight: Tensor, bias: Tensor | None, *, transposed: bool, out: Tensor) -> Quantities:
    """Positions are the output elements of a convolution and the input elements of a transposed one; taps are the
    other side's channels of one group times the kernel."""
    positions = x if transposed else out
    return {"positions": positions.numel(), "taps": prod(weight.shape[1:]), "biases": bias_additions(bias, out)}


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
    transposed: bool = False,
    output_mask: Sequence[bool] = (True, True, True),
) -> Quantities:
    """y = w * x + b: grad_x is a transposed convolution of grad_y with w, grad_w a convolution of x with grad_y, each
    over the (C_in / groups) * prod(kernel) taps of an output element (of an input element if transposed), as the
    forward; grad_b sums grad_y over examples and places."""
    positions = x if transposed else grad
    return {
        "products": positions.numel() * prod(weight.shape[1:]),
        "gradients": sum(output_mask[:2]),
        "summed": additions_over_rows(grad, grad.shape[1]) if any(output_mask[2:]) else 0,
    }


@formula("mps_convolution_backward", GRADIENTS)
def mps_convolution_backward(
    x: Tensor, grad: Tensor, weight: Tensor, *, transposed: bool = False, output_mask: Sequence[bool]
) -> Quantities:
    """As ``convolution_backward``."""
    return convolution_backward(grad, x, weight, transposed=transposed, output_mask=output_mask)


aliases({"mps_convolution_backward": "mps_convolution_transpose_backward"}, adapt=given(transposed=True))


@formula("conv_tbc_backward", GRADIENTS)
def convolution_over_time_backward(grad: Tensor, x: Tensor, weight: Tensor) -> Quantities:
    """As ``convolution_backward``, with a weight of shape [kernel, C_in, C_out] and channels last; padded places
    count."""
    kernel, inputs, channels = weight.shape
    return {"products": grad.numel() * kernel * inputs, "gradients": 2, "summed": additions_over_rows(grad, channels)}
