"""Loss functions: a loss per element or example, then its sum or mean; and their gradients.

The equations are those in the documentation of ``torch.nn``. Losses that are not here (cross entropy, KL divergence,
L1, hinge, triplet and so on) are made of the same operators on every device, and cost what those cost.
"""

from math import prod

import torch

from fxcount.cost import Quantities, Size
from fxcount.formulas.registry import formula, formulas
from fxcount.formulas.tensor import Tensor


def _reduced(losses: Size, reduction: int) -> dict[str, Size]:
    """A sum of n losses takes n - 1 additions, a mean a division besides; ``reduction`` is 0 for none, 1 for the mean,
    2 for the sum."""
    reducing = int(reduction != 0 and losses != 0)
    return {"summed": reducing * (losses - 1), "averaged": int(reducing and reduction == 1)}


def _elementwise(x: Tensor, target: Tensor, reduction: int) -> dict[str, Size]:
    elements = prod(torch.broadcast_shapes(x.shape, target.shape))
    return {"elements": elements, **_reduced(elements, reduction)}


@formulas(
    {
        # (x - y)^2
        "add = elements + summed, mul = elements, div = averaged": "mse_loss",
        # 0.5 (x - y)^2 where |x - y| < delta, else delta (|x - y| - 0.5 delta)
        "cmp = 2 * elements, add = 2 * elements + summed, mul = 3 * elements, div = averaged": "huber_loss",
        # log(1 + exp(-y x))
        "cmp = elements, mul = elements, special = 2 * elements, add = elements + summed, div = averaged": (
            "soft_margin_loss"
        ),
    }
)
def elementwise_loss(x: Tensor, target: Tensor, *, reduction: int) -> Quantities:
    """The loss's definition in the PyTorch documentation, both of its branches for every element, then the sum or
    mean. Half of delta is one number for the whole call."""
    return _elementwise(x, target, reduction)


@formula(
    "smooth_l1_loss",
    "cmp = elements + curved, add = elements + curved + summed, mul = 2 * curved, div = curved + averaged",
)
def smooth_l1_loss(x: Tensor, target: Tensor, *, reduction: int, beta: float) -> Quantities:
    """0.5 (x - y)^2 / beta where |x - y| < beta, else |x - y| - 0.5 beta; for a beta of 0 this is |x - y|, the L1
    loss."""
    quantities = _elementwise(x, target, reduction)
    return {**quantities, "curved": quantities["elements"] if beta != 0 else 0}


@formula(
    "binary_cross_entropy",
    "cmp = 3 * elements, add = 3 * elements + summed, mul = elements * (2 + weighted), special = 2 * elements, "
    "div = averaged",
)
def binary_cross_entropy(x: Tensor, target: Tensor, weight: Tensor | None, *, reduction: int) -> Quantities:
    """-w (y log x + (1 - y) log(1 - x)), both logarithms at least -100."""
    return {**_elementwise(x, target, reduction), "weighted": int(weight is not None)}


@formula(
    "binary_cross_entropy_with_logits",
    "cmp = elements, add = 4 * elements + summed, mul = elements * (2 + weighted + positive), "
    "special = 3 * elements, div = elements + averaged",
)
def binary_cross_entropy_with_logits(
    x: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None, *, reduction: int
) -> Quantities:
    """-w (p y log sigmoid(x) + (1 - y) log(1 - sigmoid(x))): a sigmoid is a special function, an addition and a
    division."""
    return {
        **_elementwise(x, target, reduction),
        "weighted": int(weight is not None),
        "positive": int(pos_weight is not None),
    }


@formula(
    "nll_loss_forward nll_loss2d_forward",
    "cmp = losses, mul = losses * weighted, add = summed * (1 + averaged * weighted), div = averaged",
)
def negative_log_likelihood(x: Tensor, target: Tensor, weight: Tensor | None, *, reduction: int) -> Quantities:
    """-w_y x_y for each target; a mean divides by the sum of the weights w_y, or without weights by the number of
    targets. Ignored targets count in full."""
    losses = target.numel()
    return {"losses": losses, "weighted": int(weight is not None), **_reduced(losses, reduction)}


@formula(
    "torch_nn._linear_cross_entropy_batch_chunked torch_nn._linear_cross_entropy_batch_chunked_no_reduction",
    "macs = logits * features, mul = weighted, add = biases + 3 * logits - rows + summed, "
    "cmp = logits - rows + negated, special = logits + rows, div = averaged",
)
def linear_cross_entropy(
    x: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    linear_bias: Tensor | None,
    weight: Tensor | None,
    *,
    reduction: str = "none",
) -> Quantities:
    """A linear layer, a log_softmax of each row, and -w_y x_y for each target as in ``nll_loss``, or for targets that
    are probabilities -sum(w y x), whatever the chunks. The gradients that the call takes along, where an operand
    requires one, are work of the backward pass."""
    rows, features = x.shape
    logits, weights = rows * linear_weight.shape[0], int(weight is not None)
    if target.dtype.is_floating_point:
        weighted, negated = logits * (1 + weights), 1
        reduced = {"summed": max(0, logits - 1), "averaged": int(reduction == "mean")}
    else:
        weighted, negated = rows * weights, rows
        reduced = _reduced(rows, ("none", "mean", "sum").index(reduction))
        reduced["summed"] *= 1 + weights * reduced["averaged"]
    biases = 0 if linear_bias is None else logits
    sizes = {"logits": logits, "features": features, "rows": rows, "biases": biases}
    return {**sizes, "weighted": weighted, "negated": negated, **reduced}


@formula(
    "multi_margin_loss",
    "cmp = margins, add = 2 * margins + summed, mul = margins * (squared + weighted), div = losses + averaged",
)
def multi_margin_loss(x: Tensor, target: Tensor, p: float, *, weight: Tensor | None, reduction: int) -> Quantities:
    """sum over i other than y of w_y max(0, margin - x_y + x_i)^p, divided by the number of classes; p is 1 or 2. Per
    example one subtraction in margin - x_y, and in the sum one addition less than there are terms: together with + x_i
    two additions per term."""
    losses = target.numel()
    return {
        "losses": losses,
        "margins": x.numel() - losses,
        "squared": int(p == 2),
        "weighted": int(weight is not None),
        **_reduced(losses, reduction),
    }


@formula("multilabel_margin_loss_forward", "cmp = pairs, add = 3 * pairs - losses + summed, div = losses + averaged")
def multilabel_margin_loss(x: Tensor, *, reduction: int) -> Quantities:
    """sum over i and j of max(0, 1 - (x_{y_j} - x_i)), divided by the number of classes. How many of the classes are
    targets is data: all pairs of classes count."""
    classes = x.shape[-1] if x.dim() else 1
    losses = x.numel() // max(1, classes)
    return {"losses": losses, "pairs": losses * classes**2, **_reduced(losses, reduction)}


CTC = (
    "cmp = 2 * updates + 2 * losses + replaced, add = 7 * updates + 4 * losses + summed, "
    "special = 4 * updates + 3 * losses, div = normalized + averaged"
)
"""The forward algorithm of Graves et al. 2006, Connectionist Temporal Classification, in log space, over T steps and
the 2 S + 1 states of a target of length S with blanks around its labels:

    alpha_t(s) = logsumexp(alpha_{t-1}(s), alpha_{t-1}(s-1), alpha_{t-1}(s-2)) + log p_t(s)
    loss = -logsumexp(alpha_T(2S), alpha_T(2S + 1))

Every state is updated T - 1 times, from three states where fewer are allowed too. A logsumexp of n is n - 1
comparisons, 2 n additions and n + 1 special functions."""


@formula("_ctc_loss _cudnn_ctc_loss miopen_ctc_loss", CTC)
def ctc_losses(log_probs: Tensor, targets: Tensor) -> dict[str, Size]:
    """The loss of each example. Targets are [N, S] or all in one line: either way their elements are the labels of all
    examples. Input and target lengths are data: every example counts as the longest."""
    losses = log_probs.shape[1] if log_probs.dim() == 3 else 1
    states = 2 * targets.numel() + losses
    return {
        "updates": (log_probs.shape[0] - 1) * states,
        "losses": losses,
        "replaced": 0,
        "normalized": 0,
        **_reduced(losses, 0),
    }


@formula("ctc_loss", CTC)
def ctc_loss(log_probs: Tensor, targets: Tensor, *, reduction: int, zero_infinity: bool) -> Quantities:
    """As ``_ctc_loss``; a mean divides each loss by its target's length first, and infinite losses may be replaced
    by 0."""
    quantities = ctc_losses(log_probs, targets)
    losses = quantities["losses"]
    return {
        **quantities,
        "replaced": losses if zero_infinity else 0,
        "normalized": losses if reduction == 1 else 0,
        **_reduced(losses, reduction),
    }


ELEMENTWISE_GRADIENTS = {
    # 2 (x - y) g
    "add = elements, mul = 2 * elements, div = averaged": "mse_loss_backward",
    # (x - y) / beta g between two bounds, else g or -g
    "add = elements, cmp = 2 * elements, mul = elements, div = elements + averaged": "smooth_l1_loss_backward",
    # (x - y) g between two bounds, else delta g or -delta g
    "add = elements, cmp = 2 * elements, mul = elements, div = averaged": "huber_loss_backward",
    # -y g / (1 + exp(y x))
    "mul = 2 * elements, special = elements, add = elements, cmp = elements, div = elements + averaged": (
        "soft_margin_loss_backward"
    ),
}


def _averaged(x: Tensor, reduction: int) -> Size:
    """The one division that a mean over all elements takes in the gradient: of g by their number."""
    return int(reduction == 1 and x.numel() > 0)


@formulas(ELEMENTWISE_GRADIENTS)
def loss_backward(*, reduction: int = 1, out: Tensor) -> Quantities:
    """g f'(x) for every element; of a mean g is divided by the number of elements first."""
    return {"elements": out.numel(), "averaged": _averaged(out, reduction)}


@formula(
    "binary_cross_entropy_backward",
    "add = 2 * elements, mul = elements * (2 + weighted), div = elements + averaged, cmp = elements",
)
def binary_cross_entropy_backward(
    grad: Tensor, x: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = 1
) -> Quantities:
    """g (x - y) / max(x (1 - x), 1e-12) (weight)."""
    return {"elements": x.numel(), "weighted": int(weight is not None), "averaged": _averaged(x, reduction)}


@formula("nll_loss_backward nll_loss2d_backward", "cmp = targets, mul = targets * weighted, div = averaged")
def nll_loss_backward(grad: Tensor, x: Tensor, target: Tensor, weight: Tensor | None, reduction: int) -> Quantities:
    """-g (weight) at the target of each example, 0 elsewhere; of a mean g is divided by the total weight first."""
    return {"targets": target.numel(), "weighted": int(weight is not None), "averaged": _averaged(target, reduction)}


@formula(
    "multi_margin_loss_backward",
    "add = examples + 2 * others, cmp = others, mul = 2 * others * squared + examples * weighted, "
    "div = losses + averaged",
)
def multi_margin_loss_backward(
    grad: Tensor, x: Tensor, target: Tensor, p: float, margin: float, weight: Tensor | None = None, reduction: int = 1
) -> Quantities:
    """With z = margin - x_y + x_i for every class i other than y: where z > 0, x_i takes h and x_y is reduced by h;
    h = g / C (weight of y), for p = 2 multiplied with 2 z."""
    return {
        "examples": target.numel(),
        "others": x.numel() - target.numel(),
        "squared": int(p == 2),
        "weighted": int(weight is not None),
        "losses": grad.numel(),
        "averaged": _averaged(x, reduction),
    }


@formula(
    "multilabel_margin_loss_backward",
    "add = elements + 3 * elements * classes, cmp = elements * classes, div = losses + averaged",
)
def multilabel_margin_loss_backward(grad: Tensor, x: Tensor, target: Tensor, reduction: int) -> Quantities:
    """With z = 1 - x_t + x_i for every pair of a target t and another class i: where z > 0, x_i takes g / C and x_t is
    reduced by it. How many targets an example has is data: every pair of classes counts."""
    classes = x.shape[-1] if x.dim() else 1
    return {"elements": x.numel(), "classes": classes, "losses": grad.numel(), "averaged": _averaged(x, reduction)}


@formula(
    "_ctc_loss_backward",
    "add = 7 * updates + 2 * states + 3 * elements, cmp = 2 * updates + elements * zeroed, "
    "special = 4 * updates + 3 * states + 2 * elements, mul = elements",
)
def ctc_loss_backward(grad: Tensor, log_probs: Tensor, *, log_alpha: Tensor, zero_infinity: bool = False) -> Quantities:
    """For each of the states [example, time, extended label] that ``log_alpha`` holds, but for the last time, log beta
    is updated by the logsumexp of three states (cmp 2, add 6, special 4) plus a log probability (add 1). Log alpha +
    log beta (add 1) joins its label's sum (logaddexp: special 3, add 1). Then grad = g (exp(lp) - exp(sum + nll - lp))
    for each element of ``log_probs``, and 0 where the loss is infinite, if asked for. Padded states count. Source:
    Graves et al. 2006, Connectionist Temporal Classification, equation 16."""
    states, steps = log_alpha.numel(), log_alpha.shape[1]
    return {
        "states": states,
        "updates": states - states // max(1, steps),
        "elements": log_probs.numel(),
        "zeroed": int(zero_infinity),
    }
