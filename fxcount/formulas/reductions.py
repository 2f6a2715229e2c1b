"""Reductions: elements come down to fewer results. Without elements there is nothing to reduce and nothing to pay."""

from __future__ import annotations

from typing import Any

from fxcount.formulas.arithmetic import first_tensor
from fxcount.formulas.formula import Quantities
from fxcount.formulas.registry import formula, formulas

REDUCTIONS = {
    "add = elements - results": "sum trace",
    "cmp = elements, add = elements - results": "nansum",
    "add = elements - results, div = results": "mean",
    "mul = elements - results": "prod",
    "cmp = elements - results": "amax amin argmax argmin any all",
    "cmp = 2 * (elements - results)": "aminmax",
    "cmp = elements": "count_nonzero",
    "add = 3 * elements - 2 * results, mul = elements, div = 2 * results": "var var_mean",
    "add = 3 * elements - 2 * results, mul = elements, div = 2 * results, special = results": "std std_mean",
    "cmp = elements - results, add = 2 * elements, special = elements + results": "logsumexp",
}


def reduced(x: Any, out: Any) -> Quantities:
    """How many elements come down to how many results."""
    elements = x.numel()
    return {"elements": elements, "results": first_tensor(out).numel() if elements else 0}


@formulas(REDUCTIONS)
def reduction(x: Any, *, out: Any) -> Quantities:
    """The operator's definition in the PyTorch documentation over the elements of each result. A variance takes the
    mean first: a sum and a division; then a subtraction, a square and an addition per element, and a division."""
    return reduced(x, out)


@formula("max min", "cmp = comparisons")
def extremum(x: Any, *, other: Any = None, out: Any) -> Quantities:
    """Of one tensor the reduction, elements - results comparisons; of two the larger or smaller, one per output."""
    if other is not None:
        return {"comparisons": out.numel()}
    quantities = reduced(x, out)
    return {"comparisons": quantities["elements"] - quantities["results"]}


def _lines(x: Any, dim: int | None) -> Quantities:
    """The elements, and the lines along ``dim`` that they make up."""
    length = x.shape[dim] if x.dim() and dim is not None else x.numel() if dim is None else 1
    return {"elements": x.numel(), "lines": x.numel() // max(1, length), "length": length}


@formulas(
    {
        "cmp = elements - lines, add = 2 * elements - lines, special = elements, div = elements": (
            "softmax _softmax _safe_softmax"
        ),
        "cmp = elements - lines, add = 3 * elements - lines, special = elements + lines": "log_softmax _log_softmax",
        "add = elements - lines": "cumsum",
        "mul = elements - lines": "cumprod",
        "cmp = elements - lines": "cummax cummin _cummax_helper _cummin_helper",
        "special = 3 * (elements - lines), add = elements - lines": "logcumsumexp _logcumsumexp",
    }
)
def along_an_axis(x: Any, *, dim: int) -> Quantities:
    """Along each line of the axis: a softmax subtracts the maximum, takes the exponential, sums and divides, a
    log_softmax subtracts the logarithm of the sum instead of dividing; a running reduction takes one step per element
    but the first."""
    return _lines(x, dim)


@formulas({"cmp = elements * ceil_log2(length)": "sort topk kthvalue mode"})
def selection(x: Any, *, dim: int | None = -1) -> Quantities:
    """An order by comparison: ceil(log2 n) comparisons for each of the n elements of a line."""
    return _lines(x, dim)


@formulas({"cmp = elements * ceil_log2(length)": "median nanmedian"})
def median(x: Any, *, dim: int | None = None) -> Quantities:
    """An order by comparison: ceil(log2 n) comparisons for each of the n elements of a line."""
    return _lines(x, dim)


NORM = "mul = squares, cmp = magnitudes, add = summed, special = powers"


@formula("linalg_vector_norm norm", NORM)
def vector_norm(x: Any, order: Any = None, *, out: Any) -> Quantities:
    """(sum |x|^p)^(1/p): for p = 2 the root of the sum of squares; for 1 the sum of magnitudes; for 0 the number of
    elements that are not 0; for an infinite p the largest or smallest magnitude; else |x|^p is a special function."""
    elements, results = reduced(x, out).values()
    fewer = elements - results
    p = 2.0 if order is None or isinstance(order, str) else float(order)
    if p == 2:
        return {"squares": elements, "magnitudes": 0, "summed": fewer, "powers": results}
    if p in (0, 1):
        return {"squares": 0, "magnitudes": elements, "summed": fewer, "powers": 0}
    if abs(p) == float("inf"):
        return {"squares": 0, "magnitudes": elements + fewer, "summed": 0, "powers": 0}
    return {"squares": 0, "magnitudes": elements, "summed": fewer, "powers": elements + results}
