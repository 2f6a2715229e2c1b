"""What convolutions and matrix products have in common: every output is a sum of products over a contracted axis."""

from fxcount.cost import Size
from fxcount.formulas.tensor import Tensor

GRADIENTS = "macs = products * gradients, add = summed"
"""products is what the forward operator costs, gradients how many of its two operands need one; the gradient of a bias
is the sum of the output's gradient over everything but the channels."""


def bias_additions(bias: Tensor | None, out: Tensor) -> Size:
    """A bias is one addition per output element."""
    return 0 if bias is None else out.numel()


def additions_over_rows(grad: Tensor, channels: Size) -> Size:
    """The additions that sum ``grad`` down to one value per channel."""
    return grad.numel() - channels if grad.numel() else 0
