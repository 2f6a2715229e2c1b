"""Contractions of vendor libraries with an activation or a sum fused onto them."""

from math import prod

import torch

from fxcount.cost import Cost, Quantities, Size
from fxcount.formulas.contractions import bias_additions
from fxcount.formulas.convolutions import convolution
from fxcount.formulas.formula import RefusedError
from fxcount.formulas.matrix_products import linear
from fxcount.formulas.registry import FORMULAS, aliases, formula, refuse
from fxcount.formulas.tensor import Tensor

aliases({"conv2d relu": "cudnn_convolution_relu miopen_convolution_relu"})

FUSED = (
    "macs = outputs * taps, mul = outputs * (scales + f_mul), add = biases + outputs * f_add, "
    "div = outputs * f_div, cmp = outputs * f_cmp, special = outputs * f_special"
)
"""A sum over the taps of each output element, its bias, and what the activation f costs per element."""

SUMS = ("add", "sum", "sub")
"""The names of binary operations that are an addition per element."""

ACTIVATIONS = ("relu", "hardtanh", "leaky_relu", "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid", "elu", "gelu")
"""The activations that vendor libraries name as torch does; a silu is their swish too."""


def _per_element(activation: str | None, algorithm: str | None) -> Cost:
    """What the activation of that name costs for one element."""
    if activation in (None, "", "none"):
        return Cost()
    name = "silu" if activation == "swish" else activation
    equation = FORMULAS[f"aten.{name}"].equation if name in ACTIVATIONS else None
    if equation is None:
        raise RefusedError(f"its fused activation {activation!r} is not known")
    return equation.cost({"outputs": 1, "tanh": int(algorithm == "tanh")})


def _fused(
    taps: Size,
    bias: Tensor | None,
    activation: str | None,
    algorithm: str | None = None,
    *,
    binary: str | None = None,
    scales: int = 0,
    out: Tensor,
) -> Quantities:
    """The quantities of ``FUSED``, with a binary operation that combines each element with one of another tensor.

    Raises:
        RefusedError: the activation is not known.
    """
    fused = _per_element(activation, algorithm).to_dict()
    per_element = {f"f_{field}": fused[field] for field in ("mul", "add", "div", "cmp", "special")}
    return {
        "outputs": out.numel(),
        "taps": taps,
        "biases": bias_additions(bias, out) + (binary in SUMS) * out.numel(),
        "scales": scales + int(binary == "mul"),
        **per_element,
    }


@formula(
    "cudnn_convolution_add_relu miopen_convolution_add_relu",
    "macs = outputs * taps, add = outputs + biases, mul = outputs * scaled, cmp = outputs",
)
def convolution_add_relu(
    x: Tensor, weight: Tensor, z: Tensor, alpha: float | None, bias: Tensor | None, *, out: Tensor
) -> Quantities:
    """max(0, conv(x) + alpha z + b); an alpha of 1 is not multiplied with."""
    return {**convolution(x, weight, bias=bias, out=out), "scaled": int(alpha not in (None, 1))}


@formula("mkldnn._linear_pointwise", FUSED)
def linear_pointwise(
    x: Tensor,
    *,
    B: Tensor | None,  # noqa: N803  # the operator's own name
    other: Tensor | None = None,
    attr: str,
    algorithm: str | None = None,
    out: Tensor,
) -> Quantities:
    """f(x W^T + b), or with another tensor x W^T + b combined with it by the operation ``attr``."""
    if other is None:
        return _fused(x.shape[-1], B, attr, algorithm, out=out)
    return _fused(x.shape[-1], B, None, binary=attr, out=out)


@formula("mkldnn._convolution_pointwise mkldnn._convolution_pointwise_", FUSED)
def convolution_pointwise(
    *,
    W: Tensor,  # noqa: N803  # the operator's own name
    B: Tensor | None,  # noqa: N803
    attr: str | None = None,
    algorithm: str | None = None,
    binary_attr: str | None = None,
    alpha: float | None = None,
    unary_attr: str | None = None,
    unary_algorithm: str | None = None,
    out: Tensor,
) -> Quantities:
    """f(conv(x) + b), or with a binary operation f((conv(x) + b) + alpha other)."""
    scaled = int(binary_attr in SUMS and alpha not in (None, 1))
    activation, of_activation = attr or unary_attr, algorithm or unary_algorithm
    return _fused(prod(W.shape[1:]), B, activation, of_activation, binary=binary_attr, scales=scaled, out=out)


@formula(
    "onednn.qlinear_pointwise onednn.qconv1d_pointwise onednn.qconv2d_pointwise onednn.qconv3d_pointwise "
    "onednn.qconv_pointwise",
    FUSED,
    complex_stated=True,
)
def onednn_pointwise(
    x: Tensor,
    x_scale: Tensor | float,
    x_zero_point: Tensor | int,
    weight: Tensor,
    *,
    bias: Tensor | None,
    attr: str = "",
    algorithm: str = "",
    post_op_name: str = "",
    post_op_algorithm: str = "",
    binary_attr: str = "",
    binary_post_op: str = "",
    unary_attr: str = "",
    unary_algorithm: str = "",
    unary_post_op: str = "",
    unary_post_op_algorithm: str = "",
    out: Tensor,
) -> Quantities:
    """f(conv(x) + b), or with a binary operation f(conv(x) + b + other): the sum over the taps of each output element,
    and the operations fused to it. A linear weight is packed as [features, outputs]."""
    linear = out.dim() == x.dim() and weight.dim() == 2
    return _fused(
        x.shape[-1] if linear else prod(weight.shape[1:]),
        bias,
        attr or post_op_name or unary_attr or unary_post_op,
        algorithm or post_op_algorithm or unary_algorithm or unary_post_op_algorithm,
        binary=binary_attr or binary_post_op,
        out=out,
    )


@formula(
    "mkldnn._convolution_transpose_pointwise",
    "macs = inputs * taps, mul = outputs * f_mul, add = biases + outputs * f_add, div = outputs * f_div, "
    "cmp = outputs * f_cmp, special = outputs * f_special",
)
def transposed_convolution_pointwise(
    x: Tensor, weight: Tensor, bias: Tensor | None, *, attr: str, algorithm: str | None, out: Tensor
) -> Quantities:
    """f(conv_transpose(x) + b): every input element is spread over its taps."""
    return {**_fused(prod(weight.shape[1:]), bias, attr, algorithm, out=out), "inputs": x.numel()}


@formula("_mixed_dtypes_linear", FUSED)
def mixed_dtypes_linear(x: Tensor, *, bias: Tensor | None, activation: str | None, out: Tensor) -> Quantities:
    """f(scale (x W^T) + b): one multiplication with the scale of its column per output element."""
    return _fused(x.shape[-1], bias, activation, scales=1, out=out)


@formula("mkl._mkl_linear", "macs = outputs * contracted, add = biases")
def mkl_linear(
    x: Tensor, packed: Tensor, weight: torch.Tensor, bias: Tensor | None, *, out: Tensor
) -> Quantities | Cost:
    """As ``linear``: x W^T + b."""
    return linear(x, weight, bias, out=out)


@formula("inductor._mm_plus_mm", "macs = outputs * contracted, add = outputs")
def sum_of_products(a: Tensor, b: Tensor, c: Tensor, d: Tensor, *, out: Tensor) -> Quantities:
    """a b + c d."""
    return {"outputs": out.numel(), "contracted": a.shape[-1] + c.shape[-1]}


refuse("mkldnn_prepacked.conv2d_run", "the sizes of its packed weight cannot be read")
