"""Softmax, log-softmax and masked softmax along an axis, and their gradients."""

from fxcount.cost import Quantities
from fxcount.formulas.reductions import lines
from fxcount.formulas.registry import formulas
from fxcount.formulas.tensor import Tensor


@formulas(
    {
        "cmp = elements - lines, add = 2 * elements - lines, special = elements, div = elements": (
            "softmax _softmax _safe_softmax _nested_tensor_softmax_with_shape"
        ),
        "cmp = elements - lines, add = 3 * elements - lines, special = elements + lines": "log_softmax _log_softmax",
        "cmp = elements + elements - lines, add = 2 * elements - lines, special = elements, div = elements": (
            "_masked_softmax"
        ),
    }
)
def softmax(x: Tensor, *, dim: int | None = None) -> Quantities:
    """Along each line of the axis, by default the last: a softmax subtracts the maximum, takes the exponential, sums
    and divides, a log_softmax subtracts the logarithm of the sum instead of dividing; a mask selects each element. The
    padding of nested tensors counts in full."""
    return lines(x, -1 if dim is None else dim)


@formulas(
    {
        "mul = 2 * elements, add = 2 * elements - lines": "_softmax_backward_data",
        "special = elements, mul = elements, add = 2 * elements - lines": "_log_softmax_backward_data",
        "mul = 2 * elements, add = 2 * elements - lines, cmp = elements": "_masked_softmax_backward",
    }
)
def softmax_backward(grad: Tensor, *, dim: int | None) -> Quantities:
    """Along each line: of a softmax y (g - sum of g y), of a log_softmax g - exp(y) (sum of g); a mask selects each
    element."""
    return lines(grad, -1 if dim is None else dim)
