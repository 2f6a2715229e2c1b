"""Softmax, log-softmax and masked softmax along an axis, and their gradients."""

from fxcount.cost import Quantities
from fxcount.formulas.reductions import lines
from fxcount.formulas.registry import formula, formulas
from fxcount.formulas.tensor import Tensor


@formulas(
    {
        "cmp = elements - lines, add = 2 * elements - lines, special = elements, div = elements": (
            "softmax _softmax _safe_softmax"
        ),
        "cmp = elements - lines, add = 3 * elements - lines, special = elements + lines": "log_softmax _log_softmax",
    }
)
def softmax(x: Tensor, *, dim: int) -> Quantities:
    """Along each line of the axis: a softmax subtracts the maximum, takes the exponential, sums and divides, a
    log_softmax subtracts the logarithm of the sum instead of dividing."""
    return lines(x, dim)


@formulas(
    {
        "mul = 2 * elements, add = 2 * elements - lines": "_softmax_backward_data",
        "special = elements, mul = elements, add = 2 * elements - lines": "_log_softmax_backward_data",
    }
)
def softmax_backward(grad: Tensor, *, dim: int) -> Quantities:
    """Along each line: of a softmax y (g - sum of g y), of a log_softmax g - exp(y) (sum of g)."""
    return lines(grad, dim)


@formula(
    "_masked_softmax",
    "cmp = elements + elements - lines, add = 2 * elements - lines, special = elements, div = elements",
)
def masked_softmax(x: Tensor, mask: Tensor, dim: int | None) -> Quantities:
    """One selection per element, then a softmax along the axis, by default the last."""
    return lines(x, -1 if dim is None else dim)


@formula("_masked_softmax_backward", "mul = 2 * elements, add = 2 * elements - lines, cmp = elements")
def masked_softmax_backward(grad: Tensor, *, dim: int | None) -> Quantities:
    """As of a softmax, and a select per element."""
    return lines(grad, -1 if dim is None else dim)
