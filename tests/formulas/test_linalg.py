"""Linear algebra against the operation counts of LAPACK Working Note 41 and of Golub & Van Loan, halved."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import linalg

from fxcount import Cost
from fxcount.formulas import FORMULAS, REFUSED, find_formula
from tests.costing import calls_of, cost_of
from tests.optional import optional

meta = partial(torch.empty, device="meta")
complex_ = partial(torch.empty, dtype=torch.complex64, device="meta")
aten = torch.ops.aten

PIVOTS = meta(5, dtype=torch.int32)

# Of one 5 x 5 matrix; 5^3 = 125, and a fraction is rounded down.
SQUARE: dict[str, tuple[Callable[[Any], Any], Cost]] = {
    "cholesky": (linalg.cholesky, Cost(macs=20)),  # n^3/3 operations: 125 / 6 = 20.8
    "cholesky_ex": (linalg.cholesky_ex, Cost(macs=20)),
    "ldl_factor": (linalg.ldl_factor, Cost(macs=20)),
    "ldl_factor_ex": (linalg.ldl_factor_ex, Cost(macs=20)),
    "cholesky_inverse": (torch.cholesky_inverse, Cost(macs=41)),  # 2n^3/3: 125 / 3 = 41.7
    "inv": (linalg.inv, Cost(macs=125)),  # 2n^3
    "inverse": (torch.inverse, Cost(macs=125)),
    "inv_ex": (linalg.inv_ex, Cost(macs=125)),
    "lu": (linalg.lu, Cost(macs=41)),  # 2n^3/3
    "lu_factor": (linalg.lu_factor, Cost(macs=41)),
    "lu_factor without pivots": (partial(linalg.lu_factor_ex, pivot=False), Cost(macs=41)),
    "det": (linalg.det, Cost(macs=41, mul=5)),  # 4 products of 5 pivots, 1 with the sign
    "slogdet": (linalg.slogdet, Cost(macs=41, mul=5, add=4, cmp=5 + 5, special=5)),  # cmp: signs and magnitudes
    # one comparison whether the sign is -1, and one selection
    "logdet": (torch.logdet, Cost(macs=41, mul=5, add=4, cmp=5 + 5 + 2, special=5)),
    "eig": (linalg.eig, Cost(macs=1645)),  # 79n^3/3: 79 * 125 / 6 = 1645.8
    "eigvals": (linalg.eigvals, Cost(macs=625)),  # 10n^3
    "_linalg_eigvals": (aten._linalg_eigvals, Cost(macs=625)),
    "eigh": (linalg.eigh, Cost(macs=562)),  # 9n^3: 562.5
    "eigvalsh": (linalg.eigvalsh, Cost(macs=83)),  # 4n^3/3: 83.3
    "matrix_exp": (linalg.matrix_exp, Cost(macs=5 * 125)),
    # eigenvectors and a product: 562.5 + 125; roots of 5 eigenvalues, which scale 5 columns of 5
    "matrix_sqrth": (optional("linalg.matrix_sqrth"), Cost(macs=687, mul=25, special=5)),
    "pinv of a Hermitian": (partial(linalg.pinv, hermitian=True), Cost(macs=562 + 125, mul=25, div=5, cmp=5)),
    "rank of a Hermitian": (partial(linalg.matrix_rank, hermitian=True), Cost(macs=83, cmp=5)),
    "fifth power": (lambda a: linalg.matrix_power(a, 5), Cost(macs=3 * 125)),  # a^2, a^4, a^5
}
if hasattr(aten, "cholesky"):  # not since torch 2.14
    SQUARE["cholesky, old"] = aten.cholesky, Cost(macs=20)


@pytest.mark.parametrize(("function", "expected"), SQUARE.values(), ids=SQUARE)
def test_square_matrices(function: Callable[[Any], Any], expected: Cost) -> None:
    assert cost_of(function, meta(5, 5)) == expected
    assert cost_of(function, torch.eye(5)) == expected
    assert cost_of(function, meta(5, 5).mT) == expected
    assert cost_of(function, meta(2, 3, 5, 5)) == 6 * expected


@pytest.mark.parametrize(("function", "expected"), SQUARE.values(), ids=SQUARE)
def test_empty_matrices(function: Callable[[Any], Any], expected: Cost) -> None:
    assert cost_of(function, meta(0, 5, 5)) == Cost()
    if function is not torch.logdet:  # which asks for the sign of the determinant of each
        assert cost_of(function, meta(3, 0, 0)) == Cost()


# 4 n^3 of a complex matrix for every n^3 of a real one; the results of eig are complex for both.
@pytest.mark.parametrize(
    ("function", "real"),
    [(linalg.cholesky, 20), (linalg.inv, 125), (linalg.eig, 1645), (linalg.eigvals, 625), (linalg.eigh, 562)],
)
def test_complex_matrices(function: Callable[[Any], Any], real: int) -> None:
    assert cost_of(function, complex_(5, 5)) == Cost(macs=4 * real)


# Of one 7 x 4 matrix: m n^2 = 7 * 16 = 112, n^3 = 64. Where two costs stand, the other is of the 4 x 7 matrix.
RECTANGULAR: dict[str, tuple[Callable[[Any], Any], Cost, Cost]] = {
    # mn^2 - n^3/3 operations: (112 - 64 / 3) / 2 = 45.3
    "lu": (linalg.lu, Cost(macs=45), Cost(macs=45)),
    "lu_factor": (linalg.lu_factor, Cost(macs=45), Cost(macs=45)),
    # R takes 2mn^2 - 2n^3/3: 112 - 64 / 3 = 90.7
    "qr, only r": (partial(linalg.qr, mode="r"), Cost(macs=90), Cost(macs=90)),
    # Q of 7 x 4 takes the same again; one of 4 x 4 takes 4n^3/3: 2 * 64 / 3 = 42.7
    "qr": (linalg.qr, Cost(macs=90 + 90), Cost(macs=90 + 42)),
    # Q of 7 x 7 takes 4 * 7 * 7 * 4 - 2 * (7 + 7) * 16 + 4 * 64 / 3 operations: 392 - 224 + 42.7 = 210.7
    "qr, complete": (partial(linalg.qr, mode="complete"), Cost(macs=90 + 210), Cost(macs=90 + 42)),
    # 14mn^2 + 8n^3; 4m^2 n + 8mn^2 + 9n^3; 4mn^2 - 4n^3/3: 224 - 42.7 = 181.3
    "svd": (partial(linalg.svd, full_matrices=False), Cost(macs=7 * 112 + 4 * 64), Cost(macs=7 * 112 + 4 * 64)),
    "svd, full": (linalg.svd, Cost(macs=2 * 196 + 4 * 112 + 288), Cost(macs=2 * 196 + 4 * 112 + 288)),
    "svd, old": (torch.svd, Cost(macs=7 * 112 + 4 * 64), Cost(macs=7 * 112 + 4 * 64)),
    "svdvals": (linalg.svdvals, Cost(macs=181), Cost(macs=181)),
    "nuclear norm": (lambda a: linalg.matrix_norm(a, "nuc"), Cost(macs=181, add=3), Cost(macs=181, add=3)),
    "spectral norm": (lambda a: linalg.matrix_norm(a, 2), Cost(macs=181, cmp=3), Cost(macs=181, cmp=3)),
    "condition": (linalg.cond, Cost(macs=181, div=1), Cost(macs=181, div=1)),
    # svd, then V S^+ U^H over n: 112; S is compared and inverted, V of 7 x 4 or 4 x 4 is scaled
    "pinv": (linalg.pinv, Cost(macs=1040 + 112, mul=16, div=4, cmp=4), Cost(macs=1040 + 112, mul=28, div=4, cmp=4)),
    "rank": (linalg.matrix_rank, Cost(macs=181, cmp=4), Cost(macs=181, cmp=4)),
    "pinverse": (torch.pinverse, Cost(macs=1152, mul=16, div=4, cmp=4), Cost(macs=1152, mul=28, div=4, cmp=4)),
}


@pytest.mark.parametrize(("function", "tall", "wide"), RECTANGULAR.values(), ids=RECTANGULAR)
def test_rectangular_matrices(function: Callable[[Any], Any], tall: Cost, wide: Cost) -> None:
    assert cost_of(function, meta(7, 4)) == tall
    assert cost_of(function, meta(4, 7)) == wide
    assert cost_of(function, meta(3, 7, 4)) == 3 * tall
    assert cost_of(function, meta(0, 7, 4)) == Cost()


@pytest.mark.parametrize(
    "function",
    [
        linalg.lu,
        linalg.qr,
        partial(linalg.qr, mode="complete"),
        linalg.svd,
        linalg.svdvals,
        linalg.pinv,
        optional("linalg.polar"),
    ],
)
def test_a_side_of_nothing(function: Callable[[Any], Any]) -> None:
    assert cost_of(function, meta(7, 0)) == Cost()


def test_polar_factors() -> None:
    # svd 7 * 112 + 4 * 64; U is a product over n of 7 x 4, H one of 4 x 4, with 4 x 4 scaled
    assert cost_of(optional("linalg.polar"), meta(2, 7, 4)) == 2 * Cost(macs=784 + 256 + 112 + 64, mul=16)


# 5 unknowns and 3 right-hand sides: LU takes 41, both triangles 25 for each side, one triangle 12.
SOLVED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int]] = {
    "solve": (linalg.solve, (meta(5, 5), meta(5, 3)), 41 + 3 * 25),
    "solve_ex": (linalg.solve_ex, (meta(5, 5), meta(5, 3)), 41 + 3 * 25),
    "a vector": (linalg.solve, (meta(5, 5), meta(5)), 41 + 25),
    "from the right": (partial(linalg.solve, left=False), (meta(5, 5), meta(3, 5)), 41 + 3 * 25),
    "a batch": (linalg.solve, (meta(2, 5, 5), meta(2, 5, 3)), 2 * (41 + 3 * 25)),
    "one matrix, many sides": (linalg.solve, (meta(5, 5), meta(6, 5, 3)), 41 + 6 * 3 * 25),
    "no sides": (linalg.solve, (meta(5, 5), meta(5, 0)), 41),
    "no unknowns": (linalg.solve, (meta(0, 0), meta(0, 3)), 0),
    "complex": (linalg.solve, (complex_(5, 5), complex_(5, 3)), 4 * (41 + 3 * 25)),
    "tensorsolve": (linalg.tensorsolve, (meta(2, 3, 6), meta(2, 3)), 72 + 36),  # 6 unknowns: 216 / 3, 6^2
    "tensorinv": (linalg.tensorinv, (meta(2, 3, 6),), 216),
    "lu_solve": (linalg.lu_solve, (meta(5, 5), PIVOTS, meta(5, 3)), 3 * 25),
    "lu_solve, right": (partial(linalg.lu_solve, left=False), (meta(5, 5), PIVOTS, meta(3, 5)), 3 * 25),
    "lu_solve, old": (aten.lu_solve, (meta(5, 3), meta(5, 5), PIVOTS), 3 * 25),
    "ldl_solve": (linalg.ldl_solve, (meta(5, 5), PIVOTS, meta(5, 3)), 3 * 25),
    "cholesky_solve": (torch.cholesky_solve, (meta(5, 3), meta(5, 5)), 3 * 25),
    "cholesky_solve, one matrix": (torch.cholesky_solve, (meta(2, 5, 3), meta(5, 5)), 2 * 3 * 25),
    "triangle": (partial(linalg.solve_triangular, upper=True), (meta(5, 5), meta(5, 3)), 3 * 12),
    "triangle, right": (partial(linalg.solve_triangular, upper=True, left=False), (meta(5, 5), meta(3, 5)), 3 * 12),
    "triangle, no unknowns": (partial(linalg.solve_triangular, upper=True), (meta(0, 0), meta(0, 3)), 0),
    "triangle, old": (aten.triangular_solve, (meta(5, 3), meta(5, 5)), 3 * 12),
}


@pytest.mark.parametrize(("solve", "args", "macs"), SOLVED.values(), ids=SOLVED)
def test_right_hand_sides(solve: Callable[..., Any], args: tuple[Any, ...], macs: int) -> None:
    assert cost_of(solve, *args) == Cost(macs=macs)


# 4 reflectors of 7. Q of 7 x 4: as above 90. A line of 7 takes 2 * 7 * 4 - 4 * 4 = 40.
REFLECTED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int]] = {
    "householder_product": (linalg.householder_product, (meta(7, 4), meta(4)), 90),
    "orgqr": (torch.orgqr, (meta(2, 7, 4), meta(2, 4)), 2 * 90),
    # 2 * 7 * 4 * 3 - (7 + 4) * 9 + 2 * 27 / 3 = 168 - 99 + 18
    "fewer reflectors": (linalg.householder_product, (meta(7, 4), meta(3)), 87),
    "from the left": (torch.ormqr, (meta(7, 4), meta(4), meta(7, 3)), 3 * 40),
    "from the right": (torch.ormqr, (meta(7, 4), meta(4), meta(3, 7), False), 3 * 40),
    "a batch": (torch.ormqr, (meta(2, 7, 4), meta(2, 4), meta(2, 7, 3)), 2 * 3 * 40),
    "no reflectors": (torch.ormqr, (meta(7, 0), meta(0), meta(7, 3)), 0),
}


@pytest.mark.parametrize(("reflect", "args", "macs"), REFLECTED.values(), ids=REFLECTED)
def test_reflectors(reflect: Callable[..., Any], args: tuple[Any, ...], macs: int) -> None:
    assert cost_of(reflect, *args) == Cost(macs=macs)


# QR of 7 x 4 takes 90, and each side 2 * 7 * 4 - 4 * 4 / 2 = 48. By singular values: 2 * 112 + 4 * 64 = 480 and
# 7 * 4 + 4 * 4 = 44.
@pytest.mark.parametrize(
    ("matrix", "sides", "solution", "driver", "macs"),
    [
        ((7, 4), (7, 2), (4, 2), None, 90 + 2 * 48),
        ((4, 7), (4, 2), (7, 2), None, 90 + 2 * 48),
        ((7, 4), (7,), (4,), "gelsy", 90 + 48),
        ((3, 7, 4), (3, 7, 2), (3, 4, 2), "gels", 3 * (90 + 2 * 48)),
        ((7, 4), (7, 2), (4, 2), "gelsd", 480 + 2 * 44),
        ((7, 4), (7, 2), (4, 2), "gelss", 480 + 2 * 44),
        ((7, 0), (7, 2), (0, 2), None, 0),
    ],
)
def test_least_squares(matrix: Any, sides: Any, solution: Any, driver: str | None, macs: int) -> None:
    formula = find_formula(aten.linalg_lstsq.default)
    assert formula is not None
    out = (meta(*solution), meta(0), meta(()), meta(0))
    assert formula((meta(*matrix), meta(*sides)), {"driver": driver}, out).cost == Cost(macs=macs)


def test_operators_without_a_shape_function() -> None:
    reflectors = find_formula(aten.geqrf.default)
    assert reflectors is not None
    assert reflectors((meta(2, 7, 4),), {}, (meta(2, 7, 4), meta(2, 4))).cost == Cost(macs=2 * 90)
    combination = find_formula(aten._compute_linear_combination.default)
    assert combination is not None
    # 3 combinations of 4 terms of 5 x 5
    assert combination((meta(4, 5, 5), meta(3, 4)), {}, meta(3, 5, 5)).cost == Cost(macs=3 * 25 * 4)


@pytest.mark.parametrize(
    ("function", "a", "out", "expected"),
    [
        (linalg.inv, meta(5, 5), meta(5, 5), Cost(macs=125)),
        (linalg.det, meta(5, 5), meta(()), Cost(macs=41, mul=5)),
        (linalg.eigvals, meta(5, 5), complex_(5), Cost(macs=625)),
        (linalg.svdvals, meta(7, 4), meta(4), Cost(macs=181)),
        (linalg.qr, meta(7, 4), (meta(7, 4), meta(4, 4)), Cost(macs=180)),
    ],
)
def test_results_may_be_given(function: Callable[..., Any], a: Any, out: Any, expected: Cost) -> None:
    assert cost_of(function, a, out=out) == expected


def test_dot_products_of_vectors_are_contractions() -> None:
    assert cost_of(linalg.vecdot, meta(2, 5, 3), meta(2, 5, 3)) == Cost(macs=30)
    assert cost_of(linalg.vecdot, meta(2, 5, 3), meta(1, 5, 3), dim=1) == Cost(macs=30)
    assert cost_of(linalg.vecdot, complex_(5, 3), complex_(5, 3)) == Cost(macs=4 * 15)


def test_the_old_cholesky_is_the_same() -> None:
    """Also where torch has no such operator any more."""
    assert FORMULAS["aten.cholesky"] is FORMULAS["aten.linalg_cholesky_ex"]


def test_a_sparse_factorisation_is_refused() -> None:
    assert "fill-in" in REFUSED["aten._spsolve"]


def test_unpacking_is_free() -> None:
    assert cost_of(torch.lu_unpack, meta(5, 5), PIVOTS) == Cost()


def test_a_check_of_the_result_is_free() -> None:
    assert [(call.name, call.cost) for call in calls_of(linalg.inv, meta(5, 5))] == [
        ("aten.linalg_inv_ex", Cost(macs=125)),
        ("aten._linalg_check_errors", Cost()),
    ]
