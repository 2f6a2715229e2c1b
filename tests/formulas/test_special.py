"""Polynomials by recurrence; what is free, and what is refused."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import special

from fxcount import Cost
from fxcount.formulas import REFUSED
from tests.costing import cost_of

meta = partial(torch.empty, device="meta")
integers = partial(torch.empty, dtype=torch.int64, device="meta")
aten = torch.ops.aten

CHEBYSHEV_STEP = Cost(mul=2, add=1)  # 2x C_k - C_(k-1)

# The polynomial of degree 1, and a step of the recurrence.
POLYNOMIALS: dict[str, tuple[Cost, Cost]] = {
    "chebyshev_polynomial_t": (Cost(), CHEBYSHEV_STEP),  # x
    "chebyshev_polynomial_u": (Cost(mul=1), CHEBYSHEV_STEP),  # 2x
    "chebyshev_polynomial_v": (Cost(mul=1, add=1), CHEBYSHEV_STEP),  # 2x - 1
    "chebyshev_polynomial_w": (Cost(mul=1, add=1), CHEBYSHEV_STEP),  # 2x + 1
    "shifted_chebyshev_polynomial_t": (Cost(mul=1, add=1), CHEBYSHEV_STEP),  # y = 2x - 1
    "shifted_chebyshev_polynomial_u": (Cost(mul=2, add=1), CHEBYSHEV_STEP),  # 2y
    "shifted_chebyshev_polynomial_v": (Cost(mul=2, add=2), CHEBYSHEV_STEP),  # 2y - 1
    "shifted_chebyshev_polynomial_w": (Cost(mul=2, add=2), CHEBYSHEV_STEP),  # 2y + 1
    "hermite_polynomial_h": (Cost(mul=1), Cost(mul=3, add=1)),  # 2x; 2x H_k - 2k H_(k-1)
    "hermite_polynomial_he": (Cost(), Cost(mul=2, add=1)),  # x; x He_k - k He_(k-1)
    "laguerre_polynomial_l": (Cost(add=1), Cost(mul=2, add=2, div=1)),  # 1 - x; ((2k+1-x) L_k - k L_(k-1)) / (k+1)
    "legendre_polynomial_p": (Cost(), Cost(mul=3, add=1, div=1)),  # x; ((2k+1) x P_k - k P_(k-1)) / (k+1)
}


@pytest.mark.parametrize(("name", "first", "step"), [(name, *costs) for name, costs in POLYNOMIALS.items()])
def test_polynomials(name: str, first: Cost, step: Cost) -> None:
    polynomial = getattr(special, name)
    assert cost_of(polynomial, meta(3, 5), -1) == Cost()
    assert cost_of(polynomial, meta(3, 5), 0) == Cost()
    assert cost_of(polynomial, meta(3, 5), 1) == 15 * first
    assert cost_of(polynomial, meta(3, 5), 4) == 15 * (first + 3 * step)
    assert cost_of(polynomial, meta(3, 5), 4.0) == 15 * (first + 3 * step)
    assert cost_of(polynomial, meta(0, 5), 4) == Cost()
    assert cost_of(polynomial, torch.ones(3, 5), 4, out=meta(3, 5)) == 15 * (first + 3 * step)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_a_degree_in_a_tensor_is_not_known(name: str) -> None:
    polynomial = getattr(special, name)
    assert cost_of(polynomial, meta(3, 1), meta(5)) == Cost(special=15)
    assert cost_of(polynomial, meta(3, 5), torch.tensor(4)) == Cost(special=15)
    assert cost_of(polynomial, 0.5, meta(5)) == Cost(special=5)


def test_multivariate_log_gamma() -> None:
    # p functions, of x and of x less 1/2 and 1; 2 sums of the three, and one with the constant
    assert cost_of(torch.mvlgamma, meta(3, 5), 3) == 15 * Cost(special=3, add=2 + 2 + 1)
    assert cost_of(special.multigammaln, meta(3, 5), 1) == 15 * Cost(special=1, add=1)
    assert cost_of(meta(3, 5).mvlgamma_, 3) == 15 * Cost(special=3, add=5)


X = meta(3, 5)
MASK = meta(2, dtype=torch.bool)
I = integers(3, 5)  # noqa: E741
B = meta(3, 5, dtype=torch.bool)

FREE: dict[str, Callable[[], Any]] = {
    "and": lambda: I & I,
    "or": lambda: B | B,
    "exclusive or": lambda: I ^ 3,
    "not": lambda: ~I,
    "in place": lambda: I.clone().__iand__(I),
    "shifts": lambda: (I << 2) >> I,
    "shifts in place": lambda: I.clone().__ilshift__(2),
    "divisors": lambda: torch.gcd(I, I) + torch.lcm(I, I),
    "bitwise": lambda: torch.bitwise_left_shift(torch.bitwise_and(I, 3), I),
    "hash": partial(torch.hash_tensor, X),
    "masked index": partial(aten._unsafe_masked_index, meta(5), MASK, [integers(2)], 0),
    "normal": lambda: aten.normal_functional(X),
    "copy": partial(torch._lazy_clone, X),
}


@pytest.mark.parametrize("call", FREE.values(), ids=FREE)
def test_bits_copies_and_random_numbers_are_free(call: Callable[[], Any]) -> None:
    assert cost_of(call) == Cost()


def test_operators_of_torchs_own_tests_are_refused() -> None:
    assert REFUSED["aten._foobar"] == REFUSED["aten._test_warn_in_autograd"]
