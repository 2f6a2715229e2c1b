"""Contractions of vendor libraries with an activation or a sum fused onto them."""

from __future__ import annotations

from math import prod
from typing import Any

from fxcount.cost import Cost, Quantities
from fxcount.formulas import activations  # noqa: F401  # its formulas must be registered first
from fxcount.formulas.formula import RefusedError
from fxcount.formulas.registry import FORMULAS, formula, formulas, refuse

FUSED = (
    "macs = outputs * taps, mul = outputs * (scales + f_mul), add = biases + outputs * f_add, "
    "div = outputs * f_div, cmp = outputs * f_cmp, special = outputs * f_special"
)
"""A sum over the taps of each output element, its bias, and what the activation f costs per element."""

ACTIVATIONS = {
    "relu": "relu",
    "hardtanh": "hardtanh",
    "leaky_relu": "leaky_relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "swish": "silu",
    "silu": "silu",
    "hardswish": "hardswish",
    "hardsigmoid": "hardsigmoid",
    "elu": "elu",
    "gelu": "gelu",
}
"""The name of an activation in a vendor library to that of the operator."""


def _per_element(activation: str | None, algorithm: str | None) -> Cost:
    """What the activation of that name costs for one element."""
    if activation in (None, "", "none"):
        return Cost()
    equation = FORMULAS[f"aten.{ACTIVATIONS[activation]}"].equation if activation in ACTIVATIONS else None
    if equation is None:
        raise RefusedError(f"its fused activation {activation!r} is not known")
    return equation.cost({"outputs": 1, "tanh": int(algorithm == "tanh")})


def fused_activation(
    activation: str | None,
    algorithm: str | None = None,
    *,
    outputs: int,
    taps: int,
    biases: int,
    scales: int = 0,
) -> Quantities:
    """The quantities of ``FUSED``.

    Raises:
        RefusedError: the activation is not known.
    """
    fused = _per_element(activation, algorithm).to_dict()
    per_element = {f"f_{field}": fused[field] for field in ("mul", "add", "div", "cmp", "special")}
    return {"outputs": outputs, "taps": taps, "biases": biases, "scales": scales, **per_element}


def convolved(weight: Any, bias: Any, out: Any) -> dict[str, int]:
    """A sum over taps for each output element, and a bias where there is one."""
    return {"outputs": out.numel(), "taps": prod(weight.shape[1:]), "biases": 0 if bias is None else out.numel()}


@formula("cudnn_convolution_relu miopen_convolution_relu", "macs = outputs * taps, add = biases, cmp = outputs")
def convolution_relu(x: Any, weight: Any, bias: Any, *, out: Any) -> Quantities:
    """max(0, conv(x) + b)."""
    return convolved(weight, bias, out)


@formula(
    "cudnn_convolution_add_relu miopen_convolution_add_relu",
    "macs = outputs * taps, add = outputs + biases, mul = outputs * scaled, cmp = outputs",
)
def convolution_add_relu(x: Any, weight: Any, z: Any, alpha: Any, bias: Any, *, out: Any) -> Quantities:
    """max(0, conv(x) + alpha z + b); an alpha of 1 is not multiplied with."""
    return {**convolved(weight, bias, out), "scaled": int(alpha not in (None, 1))}


@formula("mkldnn._linear_pointwise", FUSED)
def linear_pointwise(
    x: Any,
    *,
    B: Any,  # noqa: N803  # the operator's own name
    other: Any = None,
    attr: str,
    algorithm: str | None = None,
    out: Any,
) -> Quantities:
    """f(x W^T + b), or with another tensor x W^T + b combined with it by the operation ``attr``."""
    binary = 0 if other is None else out.numel()
    return fused_activation(
        attr if other is None else None,
        algorithm,
        outputs=out.numel(),
        taps=x.shape[-1],
        biases=(0 if B is None else out.numel()) + binary * (attr in ("add", "sum", "sub")),
        scales=int(other is not None and attr == "mul"),
    )


@formula("mkldnn._convolution_pointwise mkldnn._convolution_pointwise_", FUSED)
def convolution_pointwise(
    *,
    W: Any,  # noqa: N803  # the operator's own name
    B: Any,  # noqa: N803
    attr: str | None = None,
    algorithm: str | None = None,
    binary_attr: str | None = None,
    alpha: Any = None,
    unary_attr: str | None = None,
    unary_algorithm: str | None = None,
    out: Any,
) -> Quantities:
    """f(conv(x) + b), or with a binary operation f((conv(x) + b) + alpha other)."""
    summed = binary_attr in ("add", "sum", "sub")
    return fused_activation(
        attr or unary_attr,
        algorithm or unary_algorithm,
        outputs=out.numel(),
        taps=prod(W.shape[1:]),
        biases=(0 if B is None else out.numel()) + summed * out.numel(),
        scales=int(binary_attr == "mul") + int(summed and alpha not in (None, 1)),
    )


@formula(
    "mkldnn._convolution_transpose_pointwise",
    "macs = inputs * taps, mul = outputs * f_mul, add = biases + outputs * f_add, div = outputs * f_div, "
    "cmp = outputs * f_cmp, special = outputs * f_special",
)
def transposed_convolution_pointwise(
    x: Any, weight: Any, bias: Any, *, attr: str, algorithm: str | None, out: Any
) -> Quantities:
    """f(conv_transpose(x) + b): every input element is spread over its taps."""
    biases = 0 if bias is None else out.numel()
    quantities = fused_activation(attr, algorithm, outputs=out.numel(), taps=prod(weight.shape[1:]), biases=biases)
    return {**quantities, "inputs": x.numel()}


@formulas({"macs = outputs * contracted, add = biases": "mkl._mkl_linear"})
def mkl_linear(x: Any, packed: Any, weight: Any, bias: Any, *, out: Any) -> Quantities:
    """x W^T + b."""
    return {"outputs": out.numel(), "contracted": x.shape[-1], "biases": 0 if bias is None else out.numel()}


@formula("inductor._mm_plus_mm", "macs = outputs * contracted, add = outputs")
def sum_of_products(a: Any, b: Any, c: Any, d: Any, *, out: Any) -> Quantities:
    """a b + c d."""
    return {"outputs": out.numel(), "contracted": a.shape[-1] + c.shape[-1]}


refuse("mkldnn_prepacked.conv2d_run", "the sizes of its packed weight cannot be read")
