"""Reductions: elements come down to fewer results, also step by step along an axis, in an order or to a norm.

Without elements there is nothing to reduce and nothing to pay.
"""

from fxcount.cost import Quantities, Size
from fxcount.formulas.number_kinds import first_tensor
from fxcount.formulas.registry import formula, formulas, of_complex
from fxcount.formulas.tensor import Tensor

REDUCTIONS = {
    "add = elements - results": "sum",
    "cmp = elements, add = elements - results": "nansum",
    "add = elements - results, div = results": "mean",
    "mul = elements - results": "prod",
    "cmp = elements - results": "amax amin argmax argmin any all _is_all_true _is_any_true",
    "cmp = 2 * (elements - results)": "aminmax _aminmax",
    "cmp = elements": "count_nonzero",
    "add = 3 * elements - 2 * results, mul = elements, div = 2 * results": "var var_mean",
    "add = 3 * elements - 2 * results, mul = elements, div = 2 * results, special = results": "std std_mean",
    "cmp = elements - results, add = 2 * elements, special = elements + results": "logsumexp",
}


REDUCTIONS_OF_COMPLEX = {
    # the number of elements is real
    "add = 2 * (elements - results), div = 2 * results": "mean",
    # so is the square of a magnitude, of which both parts have one
    "add = 6 * elements - 3 * results, mul = 2 * elements, div = 3 * results": "var var_mean",
    "add = 6 * elements - 3 * results, mul = 2 * elements, div = 3 * results, special = results": "std std_mean",
}


def lines(x: Tensor, dim: int | None) -> Quantities:
    """The elements, and the lines along ``dim`` that they make up; without an axis all are one line."""
    length: Size = x.shape[dim] if x.dim() and dim is not None else x.numel() if dim is None else 1
    return {"elements": x.numel(), "lines": x.numel() // max(1, length), "length": length}


@formulas(REDUCTIONS)
@of_complex(REDUCTIONS_OF_COMPLEX)
def reduction(x: Tensor, *, out: object) -> Quantities:
    """The operator's definition in the PyTorch documentation over the elements of each result. A variance takes the
    mean first: a sum and a division; then a subtraction, a square and an addition per element, and a division."""
    elements = x.numel()
    return {"elements": elements, "results": first_tensor(out).numel() if elements else 0}


@formula("trace", "add = diagonal - sums")
def trace(x: Tensor) -> Quantities:
    """The sum of the diagonal."""
    diagonal = min(x.shape)
    return {"diagonal": diagonal, "sums": min(diagonal, 1)}


@formula("max min", "cmp = comparisons")
def extremum(x: Tensor, *, other: Tensor | None = None, out: object) -> Quantities:
    """Of one tensor the reduction, elements - results comparisons; of two the larger or smaller, one per output."""
    if other is not None:
        return {"comparisons": first_tensor(out).numel()}
    quantities = reduction(x, out=out)
    return {"comparisons": quantities["elements"] - quantities["results"]}


@formulas(
    {
        "add = elements - lines": "cumsum",
        "mul = elements - lines": "cumprod",
        "cmp = elements - lines": (
            "cummax cummin _cummax_helper _cummin_helper unique_consecutive unique_dim_consecutive"
        ),
        "special = 3 * (elements - lines), add = elements - lines": "logcumsumexp _logcumsumexp",
    }
)
def cumulative_reduction(x: Tensor, *, dim: int | None) -> Quantities:
    """One step per element but the first of each line; the same for a comparison with the element before."""
    return lines(x, dim)


@formula("cumprod_backward", "mul = elements, add = elements - lines, div = elements")
def cumulative_product_backward(grad: Tensor, *, dim: int) -> Quantities:
    """The cumulative sum of g y from the end of each line, divided by x."""
    return lines(grad, dim)


@formula("sort topk kthvalue mode unique_dim median nanmedian _unique _unique2", "cmp = elements * ceil_log2(length)")
def sort(x: Tensor, *, dim: int | None = None) -> Quantities:
    """An order by comparison: ceil(log2 n) comparisons for each of the n elements of a line. An operator that takes no
    axis has all elements in one line."""
    return lines(x, dim)


Order = float | str | None
"""The p of a norm; by name, or without one, it is 2."""

NORM = "mul = squares, cmp = magnitudes + compared, add = summed, special = powers + roots"

NORM_OF_COMPLEX = (
    "mul = 2 * (squares + magnitudes), cmp = compared, add = squares + magnitudes + summed, "
    "special = magnitudes + powers + roots"
)
"""The square of a magnitude is the sum of the squares of both parts, and the magnitude its root."""


def norm_quantities(elements: Size, results: Size, order: Order) -> dict[str, Size]:
    """The quantities of ``NORM`` for elements that come down to results."""
    results = results if elements else 0
    fewer = elements - results
    p = 2.0 if order is None or isinstance(order, str) else float(order)
    quantities = {"squares": 0, "magnitudes": elements, "compared": 0, "summed": fewer, "powers": 0, "roots": 0}
    if p == 2:
        return {**quantities, "squares": elements, "magnitudes": 0, "roots": results}
    if p == 1:
        return quantities
    if p == 0:
        return {**quantities, "magnitudes": 0, "compared": elements}
    if abs(p) == float("inf"):
        return {**quantities, "compared": fewer, "summed": 0}
    return {**quantities, "powers": elements, "roots": results}


@formula("linalg_vector_norm norm native_norm", NORM)
@of_complex({NORM_OF_COMPLEX: "linalg_vector_norm norm native_norm"})
def vector_norm(x: Tensor, order: Order = None, *, out: object) -> Quantities:
    """(sum |x|^p)^(1/p): for p = 2 the root of the sum of squares; for 1 the sum of magnitudes; for 0 the number of
    elements that are not 0; for an infinite p the largest or smallest magnitude; else |x|^p is a special function."""
    return norm_quantities(x.numel(), first_tensor(out).numel(), order)


@formula("linalg__powsum powsum", NORM)
@of_complex({NORM_OF_COMPLEX: "linalg__powsum powsum"})
def power_sum(x: Tensor, order: Order, *, out: Tensor) -> Quantities:
    """sum |x|^p: a vector norm without its root."""
    return {**norm_quantities(x.numel(), out.numel(), order), "roots": 0}


RENORM = (
    "mul = squares + scaled, cmp = magnitudes + compared + norms, add = summed + norms, div = norms, "
    "special = powers + roots"
)
RENORM_OF_COMPLEX = (
    "mul = 2 * (squares + magnitudes + scaled), cmp = compared + norms, add = squares + magnitudes + summed + norms, "
    "div = norms, special = magnitudes + powers + roots"
)
"""Where a norm is larger than it may be, its elements are scaled by maxnorm / (norm + eps). Which are is not known
from shapes: all count."""


@formula("renorm", RENORM)
@of_complex({RENORM_OF_COMPLEX: "renorm"})
def renorm(x: Tensor, p: float, dim: int) -> Quantities:
    """The vector norm of every slice along ``dim`` is held against its maximum, and the slice scaled."""
    elements = x.numel()
    norms = x.shape[dim] if elements else 0
    return {"scaled": elements, "norms": norms, **norm_quantities(elements, norms, p)}


@formula("embedding_renorm", RENORM)
@of_complex({RENORM_OF_COMPLEX: "embedding_renorm"})
def embedding_renorm(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Quantities:
    """As ``renorm`` for every row that is looked up; one that is looked up again counts again."""
    elements = indices.numel() * weight.shape[-1]
    norms = indices.numel() if elements else 0
    return {"scaled": elements, "norms": norms, **norm_quantities(elements, norms, norm_type)}
