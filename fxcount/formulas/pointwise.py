"""Operators that compute every output element on its own."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from fxcount.cost import Quantities
from fxcount.formulas.arithmetic import first_tensor
from fxcount.formulas.registry import formula, formulas

POINTWISE = {
    "mul = outputs": "mul square outer ger kron deg2rad rad2deg ldexp _fused_dropout _masked_scale",
    "div = outputs": "reciprocal",
    "cmp = outputs": (
        "relu neg abs sign sgn round ceil floor trunc eq ne lt le gt ge minimum maximum fmin fmax where masked_fill "
        "clamp_min clamp_max threshold isnan isinf isposinf isneginf isfinite signbit copysign heaviside nextafter "
        "logical_and logical_or logical_xor logical_not isreal frexp"
    ),
    "cmp = 2 * outputs": "hardtanh hardshrink",
    "cmp = 3 * outputs": "nan_to_num",
    "cmp = outputs, add = outputs": "frac",
    "cmp = 2 * outputs, add = outputs": "softshrink",
    "special = outputs": (
        "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
        "erf erfc erfinv lgamma digamma polygamma i0 igamma igammac atan2 angle "
        "special_i0e special_i1 special_i1e special_erfcx special_log_ndtr special_ndtri special_zeta special_airy_ai "
        "special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 special_modified_bessel_i0 "
        "special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1 "
        "special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_spherical_bessel_j0"
    ),
    "special = outputs, add = outputs, div = outputs": "sigmoid",
    "special = outputs, add = outputs, div = outputs, mul = outputs": "silu glu",
    "special = 2 * outputs, add = outputs": "log_sigmoid log_sigmoid_forward softplus",
    "special = 3 * outputs, add = outputs": "logaddexp logaddexp2",
    "special = 3 * outputs, add = outputs, mul = outputs": "mish",
    "cmp = outputs, mul = outputs": "leaky_relu _prelu_kernel prelu rrelu_with_noise rrelu_with_noise_functional",
    "cmp = outputs, special = outputs, add = outputs, mul = outputs": "elu celu selu",
    "add = outputs, cmp = 2 * outputs, div = outputs": "hardsigmoid",
    "add = outputs, cmp = 2 * outputs, div = outputs, mul = outputs": "hardswish",
    "special = outputs, mul = outputs": "xlogy special_entr",
    "special = outputs, mul = outputs, add = outputs": "special_xlog1py",
    "special = outputs, mul = outputs, div = outputs": "sinc",
    "mul = 2 * outputs, add = outputs, special = outputs": "hypot",
    "div = outputs, cmp = outputs": "floor_divide",
    "div = outputs, cmp = outputs, mul = outputs, add = outputs": "fmod remainder",
    "add = 2 * outputs, mul = outputs": "lerp",
    "mul = 2 * outputs, add = outputs": "linalg_cross",
}


@formulas(POINTWISE)
def pointwise(*, out: Any) -> Quantities:
    """The operator's definition in the PyTorch documentation, once for every output element."""
    return {"outputs": first_tensor(out).numel()}


@formula("add sub rsub", "add = outputs, mul = outputs * scaled")
def addition(*, alpha: Any = 1, out: Any) -> Quantities:
    """x + alpha y: one addition per output element, and one multiplication where alpha is not 1."""
    return {"outputs": out.numel(), "scaled": int(alpha != 1)}


@formula("_add_relu", "add = outputs, mul = outputs * scaled, cmp = outputs")
def addition_relu(*, alpha: Any = 1, out: Any) -> Quantities:
    """max(0, x + alpha y)."""
    return {"outputs": out.numel(), "scaled": int(alpha != 1)}


def _is_factor(value: Any) -> int:
    """Whether there is a product with a value: not with the number 1."""
    return int(isinstance(value, torch.Tensor) or value != 1)


@formula("addcmul", "mul = outputs * (1 + scaled), add = outputs")
def addcmul(*, value: Any = 1, scalars: Any = 1, out: Any) -> Quantities:
    """x + value a b; a value of 1 is not multiplied with. Of lists of tensors each may have its own of ``scalars``."""
    return {"outputs": out.numel(), "scaled": max(_is_factor(value), _is_factor(scalars))}


@formula("addcdiv", "div = outputs, add = outputs, mul = outputs * scaled")
def addcdiv(*, value: Any = 1, scalars: Any = 1, out: Any) -> Quantities:
    """x + value a / b, as ``addcmul``."""
    return {"outputs": out.numel(), "scaled": max(_is_factor(value), _is_factor(scalars))}


@formula("div", "div = outputs, cmp = outputs * rounded")
def division(*, rounding_mode: str | None = None, out: Any) -> Quantities:
    """a / b, and one rounding per output element with a rounding mode."""
    return {"outputs": out.numel(), "rounded": int(rounding_mode is not None)}


@formula("clamp", "cmp = outputs * bounds")
def clamp(x: Any, lower: Any = None, upper: Any = None, *, out: Any) -> Quantities:
    """One comparison per output element for each bound that is given."""
    return {"outputs": out.numel(), "bounds": (lower is not None) + (upper is not None)}


@formula("pow", "mul = outputs * multiplications, div = outputs * inverted, special = outputs * special")
def power(base: Any, exponent: Any, *, out: Any) -> Quantities:
    """x^n for a whole n by repeated squaring: floor(log2 n) squarings and one product for every further set bit of n,
    a negative n takes a reciprocal; every other power is one special function."""
    whole = isinstance(exponent, int | float) and exponent == int(exponent) if _finite(exponent) else False
    if not whole:
        return {"outputs": out.numel(), "multiplications": 0, "inverted": 0, "special": 1}
    n = abs(int(exponent))
    products = n.bit_length() - 1 + n.bit_count() - 1 if n else 0
    return {"outputs": out.numel(), "multiplications": products, "inverted": int(exponent < 0), "special": 0}


def _finite(exponent: Any) -> bool:
    return isinstance(exponent, int | float) and abs(exponent) != float("inf") and exponent == exponent


@formula("gelu", "mul = outputs * (3 + 3 * tanh), add = outputs * (1 + tanh), special = outputs")
def gelu(*, approximate: str = "none", out: Any) -> Quantities:
    """0.5 x (1 + erf(x / sqrt 2)), or with the tanh approximation
    0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))); tanh is 1 for the latter."""
    return {"outputs": out.numel(), "tanh": int(approximate == "tanh")}


@formula("dropout feature_dropout native_dropout", "mul = outputs * dropping")
def dropout(x: Any, p: float, train: bool | None) -> Quantities:
    """In training every element is multiplied with 0 or 1 / (1 - p); otherwise, or for p of 0, nothing happens."""
    return {"outputs": x.numel(), "dropping": int(bool(train) and p != 0)}


@formula("alpha_dropout feature_alpha_dropout", "mul = outputs * dropping, add = outputs * dropping")
def alpha_dropout(x: Any, p: float, train: bool) -> Quantities:
    """In training every element is scaled and shifted by what its mask says, so that mean and variance are kept."""
    return {"outputs": x.numel(), "dropping": int(train and p != 0)}


@formula("logit", "add = outputs, div = outputs, special = outputs, cmp = 2 * outputs * clamped")
def logit(x: Any, eps: float | None, *, out: Any) -> Quantities:
    """log(x / (1 - x)), with eps of an x clamped to [eps, 1 - eps]."""
    return {"outputs": out.numel(), "clamped": int(eps is not None)}


@formula("polar", "special = 2 * outputs, mul = 2 * outputs", complex_stated=True)
def polar(*, out: Any) -> Quantities:
    """abs cos(angle) + i abs sin(angle)."""
    return {"outputs": out.numel()}


@formula("isclose allclose", "mul = outputs, add = 2 * outputs, cmp = 3 * outputs")
def closeness(x: Any, other: Any) -> Quantities:
    """|x - y| <= atol + rtol |y| for every pair; whether all pairs are close is a question about booleans, and free."""
    return {"outputs": prod(torch.broadcast_shapes(x.shape, other.shape))}


BISECTION = "cmp = outputs * ceil_log2(edges + 1)"
"""Which of the places before, between and after the edges a value has, is found by bisection."""


@formula("bucketize", BISECTION)
def bucketize(*, boundaries: Any, out: Any) -> Quantities:
    """Every value is placed among the same edges."""
    return {"outputs": out.numel(), "edges": boundaries.shape[-1]}


@formula("searchsorted", BISECTION)
def searchsorted(*, sorted_sequence: Any, out: Any) -> Quantities:
    """Every value is placed among the edges of its own line."""
    return {"outputs": out.numel(), "edges": sorted_sequence.shape[-1]}


@formula("isin", "cmp = outputs * candidates")
def isin(elements: Any, candidates: Any, *, out: Any) -> Quantities:
    """Every element is compared with every candidate."""
    return {"outputs": out.numel(), "candidates": candidates.numel() if isinstance(candidates, torch.Tensor) else 1}
