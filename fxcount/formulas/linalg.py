"""Linear algebra: the leading term of the LAPACK operation count, halved into multiply-accumulates.

A factorisation does about as many multiplications as additions, so half of its operations are multiply-accumulates.
Leading dimensions are a batch of matrices. The count is that of one matrix, a fraction rounded down, times the batch.
In a rectangular matrix m is the longer and n the shorter side: a wide matrix costs what its transpose costs. Terms of
lower order, the search for pivots among them, are left out. The sources, by the names used below:

- LAWN 41: Blackford, Dongarra, "Installation Guide for LAPACK", LAPACK Working Note 41, appendix on operation counts.
- Golub & Van Loan, "Matrix Computations", 4th edition: eigenvalues and singular values, whose iterations LAWN 41 does
  not count (its sections 7.5, 8.3 and 8.6), and least squares (section 5.5).
"""

from collections.abc import Sequence
from math import prod

from torch import sym_max, sym_min

from fxcount.cost import Quantities, Size
from fxcount.formulas.number_kinds import first_tensor
from fxcount.formulas.registry import formula, formulas, of_complex, refuse
from fxcount.formulas.tensor import Tensor


@formulas(
    {
        "macs = matrices * (n**3 // 6)": "linalg_cholesky_ex cholesky linalg_ldl_factor_ex",
        "macs = matrices * (n**3 // 3)": "cholesky_inverse",
        "macs = matrices * n**3": "linalg_inv_ex",
        "macs = matrices * (n**3 // 3), mul = matrices * n": "_linalg_det",
        "macs = matrices * (11 * n**3 // 2), mul = matrices * n**2, special = matrices * n": "linalg_matrix_sqrth",
        "macs = 5 * matrices * n**3": "linalg_matrix_exp",
    }
)
@of_complex(
    {
        "macs = 4 * matrices * (11 * n**3 // 2), mul = 2 * matrices * n**2, special = matrices * n": (
            "linalg_matrix_sqrth"  # the eigenvalues of a Hermitian matrix are real
        )
    }
)
def square(a: Tensor) -> Quantities:
    """Of n x n matrices, after LAWN 41: Cholesky (POTRF) and LDL (SYTRF) n^3/3 operations, the inverse from a Cholesky
    factor (POTRI) 2n^3/3, the inverse (GETRF and GETRI) 2n^3. A determinant is an LU factorisation (GETRF), 2n^3/3,
    then the product of the n pivots with the sign of the permutation.

    A square root is V sqrt(L) V^H: a symmetric eigenproblem with vectors, 9n^3 operations (Golub & Van Loan), n roots,
    V scaled by them, and a product. An exponential is the Taylor polynomial of degree 18 in its five matrix products
    (Bader, Blanes, Casas, "Computing the Matrix Exponential with an Optimized Taylor Polynomial Approximation", 2019);
    the squarings that a matrix of large norm takes besides depend on its values and are not in the count.
    """
    return {"matrices": prod(a.shape[:-2]), "n": a.shape[-1]}


@formula(
    "_linalg_slogdet",
    "macs = matrices * (n**3 // 3), mul = pivots, add = pivots - sums, cmp = 2 * pivots, special = pivots",
)
@of_complex(
    {
        "macs = 4 * matrices * (n**3 // 3), mul = 6 * pivots, add = 4 * pivots - sums, div = 2 * pivots, cmp = pivots, "
        "special = 2 * pivots": "_linalg_slogdet"
    }
)
def log_determinant(a: Tensor) -> Quantities:
    """An LU factorisation (GETRF of LAWN 41, 2n^3/3 operations); then the product of the signs of the pivots and of the
    permutation, and the sum of log |pivot|: a sign, a magnitude and a logarithm of each pivot. The sign of a complex
    number z is z / |z|."""
    matrices, n = prod(a.shape[:-2]), a.shape[-1]
    pivots = matrices * n
    return {"matrices": matrices, "n": n, "pivots": pivots, "sums": matrices if pivots else 0}


@formulas(
    {
        "macs = matrices * ((3 * m * n**2 - n**3) // 6)": "linalg_lu linalg_lu_factor_ex",
        "macs = matrices * ((3 * m * n**2 - n**3) // 3)": "geqrf",
        "macs = matrices * (8 * m * n**2 + 5 * n**3), mul = matrices * n**2": "linalg_polar",
    }
)
@of_complex({"macs = 4 * matrices * (8 * m * n**2 + 5 * n**3), mul = 2 * matrices * n**2": "linalg_polar"})
def rectangular(a: Tensor) -> dict[str, Size]:
    """LU (GETRF of LAWN 41): mn^2 - n^3/3 operations, with or without pivots. The R and the reflectors of QR (GEQRF):
    2mn^2 - 2n^3/3. The polar factors U = W V^H and H = V S V^H from a thin singular value decomposition W S V^H:
    14mn^2 + 8n^3 (Golub & Van Loan), then the products over n, V scaled by S."""
    *batch, rows, columns = a.shape
    return {"matrices": prod(batch), "m": sym_max(rows, columns), "n": sym_min(rows, columns)}  # type: ignore[dict-item]


@formula(
    "linalg_qr",
    "macs = matrices * ((3 * m * n**2 - n**3) // 3"
    " + formed * ((6 * rows * width * n - 3 * (rows + width) * n**2 + 2 * n**3) // 3))",
)
def qr(a: Tensor, *, mode: str, out: Sequence[Tensor]) -> Quantities:
    """R and n reflectors (GEQRF of LAWN 41), 2mn^2 - 2n^3/3 operations; unless only R is wanted, a Q of rows x width is
    formed from the reflectors (ORGQR), 4 rows width n - 2 (rows + width) n^2 + 4n^3/3: twice the work for a reduced Q.
    """
    return {**rectangular(a), "formed": int(mode != "r"), "rows": a.shape[-2], "width": out[0].shape[-1]}


@formula(
    "linalg_householder_product",
    "macs = matrices * ((6 * rows * width * k - 3 * (rows + width) * k**2 + 2 * k**3) // 3)",
)
def householder_product(a: Tensor, tau: Tensor) -> Quantities:
    """k reflectors become a matrix of rows x width with orthonormal columns (ORGQR of LAWN 41):
    4 rows width k - 2 (rows + width) k^2 + 4k^3/3 operations."""
    *batch, rows, width = a.shape
    return {"matrices": prod(batch), "rows": rows, "width": width, "k": tau.shape[-1]}


@formula("ormqr", "macs = k * (2 * outputs - k * lines)")
def reflect(a: Tensor, tau: Tensor, other: Tensor, left: bool, *, out: Tensor) -> Quantities:
    """k reflectors are applied to every line of a matrix, its columns from the left or its rows from the right (ORMQR
    of LAWN 41): 4qk - 2k^2 operations for a line of q."""
    lines = prod(out.shape[:-2]) * out.shape[-1 if left else -2]
    return {"k": tau.shape[-1], "outputs": out.numel(), "lines": lines}


@formula("_linalg_solve_ex", "macs = matrices * (n**3 // 3) + unknowns * n")
def solve(a: Tensor, *, out: Sequence[Tensor]) -> Quantities:
    """An LU factorisation of each matrix, 2n^3/3 operations, then 2n^2 for each right-hand side of n unknowns (GETRF
    and GETRS of LAWN 41)."""
    return {"matrices": prod(a.shape[:-2]), "n": a.shape[-1], "unknowns": first_tensor(out).numel()}


@formulas(
    {
        "macs = sides * n**2": "linalg_lu_solve linalg_ldl_solve cholesky_solve _cholesky_solve_helper",
        "macs = sides * (n**2 // 2)": "linalg_solve_triangular triangular_solve",
    }
)
def solve_factored(*, left: bool = True, out: Tensor | Sequence[Tensor]) -> Quantities:
    """For each right-hand side of n unknowns, the columns of the result or with ``left=False`` its rows: a triangular
    system, n^2 operations (TRSM of LAWN 41), also with a diagonal of ones; or two of them, 2n^2 (GETRS, SYTRS, POTRS).
    """
    solution = first_tensor(out)
    n = solution.shape[-2 if left else -1]
    return {"sides": solution.numel() // max(1, n), "n": n}


@formula(
    "linalg_lstsq",
    "macs = (1 - by_svd) * (matrices * ((3 * m * n**2 - n**3) // 3) + sides * ((4 * m * n - n**2) // 2))"
    " + by_svd * (matrices * (2 * m * n**2 + 4 * n**3) + sides * (m * n + n**2))",
)
def least_squares(a: Tensor, *, driver: str | None, out: Sequence[Tensor]) -> Quantities:
    """By QR (GEQRF and GEQRS of LAWN 41): 2mn^2 - 2n^3/3 operations, then for each right-hand side Q^T b and a
    triangular system, 4mn - n^2; the same for the driver with pivots. The drivers that return singular values, gelsd
    and gelss, decompose A = U S V^H, 4mn^2 + 8n^3 (Golub & Van Loan, least squares by Golub-Reinsch), and multiply
    each right-hand side with U^H and V, 2mn + 2n^2."""
    return {
        **rectangular(a),
        "sides": first_tensor(out).numel() // max(1, a.shape[-1]),
        "by_svd": int(driver in ("gelsd", "gelss")),
    }


@formulas(
    {
        "macs = matrices * (79 * n**3 // 6) * (1 + 3 * complex)": "linalg_eig",
        "macs = 5 * matrices * n**3 * (1 + 3 * complex)": "linalg_eigvals _linalg_eigvals",
    },
    complex_stated=True,
)
def eigen(a: Tensor) -> Quantities:
    """Golub & Van Loan: 10n^3 operations for the eigenvalues alone; 25n^3 for the Schur form and its vectors, from
    which the eigenvectors take n^3/3 (back substitution) and n^3 (a triangular product): 79n^3/3 in all, as the LAPACK
    Users' Guide counts GEEV. A real matrix has complex results, but its arithmetic is real."""
    return {"matrices": prod(a.shape[:-2]), "n": a.shape[-1], "complex": int(a.dtype.is_complex)}


@formula("_linalg_eigh linalg_eigvalsh", "macs = matrices * ((4 + 23 * vectors) * n**3 // 6)")
def symmetric_eigen(a: Tensor, *, compute_v: bool = False) -> Quantities:
    """The symmetric QR algorithm (Golub & Van Loan): 4n^3/3 operations for the eigenvalues alone, 9n^3 with vectors;
    torch itself takes the vectors along where it may need them."""
    return {"matrices": prod(a.shape[:-2]), "n": a.shape[-1], "vectors": int(compute_v)}


@formula(
    "_linalg_svd linalg_svdvals",
    "macs = matrices * (values * ((6 * m * n**2 - 2 * n**3) // 3) + thin * (7 * m * n**2 + 4 * n**3)"
    " + full * ((4 * m**2 * n + 8 * m * n**2 + 9 * n**3) // 2))",
)
def singular_values(a: Tensor, *, full_matrices: bool = False, compute_uv: bool = False) -> Quantities:
    """The Golub-Reinsch algorithm (Golub & Van Loan), whatever the driver: 4mn^2 - 4n^3/3 operations for the singular
    values alone, 14mn^2 + 8n^3 with n vectors on either side, 4m^2 n + 8mn^2 + 9n^3 with all m and n; torch itself
    takes the vectors along where it may need them."""
    return {
        **rectangular(a),
        "values": int(not compute_uv),
        "thin": int(compute_uv and not full_matrices),
        "full": int(compute_uv and full_matrices),
    }


@formula(
    "linalg_pinv",
    "macs = matrices * ((1 - hermitian) * (7 * m * n**2 + 4 * n**3) + hermitian * (9 * n**3 // 2) + m * n**2), "
    "mul = matrices * columns * n, div = matrices * n, cmp = matrices * n",
)
@of_complex(
    {
        "macs = 4 * matrices * ((1 - hermitian) * (7 * m * n**2 + 4 * n**3) + hermitian * (9 * n**3 // 2) + m * n**2), "
        "mul = 2 * matrices * columns * n, div = matrices * n, cmp = matrices * n": (
            "linalg_pinv"  # the values are real
        )
    }
)
def pseudoinverse(a: Tensor, *, hermitian: bool) -> Quantities:
    """V S^+ U^H from the thin singular value decomposition, 14mn^2 + 8n^3 operations, or from the eigenvectors of a
    Hermitian matrix, 9n^3 (Golub & Van Loan): each value is held against the tolerance and inverted, V is scaled by the
    inverses, and multiplied with U^H over n."""
    return {**rectangular(a), "columns": a.shape[-1], "hermitian": int(hermitian)}


@formula(
    "linalg_matrix_rank",
    "macs = matrices * ((1 - hermitian) * ((6 * m * n**2 - 2 * n**3) // 3) + hermitian * (2 * n**3 // 3)), "
    "cmp = matrices * n",
)
def rank(a: Tensor, *, hermitian: bool) -> Quantities:
    """How many singular values, 4mn^2 - 4n^3/3 operations, or eigenvalues of a Hermitian matrix, 4n^3/3 (Golub & Van
    Loan), are larger than the tolerance."""
    return {**rectangular(a), "hermitian": int(hermitian)}


@formula("_compute_linear_combination", "macs = outputs * terms")
def linear_combination(x: Tensor, coefficients: Tensor, *, out: Tensor) -> Quantities:
    """Every output is the sum of all terms, each times its coefficient."""
    return {"outputs": out.numel(), "terms": coefficients.shape[-1]}


@formula("linalg_vecdot", "macs = outputs * contracted")
def vector_products(x: Tensor, *, dim: int, out: Tensor) -> Quantities:
    """Every output is a sum of products over the axis ``dim``."""
    return {"outputs": out.numel(), "contracted": x.shape[dim]}


refuse(
    "_spsolve", "a sparse factorisation costs what its fill-in costs, and that depends on which elements are not zero"
)
