"""Operators that compute every output element on its own."""

from math import prod

import torch

from fxcount.cost import Quantities, Size
from fxcount.formulas.number_kinds import first_tensor, product, quotient
from fxcount.formulas.registry import aliases, formula, formulas, of_complex
from fxcount.formulas.tensor import Tensor

POINTWISE = {
    "mul = outputs": "mul square outer ger kron deg2rad rad2deg ldexp _fused_dropout _masked_scale prims.mul",
    "div = outputs": "reciprocal prims.div",
    "add = outputs": "prims.add prims.sub",
    "cmp = outputs": (
        "neg abs sign sgn round ceil floor trunc eq ne lt le gt ge minimum maximum fmin fmax where masked_fill "
        "clamp_min clamp_max isnan isinf isposinf isneginf isfinite signbit copysign heaviside nextafter "
        "logical_and logical_or logical_xor logical_not isreal frexp prims.neg prims.where"
    ),
    "cmp = 3 * outputs": "nan_to_num",
    "cmp = outputs, add = outputs": "frac",
    "special = outputs": (
        "exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan asin acos atan sinh cosh asinh acosh atanh "
        "erf erfc erfinv lgamma digamma polygamma i0 igamma igammac atan2 angle "
        "special_i0e special_i1 special_i1e special_erfcx special_log_ndtr special_ndtri special_zeta special_airy_ai "
        "special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 special_modified_bessel_i0 "
        "special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1 "
        "special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_spherical_bessel_j0"
    ),
    "special = 3 * outputs, add = outputs": "logaddexp logaddexp2",
    "special = outputs, mul = outputs": "xlogy special_entr",
    "special = outputs, mul = outputs, add = outputs": "special_xlog1py",
    "special = outputs, mul = outputs, div = outputs": "sinc",
    "mul = 2 * outputs, add = outputs, special = outputs": "hypot",
    "div = outputs, cmp = outputs": "floor_divide",
    "div = outputs, cmp = outputs, mul = outputs, add = outputs": "fmod remainder",
    "add = 2 * outputs, mul = outputs": "lerp",
    "mul = 2 * outputs, add = outputs": "linalg_cross",
}


COMPLEX = {
    # the root of the sum of the squares of both parts
    "mul = 2 * outputs, add = outputs, special = outputs": "abs",
    # z / |z|, or 0
    "mul = 2 * outputs, add = outputs, special = outputs, div = 2 * outputs, cmp = outputs": "sgn",
    # what is multiplied with is real: a power of two, a mask
    "mul = 2 * outputs": "ldexp _fused_dropout _masked_scale",
    # pi is real
    "special = outputs, mul = 8 * outputs, add = 3 * outputs, div = 2 * outputs": "sinc",
}


@formulas(POINTWISE)
@of_complex(COMPLEX)
def pointwise(*, out: object) -> Quantities:
    """The operator's definition in the PyTorch documentation, once for every output element."""
    return {"outputs": first_tensor(out).numel()}


@formula("add sub rsub", "add = outputs, mul = outputs * scaled")
def addition(*, alpha: complex = 1, out: Tensor) -> Quantities:
    """x + alpha y: one addition per output element, and one multiplication where alpha is not 1."""
    return {"outputs": out.numel(), "scaled": int(alpha != 1)}


aliases({"add relu": "_add_relu"})


Factor = torch.Tensor | complex
"""What is multiplied with."""


def _scales(*values: Factor) -> list[Factor]:
    """Those with which there is a product: not with the number 1."""
    return [value for value in values if isinstance(value, torch.Tensor) or value != 1]


@formulas(
    {
        "mul = outputs * (1 + scaled), add = outputs": "addcmul",
        "div = outputs, add = outputs, mul = outputs * scaled": "addcdiv",
    }
)
def scaled_addition(*, value: Factor = 1, scalars: Factor = 1, out: Tensor) -> Quantities:
    """x + value a b, or x + value a / b; a value of 1 is not multiplied with. Of lists of tensors each may have its own
    of ``scalars``."""
    return {"outputs": out.numel(), "scaled": len(_scales(value, scalars))}


@of_complex({"mul = outputs * multiplications, add = outputs * additions": "mul outer ger kron"})
def complex_product(x: Factor, y: Factor, *, out: Tensor) -> Quantities:
    """Of two complex numbers 4 multiplications and 2 additions, of a complex and a real one 2 multiplications."""
    return {"outputs": out.numel(), **_product(x, y)}


def _product(*factors: Factor) -> dict[str, Size]:
    cost = product(*factors)
    return {"multiplications": cost.mul, "additions": cost.add}


COMPLEX_SUM = "add = outputs * (2 + additions), mul = outputs * multiplications"


@of_complex({COMPLEX_SUM: "add sub"})
def complex_addition(x: Tensor, y: Factor, *, alpha: complex = 1, out: Tensor) -> Quantities:
    """x + alpha y: a sum of both parts, and the product where alpha is not 1."""
    return {"outputs": out.numel(), **_product(*_scales(alpha), y)}


@of_complex({COMPLEX_SUM: "rsub"})
def complex_subtraction_from(x: Factor, *, alpha: complex = 1, out: Tensor) -> Quantities:
    """y - alpha x: a sum of both parts, and the product where alpha is not 1."""
    return {"outputs": out.numel(), **_product(*_scales(alpha), x)}


@of_complex({COMPLEX_SUM: "addcmul"})
def complex_scaled_product(
    x: Tensor, a: Factor, b: Factor, *, value: Factor = 1, scalars: Factor = 1, out: Tensor
) -> Quantities:
    """x + value a b: a sum of both parts, and the products."""
    return {"outputs": out.numel(), **_product(*_scales(value, scalars), a, b)}


@of_complex({f"{COMPLEX_SUM}, div = outputs * divisions": "addcdiv"})
def complex_scaled_quotient(
    x: Tensor, a: Factor, b: Factor, *, value: Factor = 1, scalars: Factor = 1, out: Tensor
) -> Quantities:
    """x + value a / b: a sum of both parts, the product and the quotient."""
    factors = [*_scales(value, scalars), a]
    cost = product(*factors) + quotient(factors, b)
    return {"outputs": out.numel(), "multiplications": cost.mul, "additions": cost.add, "divisions": cost.div}


@of_complex({"mul = outputs * multiplications, add = outputs * additions, div = outputs * divisions": "div"})
def complex_division(x: Factor, y: Factor, *, out: Tensor) -> Quantities:
    """By a complex number 6 multiplications, 3 additions and 2 divisions, by a real one 2 divisions."""
    cost = quotient([x], y)
    return {"outputs": out.numel(), "multiplications": cost.mul, "additions": cost.add, "divisions": cost.div}


@of_complex({"add = outputs * (4 + additions), mul = outputs * multiplications": "lerp"})
def complex_interpolation(x: Factor, y: Tensor, weight: Factor, *, out: Tensor) -> Quantities:
    """x + weight (y - x): two sums of both parts, and a product."""
    return {"outputs": out.numel(), **_product(weight, x)}


@formula("div", "div = outputs, cmp = outputs * rounded")
def division(*, rounding_mode: str | None = None, out: Tensor) -> Quantities:
    """a / b, and one rounding per output element with a rounding mode."""
    return {"outputs": out.numel(), "rounded": int(rounding_mode is not None)}


@formula("clamp", "cmp = outputs * bounds")
def clamp(
    x: Tensor, lower: Tensor | float | None = None, upper: Tensor | float | None = None, *, out: Tensor
) -> Quantities:
    """One comparison per output element for each bound that is given."""
    return {"outputs": out.numel(), "bounds": (lower is not None) + (upper is not None)}


@formula("pow", "mul = outputs * multiplications, div = outputs * inverted, special = outputs * special")
def power(base: Tensor | complex, exponent: Tensor | complex, *, out: Tensor) -> Quantities:
    """x^n for a whole n by repeated squaring: floor(log2 n) squarings and one product for every further set bit of n,
    a negative n takes a reciprocal; every other power is one special function."""
    if not isinstance(exponent, int | float) or exponent % 1 != 0:
        return {"outputs": out.numel(), "multiplications": 0, "inverted": 0, "special": 1}
    n = abs(int(exponent))
    products = n.bit_length() - 1 + n.bit_count() - 1 if n else 0
    return {"outputs": out.numel(), "multiplications": products, "inverted": int(exponent < 0), "special": 0}


@of_complex(
    {
        "mul = 2 * outputs * dropping": "dropout feature_dropout native_dropout",
        "mul = 2 * outputs * dropping, add = 2 * outputs * dropping": "alpha_dropout feature_alpha_dropout",
    }
)
@formulas(
    {
        "mul = outputs * dropping": "dropout feature_dropout native_dropout",
        "mul = outputs * dropping, add = outputs * dropping": "alpha_dropout feature_alpha_dropout",
    }
)
def dropout(x: Tensor, *, p: float, train: bool | None = False, training: bool = False) -> Quantities:
    """In training every element is multiplied with 0 or 1 / (1 - p); otherwise, or for p of 0, nothing happens. An
    alpha dropout scales and shifts by what the mask says, so that mean and variance are kept."""
    return {"outputs": x.numel(), "dropping": int(bool(train or training) and p != 0)}


@of_complex({"mul = 2 * elements * dropping": "native_dropout_backward"})
@formula("native_dropout_backward", "mul = elements * dropping")
def dropout_backward(grad: Tensor, mask: Tensor, scale: float) -> Quantities:
    """g times 0 or the scale; a scale of 1 has dropped nothing."""
    return {"elements": grad.numel(), "dropping": int(scale != 1)}


@formula("logit", "add = outputs, div = outputs, special = outputs, cmp = 2 * outputs * clamped")
def logit(x: Tensor, eps: float | None, *, out: Tensor) -> Quantities:
    """log(x / (1 - x)), with eps of an x clamped to [eps, 1 - eps]."""
    return {"outputs": out.numel(), "clamped": int(eps is not None)}


@formula("logit_backward", "mul = elements, add = elements, div = elements, cmp = 2 * elements * clamped")
def logit_backward(grad: Tensor, x: Tensor, eps: float | None = None, *, out: Tensor) -> Quantities:
    """g / (x (1 - x)), and 0 outside of [eps, 1 - eps] with an eps."""
    return {"elements": out.numel(), "clamped": int(eps is not None)}


@formula("polar", "special = 2 * outputs, mul = 2 * outputs", complex_stated=True)
def polar(*, out: Tensor) -> Quantities:
    """abs cos(angle) + i abs sin(angle)."""
    return {"outputs": out.numel()}


@formula("_standard_gamma_grad _dirichlet_grad", "special = elements")
def sample_gradient(*, out: Tensor) -> Quantities:
    """The derivative of a sample by its parameter, a special function of both."""
    return {"elements": out.numel()}


@of_complex({"mul = 5 * outputs, add = 5 * outputs, special = 2 * outputs, cmp = outputs": "isclose allclose"})
@formula("isclose allclose", "mul = outputs, add = 2 * outputs, cmp = 3 * outputs")
def closeness(x: Tensor, other: Tensor) -> Quantities:
    """|x - y| <= atol + rtol |y| for every pair, with two magnitudes; whether all pairs are close is a question about
    booleans, and free."""
    return {"outputs": prod(torch.broadcast_shapes(x.shape, other.shape))}


@formula("isin", "cmp = outputs * candidates")
def isin(elements: Tensor | float, candidates: torch.Tensor | float, *, out: Tensor) -> Quantities:
    """Every element is compared with every candidate."""
    return {"outputs": out.numel(), "candidates": candidates.numel() if isinstance(candidates, torch.Tensor) else 1}
