"""Convolutions and matrix products: every output is a sum of products over a contracted axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fxcount.cost import Cost, Quantities
from fxcount.formulas.registry import formula
from fxcount.formulas.sparse import added_product_cost, is_sparse


@formula(
    "conv1d conv2d conv3d conv_depthwise3d _conv_depthwise2d _convolution_mode thnn_conv2d _slow_conv2d_forward "
    "slow_conv3d slow_conv3d_forward slow_conv_dilated2d slow_conv_dilated3d mkldnn_convolution cudnn_convolution "
    "miopen_convolution miopen_depthwise_convolution _mps_convolution _nnpack_spatial_convolution",
    "macs = outputs * taps, add = biases",
)
def convolution(x: Any, weight: Any, *, bias: Any = None, out: Any) -> Quantities:
    """Every output element is a sum over its taps: the channels of its group times the kernel,
    taps = (C_in / groups) * prod(kernel). A bias is one addition per output element."""
    return {"outputs": out.numel(), "taps": prod(weight.shape[1:]), "biases": 0 if bias is None else out.numel()}


@formula(
    "conv_transpose1d conv_transpose2d conv_transpose3d slow_conv_transpose2d slow_conv_transpose3d "
    "cudnn_convolution_transpose miopen_convolution_transpose _mps_convolution_transpose",
    "macs = inputs * taps, add = biases",
)
def transposed_convolution(x: Any, weight: Any, *, bias: Any = None, out: Any) -> Quantities:
    """Every input element is spread over its taps, taps = (C_out / groups) * prod(kernel). A bias is one addition per
    output element."""
    return {"inputs": x.numel(), "taps": prod(weight.shape[1:]), "biases": 0 if bias is None else out.numel()}


@formula("convolution _convolution convolution_overrideable", "macs = positions * taps, add = biases")
def general_convolution(x: Any, weight: Any, bias: Any, *, transposed: bool, out: Any) -> Quantities:
    """Positions are the output elements of a convolution and the input elements of a transposed one; taps are the
    other side's channels of one group times the kernel."""
    positions = x if transposed else out
    return {
        "positions": positions.numel(),
        "taps": prod(weight.shape[1:]),
        "biases": 0 if bias is None else out.numel(),
    }


@formula("conv_tbc", "macs = outputs * taps, add = outputs")
def convolution_tbc(x: Any, weight: Any, *, out: Any) -> Quantities:
    """A convolution over [time, batch, channels] with a weight [kernel, C_in, C_out]; its bias is not optional."""
    return {"outputs": out.numel(), "taps": prod(weight.shape[:2])}


@formula("mm bmm mv dot vdot matmul inner _int_mm", "macs = outputs * contracted")
def matrix_product(a: Any, b: Any, *, out: Any) -> Quantities | Cost:
    """Every output element is a sum of products over the contracted axis, the last of the first operand; for a sparse
    operand a sum over its stored values."""
    if is_sparse(a) or is_sparse(b):
        return added_product_cost(None, a, b, beta=0, alpha=1, outputs=0)
    return {"outputs": out.numel(), "contracted": a.shape[-1] if a.dim() and b.dim() else 1}


@formula("linear mkldnn_linear", "macs = outputs * contracted, add = biases")
def linear(x: Any, weight: Any, bias: Any, *, out: Any) -> Quantities | Cost:
    """y = x W^T + b: every output element is a sum of products over the input features; for a sparse weight over those
    that it stores."""
    if is_sparse(weight):
        return added_product_cost(bias, x, weight.t(), beta=int(bias is not None), alpha=1, outputs=out.numel())
    return {"outputs": out.numel(), "contracted": weight.shape[-1], "biases": 0 if bias is None else out.numel()}


def _scales(beta: Any, alpha: Any) -> int:
    """How many of the factors are multiplied with: all but 1, and but a beta of 0, with which the input is ignored."""
    return int(beta not in (0, 1)) + int(alpha != 1)


@formula(
    "addmm baddbmm addmv _addmm_activation",
    "macs = outputs * contracted, add = outputs * added, mul = outputs * scales",
)
def added_product(x: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1, out: Any) -> Quantities | Cost:
    """beta x + alpha (a b): a sum of products over the contracted axis, one addition of x per output element unless
    beta is 0, and one multiplication per output element for each of alpha and beta that is not 1. A sparse operand
    contracts over its stored values."""
    if is_sparse(a) or is_sparse(b):
        return added_product_cost(x, a, b, beta, alpha, out.numel())
    return {
        "outputs": out.numel(),
        "contracted": a.shape[-1],
        "added": int(beta != 0),
        "scales": _scales(beta, alpha),
    }


@formula("addbmm", "macs = outputs * contracted, add = outputs * added, mul = outputs * scales")
def added_batch_sum(x: Any, a: Any, b: Any, *, beta: Any, alpha: Any, out: Any) -> Quantities:
    """beta x + alpha sum_i (a_i b_i): the batch is contracted together with the inner axis."""
    return {
        "outputs": out.numel(),
        "contracted": a.shape[0] * a.shape[-1],
        "added": int(beta != 0),
        "scales": _scales(beta, alpha),
    }


@formula("addr", "mul = outputs * (1 + scales), add = outputs * added")
def added_outer_product(x: Any, *, beta: Any, alpha: Any, out: Any) -> Quantities:
    """beta x + alpha (a outer b): nothing is contracted, an outer product is one multiplication per output element."""
    return {"outputs": out.numel(), "added": int(beta != 0), "scales": _scales(beta, alpha)}


@formula("bilinear", "macs = outputs * in2 * (in1 + 1), add = biases")
def bilinear(x1: Any, x2: Any, weight: Any, bias: Any, *, out: Any) -> Quantities:
    """y_k = x1^T A_k x2 + b_k: x1^T A_k contracts over in1 for each of in2, the product with x2 contracts over in2."""
    in1, in2 = weight.shape[1:]
    return {"outputs": out.numel(), "in1": in1, "in2": in2, "biases": 0 if bias is None else out.numel()}


@formula("_trilinear", "macs = products * factors")
def trilinear(
    i1: Any, i2: Any, i3: Any, expand1: Sequence[int], expand2: Sequence[int], expand3: Sequence[int]
) -> Quantities:
    """sum of i1 * i2 * i3 over the broadcast axes: one product of three for each place of the broadcast shape, which
    is two multiply-accumulates."""
    shape = list(i1.shape)
    for axis in sorted(expand1):
        shape.insert(axis, 1)
    for operand, expand in ((i2, expand2), (i3, expand3)):
        other = list(operand.shape)
        for axis in sorted(expand):
            other.insert(axis, 1)
        shape = [max(a, b) for a, b in zip(shape, other, strict=True)]
    return {"products": prod(shape), "factors": 2}


@formula("affine_grid_generator cudnn_affine_grid_generator", "macs = outputs * (axes + 1)")
def affine_grid(theta: Any, *, out: Any) -> Quantities:
    """Every coordinate of the grid is a row of theta times a base point (x, y, [z], 1)."""
    return {"outputs": out.numel(), "axes": theta.shape[1]}
