"""Calls in which some numbers are complex and others real: a product of both is 2 mul, a quotient 2 div, a magnitude
2 mul, 1 add and 1 special; a product of complex numbers is 4 mul and 2 add, a sum 2 add."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from fxcount import Cost, count_graph
from fxcount.formulas.number_kinds import product, quotient
from tests.costing import cost_of, formula_cost
from tests.optional import optional

aten = torch.ops.aten
meta = partial(torch.empty, device="meta")
complex_ = partial(meta, dtype=torch.complex64)
Z, R, WHOLE = complex_(10), meta(10), meta(10, dtype=torch.int64)
MATRIX, SQUARE = complex_(4, 5), complex_(4, 4)
FULL, SCALED, SUM = Cost(mul=4, add=2), Cost(mul=2), Cost(add=2)
QUOTIENT = Cost(mul=6, add=3, div=2)
MAGNITUDE = Cost(mul=2, add=1, special=1)
TWO = 2 + 0j

Cases = dict[str, tuple[Callable[[], Any], Cost]]

POINTWISE: Cases = {
    "magnitude": (lambda: Z.abs(), 10 * MAGNITUDE),
    "magnitude of a real number": (lambda: R.abs(), Cost(cmp=10)),
    "sign, z / |z| or 0": (lambda: Z.sgn(), 10 * (MAGNITUDE + Cost(div=2, cmp=1))),
    "angle": (lambda: Z.angle(), Cost(special=10)),
    "complex times real": (lambda: Z * R, 10 * SCALED),
    "real times complex": (lambda: R * Z, 10 * SCALED),
    "times a whole number": (lambda: Z * WHOLE, 10 * SCALED),
    "times a boolean": (lambda: Z * (WHOLE > 0), 10 * SCALED),
    "times a number": (lambda: Z * 2.5, 10 * SCALED),
    "a number times": (lambda: 3 * Z, 10 * SCALED),
    "times a complex number": (lambda: Z * 2j, 10 * FULL),
    "real times a complex number": (lambda: R * 2j, 10 * SCALED),
    "complex times complex": (lambda: Z * Z, 10 * FULL),
    "of a method": (lambda: Z.multiply(R), 10 * SCALED),
    "in place": (lambda: complex_(10).mul_(R), 10 * SCALED),
    "to a given tensor": (lambda: torch.mul(Z, R, out=complex_(10)), 10 * SCALED),
    "broadcast": (lambda: Z[:, None] * R, 100 * SCALED),
    "nothing": (lambda: complex_(0) * meta(0), Cost()),
    "complex over real": (lambda: Z / R, Cost(div=20)),
    "over a number": (lambda: Z / 3, Cost(div=20)),
    "over a complex number": (lambda: Z / 3j, 10 * QUOTIENT),
    "real over complex": (lambda: R / Z, 10 * QUOTIENT),
    "complex over complex": (lambda: Z / Z, 10 * QUOTIENT),
    "over in place": (lambda: complex_(10).div_(R), Cost(div=20)),
    "over by name": (lambda: torch.true_divide(Z, R), Cost(div=20)),
    "reciprocal": (lambda: Z.reciprocal(), 10 * QUOTIENT),
    "plus a multiple": (lambda: torch.add(Z, Z, alpha=2), 10 * (SUM + SCALED)),
    "plus a complex multiple": (lambda: torch.sub(Z, Z, alpha=2j), 10 * (SUM + FULL)),
    "plus a complex multiple of a real number": (lambda: torch.add(Z, R, alpha=2j), 10 * (SUM + SCALED)),
    "plus a multiple of a real number": (lambda: torch.add(Z, R, alpha=2), 10 * (SUM + Cost(mul=1))),
    "plus a real number": (lambda: Z + R, 10 * SUM),
    "minus from": (lambda: torch.rsub(Z, R, alpha=2), 10 * (SUM + SCALED)),
    "minus a real number from": (lambda: torch.rsub(R, Z, alpha=2), 10 * (SUM + Cost(mul=1))),
    "plus a product": (lambda: torch.addcmul(Z, Z, Z), 10 * (SUM + FULL)),
    "plus a product with a real number": (lambda: torch.addcmul(Z, Z, R), 10 * (SUM + SCALED)),
    "plus a product of real numbers": (lambda: torch.addcmul(Z, R, R), 10 * (SUM + Cost(mul=1))),
    "plus a multiple of a product": (lambda: torch.addcmul(Z, Z, Z, value=2), 10 * (SUM + SCALED + FULL)),
    "plus a complex multiple of a product": (lambda: torch.addcmul(Z, R, R, value=2j), 10 * (SUM + 2 * SCALED)),
    "plus a quotient": (lambda: torch.addcdiv(Z, Z, Z), 10 * (SUM + QUOTIENT)),
    "plus a quotient by a real number": (lambda: torch.addcdiv(Z, Z, R), 10 * (SUM + Cost(div=2))),
    "plus a quotient of real numbers": (lambda: torch.addcdiv(Z, R, R), 10 * (SUM + Cost(div=1))),
    "plus a multiple of a quotient": (lambda: torch.addcdiv(Z, Z, R, value=2), 10 * (SUM + SCALED + Cost(div=2))),
    "plus a complex multiple of a quotient": (
        lambda: torch.addcdiv(Z, R, R, value=2j),
        10 * (SUM + SCALED + Cost(div=2)),
    ),
    "between": (lambda: torch.lerp(Z, Z, 0.5), 10 * (2 * SUM + SCALED)),
    "between by complex weights": (lambda: torch.lerp(Z, Z, Z), 10 * (2 * SUM + FULL)),
    "outer": (lambda: torch.outer(Z, R), 100 * SCALED),
    "ger": (lambda: torch.ger(Z, Z), 100 * FULL),
    "Kronecker": (lambda: torch.kron(R, MATRIX), 200 * SCALED),
    "times a power of two": (lambda: torch.ldexp(Z, WHOLE), 10 * SCALED),
    "dropout": (lambda: F.dropout(Z), 10 * SCALED),
    "dropout that drops nothing": (lambda: F.dropout(Z, 0.0), Cost()),
    "alpha dropout": (lambda: F.feature_alpha_dropout(MATRIX[None], training=True), 20 * (SCALED + SUM)),
    # pi z, its sine, a quotient
    "sinc": (lambda: Z.sinc(), 10 * (SCALED + Cost(special=1) + QUOTIENT)),
    # |x - y| <= atol + rtol |y|
    "close": (lambda: torch.isclose(Z, Z), 10 * (SUM + 2 * MAGNITUDE + Cost(mul=1, add=1, cmp=1))),
    "softsign, z / (1 + |z|)": (lambda: F.softsign(Z), 10 * (MAGNITUDE + Cost(add=1, div=2))),
}

LISTS: Cases = {
    "product": (lambda: torch._foreach_mul([Z, R, R], [R, Z, R]), 20 * SCALED + Cost(mul=10)),
    "product with a number": (lambda: torch._foreach_mul([Z, R], 2), 10 * SCALED + Cost(mul=10)),
    "product with numbers": (lambda: torch._foreach_mul([Z, Z], [2, 2j]), 10 * (SCALED + FULL)),
    "quotient": (lambda: torch._foreach_div([Z, Z], [R, Z]), Cost(div=20) + 10 * QUOTIENT),
    "in place": (lambda: torch._foreach_mul_([complex_(10)], [R]), 10 * SCALED),
    "sum": (lambda: torch._foreach_add([Z], [Z], alpha=2), 10 * (SUM + SCALED)),
    "plus a product": (
        lambda: torch._foreach_addcmul([Z, Z], [Z, Z], [R, Z], [1, 2.0]),
        10 * (2 * SUM + 2 * SCALED + FULL),
    ),
    "plus a quotient": (lambda: torch._foreach_addcdiv([Z], [Z], [R], value=2), 10 * (SUM + SCALED + Cost(div=2))),
    "between": (lambda: torch._foreach_lerp([Z], [Z], 0.5), 10 * (2 * SUM + SCALED)),
    "magnitude": (lambda: torch._foreach_abs([Z, R]), 10 * MAGNITUDE + Cost(cmp=10)),
    "norm": (lambda: torch._foreach_norm([Z]), Cost(mul=20, add=10 + 9, special=1)),
}

# 20 elements in 4 rows: 16 additions of pairs, or of real numbers
REDUCTIONS: Cases = {
    "mean": (lambda: MATRIX.mean(1), Cost(add=2 * 16, div=2 * 4)),
    # the mean; a difference, and the squares of both parts; a sum of real numbers, and its quotient
    "variance": (lambda: MATRIX.var(1), Cost(add=2 * 16 + 2 * 20 + 20 + 16, mul=2 * 20, div=2 * 4 + 4)),
    "deviation": (lambda: torch.std_mean(MATRIX, 1), Cost(add=2 * 16 + 60 + 16, mul=40, div=12, special=4)),
    "norm": (lambda: torch.linalg.vector_norm(MATRIX, dim=1), Cost(mul=2 * 20, add=20 + 16, special=4)),
    "norm of order 1": (lambda: torch.linalg.vector_norm(MATRIX, 1, dim=1), 20 * MAGNITUDE + Cost(add=16)),
    "norm of order 3": (lambda: MATRIX.norm(3, dim=1), 20 * (MAGNITUDE + Cost(special=1)) + Cost(add=16, special=4)),
    "largest magnitude": (lambda: torch.linalg.vector_norm(MATRIX, float("inf"), dim=1), 20 * MAGNITUDE + Cost(cmp=16)),
    "not 0": (lambda: torch.linalg.vector_norm(MATRIX, 0, dim=1), Cost(cmp=20, add=16)),
    "norm of nothing": (lambda: torch.linalg.vector_norm(complex_(0)), Cost()),
    "Frobenius norm": (lambda: torch.linalg.matrix_norm(MATRIX), Cost(mul=40, add=20 + 19, special=1)),
    "normalised": (lambda: F.normalize(MATRIX), Cost(mul=40, add=36, special=4, cmp=4, div=2 * 20)),
    # each row's norm, held against the largest; a sum, a quotient, and both parts of each element times it
    "renormalised": (lambda: torch.renorm(MATRIX, 2, 0, 1.0), Cost(mul=40 + 40, add=36 + 4, special=4, cmp=4, div=4)),
    "renormalised by order 1": (
        lambda: torch.renorm(MATRIX, 1, 0, 1.0),
        20 * MAGNITUDE + Cost(mul=40, add=16 + 4, cmp=4, div=4),
    ),
    "renormalised by the largest": (
        lambda: torch.renorm(MATRIX, float("inf"), 0, 1.0),
        20 * MAGNITUDE + Cost(mul=40, add=4, cmp=16 + 4, div=4),
    ),
    "renormalised by order 3": (
        lambda: torch.renorm(MATRIX, 3, 0, 1.0),
        20 * MAGNITUDE + Cost(mul=40, add=16 + 4, cmp=4, div=4, special=20 + 4),
    ),
    "distance": (lambda: torch.dist(Z, Z), 10 * SUM + Cost(mul=20, add=10 + 9, special=1)),
    "distance of order 1": (lambda: torch.dist(Z, Z, 1), 10 * (SUM + MAGNITUDE) + Cost(add=9)),
    "distance of order 3": (lambda: torch.dist(Z, Z, 3), 10 * (SUM + MAGNITUDE) + Cost(add=9, special=10 + 1)),
    "largest distance": (lambda: torch.dist(Z, Z, float("inf")), 10 * (SUM + MAGNITUDE) + Cost(cmp=9)),
    "absolute loss": (lambda: F.l1_loss(Z, Z), 10 * (SUM + MAGNITUDE) + Cost(add=9, div=1)),
    # z^2 is complex, and so is its mean: a square, a sum and a quotient of two, eps; then a root and a quotient
    "root mean square norm": (
        lambda: F.rms_norm(MATRIX, (5,)),
        20 * (FULL + QUOTIENT) + Cost(add=2 * 16 + 2 * 4, div=2 * 4, special=4),
    ),
    "root mean square norm with weights": (
        lambda: F.rms_norm(MATRIX, (5,), complex_(5)),
        20 * (2 * FULL + QUOTIENT) + Cost(add=2 * 16 + 2 * 4, div=2 * 4, special=4),
    ),
}

INDEX = meta(3, dtype=torch.int64)

PRODUCTS: Cases = {
    "addmm": (lambda: torch.addmm(SQUARE, MATRIX, MATRIX.t()), Cost(macs=4 * 80) + 16 * SUM),
    "addmm, real factors": (
        lambda: torch.addmm(SQUARE, MATRIX, MATRIX.t(), alpha=2, beta=3),
        Cost(macs=4 * 80) + 16 * (SUM + 2 * SCALED),
    ),
    "addmm, complex factors": (
        lambda: torch.addmm(SQUARE, MATRIX, MATRIX.t(), alpha=2j, beta=3j),
        Cost(macs=4 * 80) + 16 * (SUM + 2 * FULL),
    ),
    "addmm, no summand": (lambda: torch.addmm(SQUARE, MATRIX, MATRIX.t(), beta=0), Cost(macs=4 * 80)),
    "addmv": (lambda: torch.addmv(Z[:4], MATRIX, Z[:5], alpha=2), Cost(macs=4 * 20) + 4 * (SUM + SCALED)),
    "baddbmm": (
        lambda: torch.baddbmm(SQUARE[None], MATRIX[None], MATRIX.t()[None], beta=2),
        Cost(macs=4 * 80) + 16 * (SUM + SCALED),
    ),
    "addbmm": (
        lambda: torch.addbmm(SQUARE, MATRIX.expand(3, 4, 5), MATRIX.t().expand(3, 5, 4), alpha=2j),
        Cost(macs=4 * 3 * 80) + 16 * (SUM + FULL),
    ),
    "addr": (lambda: torch.addr(SQUARE, Z[:4], Z[:4], alpha=2), 16 * (SUM + SCALED + FULL)),
    "addr of a real vector": (lambda: torch.addr(SQUARE, Z[:4], R[:4]), 16 * (SUM + SCALED)),
    "index_add": (lambda: Z.index_add(0, INDEX, Z[:3]), 3 * SUM),
    "index_add of a multiple": (lambda: Z.index_add(0, INDEX, Z[:3], alpha=2), 3 * (SUM + SCALED)),
    "index_add of a complex multiple": (lambda: Z.index_add(0, INDEX, Z[:3], alpha=2j), 3 * (SUM + FULL)),
    "scattered product": (lambda: Z.scatter(0, INDEX, Z[:3], reduce="multiply"), 3 * FULL),
    "scattered mean": (lambda: Z.scatter_reduce(0, INDEX, Z[:3], "mean"), 3 * SUM + Cost(div=2 * 10)),
    "mean by index": (lambda: Z.index_reduce(0, INDEX, Z[:3], "mean"), 3 * SUM + Cost(div=2 * 10)),
}

LINALG: Cases = {
    # 4^3 / 3 = 21; of each pivot a sign and a product of signs, a logarithm of the magnitude and their sum
    "logarithm of a determinant": (
        lambda: torch.linalg.slogdet(SQUARE),
        Cost(macs=4 * 21) + 4 * (MAGNITUDE + Cost(div=2, cmp=1) + FULL + Cost(special=1)) + Cost(add=3),
    ),
    # V 4 x 4 scaled by the singular values
    "polar": (lambda: optional("linalg.polar")(SQUARE), Cost(macs=4 * 13 * 4**3) + 16 * SCALED),
    "square root": (
        lambda: optional("linalg.matrix_sqrth")(SQUARE),
        Cost(macs=4 * 352, special=4) + 16 * SCALED,  # 11 * 4^3 / 2 = 352
    ),
    # 5 x 4 as the larger side by the smaller: 7 * 5 * 16 + 4 * 64, and a product over 4
    "pseudoinverse": (lambda: torch.linalg.pinv(MATRIX), Cost(macs=4 * (816 + 80), div=4, cmp=4) + 20 * SCALED),
    "pseudoinverse of a Hermitian matrix": (
        lambda: torch.linalg.pinv(SQUARE, hermitian=True),
        Cost(macs=4 * (9 * 64 // 2 + 64), div=4, cmp=4) + 16 * SCALED,
    ),
}

CASES = {
    f"{kind}: {name}": case
    for kind, cases in {
        "pointwise": POINTWISE,
        "lists": LISTS,
        "reductions": REDUCTIONS,
        "products": PRODUCTS,
        "linalg": LINALG,
    }.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_the_tracers_agree(tracer: str) -> None:
    z, r = torch.randn(10, dtype=torch.complex64), torch.randn(10)
    cost = count_graph(lambda z, r: (z.abs() + z * r / r) * 2, (z, r), tracer=tracer)
    assert cost.total == 10 * (MAGNITUDE + 2 * SCALED + Cost(div=2) + SUM)
    assert cost.uncounted == {}


SPARSE = torch.eye(3, dtype=torch.complex64).to_sparse()  # 3 values


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: torch.sparse.addmm(x, SPARSE, x, alpha=2), Cost(macs=4 * 9) + 9 * (SUM + SCALED)),
        (lambda x: torch.addmm(x, SPARSE, x, beta=2j), Cost(macs=4 * 9) + 9 * (SUM + FULL)),
        # at the 3 places that are stored
        (lambda x: torch.sparse.sampled_addmm(SPARSE.to_sparse_csr(), x, x), Cost(macs=4 * 9) + 3 * SUM),
        (
            lambda x: torch.sparse.sampled_addmm(SPARSE.to_sparse_csr(), x, x, alpha=2, beta=3j),
            Cost(macs=4 * 9) + 3 * (SUM + SCALED + FULL),
        ),
    ],
)
def test_stored_values(call: Callable[[torch.Tensor], Any], expected: Cost) -> None:
    assert count_graph(call, torch.ones(3, 3, dtype=torch.complex64), tracer="executed").total == expected


def test_stored_values_of_a_sum_by_its_name() -> None:
    x = torch.ones(3, 3, dtype=torch.complex64)
    cost = formula_cost(aten._sparse_addmm.default, x, SPARSE, x, beta=1, alpha=2, out=x)
    assert cost == Cost(macs=4 * 9) + 9 * (SUM + SCALED)


def test_renormalised_rows_that_are_looked_up() -> None:
    """As of the 2 rows of 3 elements alone."""
    table, rows = complex_(7, 3), meta(2, dtype=torch.int64)
    cost = formula_cost(aten.embedding_renorm_.default, table, rows, 1.0, 2.0, out=table)
    assert cost == Cost(mul=12 + 12, add=6 + 4 + 2, special=2, cmp=2, div=2)


def test_a_dropout_with_its_mask_and_back() -> None:
    assert formula_cost(aten.native_dropout.default, Z, 0.5, True, out=(Z, Z)) == 10 * SCALED
    assert formula_cost(aten.native_dropout_backward.default, Z, Z, 2.0, out=Z) == 10 * SCALED
    assert formula_cost(aten._masked_scale.default, Z, Z, 2.0, out=Z) == 10 * SCALED


def test_products_from_left_to_right() -> None:
    assert product(R) == product() == Cost()
    assert product(R, R) == product(R, 2) == Cost(mul=1)
    assert product(Z, R) == product(R, Z) == product(R, 2j) == SCALED
    assert product(Z, Z) == product(Z, TWO) == FULL
    assert product(R, R, Z) == Cost(mul=1) + SCALED
    assert product(Z, R, Z) == SCALED + FULL


def test_quotients() -> None:
    assert quotient([R, R], 2) == Cost(div=1)
    assert quotient([R, Z], R) == Cost(div=2)
    assert quotient([R], Z) == quotient([Z], 2j) == QUOTIENT
