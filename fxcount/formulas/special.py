"""Orthogonal polynomials by their recurrence, and the multivariate log-gamma function."""

from fxcount.cost import Quantities
from fxcount.formulas.registry import formula, formulas
from fxcount.formulas.tensor import Tensor

POLYNOMIALS = {
    "mul = outputs * 2 * steps, add = outputs * steps, special = outputs * unknown": (
        "special_chebyshev_polynomial_t special_hermite_polynomial_he"
    ),
    "mul = outputs * (first + 2 * steps), add = outputs * steps, special = outputs * unknown": (
        "special_chebyshev_polynomial_u"
    ),
    "mul = outputs * (first + 2 * steps), add = outputs * (first + steps), special = outputs * unknown": (
        "special_chebyshev_polynomial_v special_chebyshev_polynomial_w special_shifted_chebyshev_polynomial_t"
    ),
    "mul = outputs * 2 * (first + steps), add = outputs * (first + steps), special = outputs * unknown": (
        "special_shifted_chebyshev_polynomial_u"
    ),
    "mul = outputs * 2 * (first + steps), add = outputs * (2 * first + steps), special = outputs * unknown": (
        "special_shifted_chebyshev_polynomial_v special_shifted_chebyshev_polynomial_w"
    ),
    "mul = outputs * (first + 3 * steps), add = outputs * steps, special = outputs * unknown": (
        "special_hermite_polynomial_h"
    ),
    (
        "mul = outputs * 2 * steps, add = outputs * (first + 2 * steps), div = outputs * steps, "
        "special = outputs * unknown"
    ): "special_laguerre_polynomial_l",
    "mul = outputs * 3 * steps, add = outputs * steps, div = outputs * steps, special = outputs * unknown": (
        "special_legendre_polynomial_p"
    ),
}


@formulas(POLYNOMIALS)
def polynomial(x: Tensor | float, n: Tensor | float, *, out: Tensor) -> Quantities:
    """The three-term recurrence (Abramowitz, Stegun, "Handbook of Mathematical Functions", 22.7) from the degrees 0 and
    1: n - 1 steps, k to k + 1, of

    - Chebyshev: 2x C_k - C_(k-1), from T_1 = x, U_1 = 2x, V_1 = 2x - 1 and W_1 = 2x + 1; shifted: of 2x - 1
    - Hermite: 2x H_k - 2k H_(k-1) from H_1 = 2x, and x He_k - k He_(k-1) from He_1 = x
    - Laguerre: ((2k + 1 - x) L_k - k L_(k-1)) / (k + 1) from L_1 = 1 - x
    - Legendre: ((2k + 1) x P_k - k P_(k-1)) / (k + 1) from P_1 = x

    Whole numbers are known beforehand and 2x is a product. Degrees in a tensor are values, not known from its shape:
    then the polynomial is one special function per output element.
    """
    if isinstance(n, int | float):
        degree = max(0, int(n))
        return {"outputs": out.numel(), "first": min(degree, 1), "steps": max(0, degree - 1), "unknown": 0}
    return {"outputs": out.numel(), "first": 0, "steps": 0, "unknown": 1}


@formula("mvlgamma", "special = outputs * p, add = outputs * (2 * p - 1)")
def multivariate_log_gamma(*, p: int, out: Tensor) -> Quantities:
    """C + sum over i = 1..p of lgamma(x - (i - 1) / 2): p - 1 shifts, p functions, and p - 1 sums with each other and
    one with the constant C."""
    return {"outputs": out.numel(), "p": p}
