"""What convolutions and matrix products have in common: every output is a sum of products over a contracted axis."""

from fxcount.cost import Size, total_cost
from fxcount.formulas.number_kinds import product
from fxcount.formulas.tensor import Tensor

GRADIENTS = "macs = products * gradients, add = summed"
"""products is what the forward operator costs, gradients how many of its two operands need one; the gradient of a bias
is the sum of the output's gradient over everything but the channels."""


def bias_additions(bias: Tensor | None, out: Tensor) -> Size:
    """A bias is one addition per output element."""
    return 0 if bias is None else out.numel()


def scaled_sum(beta: complex, alpha: complex, outputs: Size) -> dict[str, Size]:
    """beta x + alpha y for every output: a beta of 0 drops x, and a factor of 1 is not multiplied with."""
    return {"outputs": outputs, "added": int(beta != 0), "scales": int(beta not in (0, 1)) + int(alpha != 1)}


COMPLEX_SUM = "add = outputs * (2 * added + additions), mul = outputs * multiplications"
"""A sum of complex numbers, as ``complex_scaled_sum`` measures it."""


def complex_scaled_sum(beta: complex, alpha: complex, outputs: Size) -> dict[str, Size]:
    """``scaled_sum`` of complex numbers, each of which is 2 multiplications with a real factor."""
    scales = [beta] * (beta not in (0, 1)) + [alpha] * (alpha != 1)
    cost = total_cost(product(scale, 1j) for scale in scales)
    return {"outputs": outputs, "added": int(beta != 0), "multiplications": cost.mul, "additions": cost.add}


def additions_over_rows(grad: Tensor, channels: Size) -> Size:
    """The additions that sum ``grad`` down to one value per channel."""
    return grad.numel() - channels if grad.numel() else 0
