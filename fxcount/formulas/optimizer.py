"""Fused optimizer steps and gradient scaling.

A fused step costs what the step costs operator by operator (``_single_tensor_adam`` and its like in ``torch.optim``);
step counters and what is computed once per tensor or per call (bias corrections, learning rates) are not counted.
"""

from collections.abc import Sequence

from fxcount.cost import Quantities, Size
from fxcount.formulas.registry import aliases, formula, given
from fxcount.formulas.tensor import Tensor


def _elements(params: Sequence[Tensor]) -> Size:
    return sum(param.numel() for param in params)


ADAM = (
    "mul = elements * (5 + decayed), add = elements * (5 + regularized), div = elements * (2 + unscaled), "
    "cmp = elements * (negated + maximal), special = elements"
)
"""m += (1 - beta1) (g - m): add 2 mul 1; v = beta2 v + (1 - beta2) g g: mul 3 add 1; p -= step m / (sqrt(v) / c + eps):
special 1, div 2, add 2, mul 1."""


@formula("_fused_adam", ADAM)
def adam(
    params: Sequence[Tensor],
    *,
    weight_decay: float,
    decoupled: bool = False,
    amsgrad: bool,
    maximize: bool,
    grad_scale: Tensor | None,
) -> Quantities:
    """``torch.optim.Adam`` per element: m += (1 - beta1) (g - m), v = beta2 v + (1 - beta2) g g,
    p -= step m / (sqrt(v) / c + eps). Weight decay adds wd p to the gradient, or in ``torch.optim.AdamW``, where it is
    decoupled, multiplies the parameter with 1 - lr wd; maximizing negates the gradient, AMSGrad takes the larger of v
    and its largest, a gradient scale divides it."""
    return {
        "elements": _elements(params),
        "decayed": int(weight_decay != 0),
        "regularized": int(weight_decay != 0 and not decoupled),
        "unscaled": int(grad_scale is not None),
        "negated": int(maximize),
        "maximal": int(amsgrad),
    }


aliases({"_fused_adam": "_fused_adamw"}, adapt=given(decoupled=True))


@formula(
    "_fused_sgd",
    "mul = elements * (1 + regularized + averaged * (1 + damped) + nesterov), "
    "add = elements * (1 + regularized + averaged + nesterov), div = elements * unscaled, cmp = elements * negated",
)
def sgd(
    params: Sequence[Tensor],
    *,
    weight_decay: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    maximize: bool,
    is_first_step: bool,
    grad_scale: Tensor | None,
) -> Quantities:
    """``torch.optim.SGD`` per element: p -= lr g. Weight decay adds wd p to the gradient; momentum takes
    b = momentum b + (1 - dampening) g (in the first step b = g), Nesterov's then g + momentum b."""
    return {
        "elements": _elements(params),
        "regularized": int(weight_decay != 0),
        "averaged": int(momentum != 0 and not is_first_step),
        "damped": int(dampening != 0),
        "nesterov": int(momentum != 0 and nesterov),
        "unscaled": int(grad_scale is not None),
        "negated": int(maximize),
    }


@formula(
    "_fused_adagrad",
    "mul = elements * (2 + regularized), add = elements * (3 + regularized), div = elements * (1 + unscaled), "
    "cmp = elements * negated, special = elements",
)
def adagrad(params: Sequence[Tensor], *, weight_decay: float, maximize: bool, grad_scale: Tensor | None) -> Quantities:
    """``torch.optim.Adagrad`` per element: s += g g, p -= step g / (sqrt(s) + eps); weight decay adds wd p to the
    gradient."""
    return {
        "elements": _elements(params),
        "regularized": int(weight_decay != 0),
        "unscaled": int(grad_scale is not None),
        "negated": int(maximize),
    }


@formula("inductor.accumulate_grad_", "add = accumulated")
def accumulate(variable: Tensor, gradient: Tensor | None) -> Quantities:
    """variable.grad += gradient; the first gradient is only kept."""
    return {"accumulated": 0 if gradient is None else gradient.numel()}


@formula("_amp_foreach_non_finite_check_and_unscale", "mul = elements, cmp = elements")
def unscale(grads: Sequence[Tensor]) -> Quantities:
    """g *= inv_scale, and whether each g is finite."""
    return {"elements": _elements(grads)}


@formula("_amp_update_scale", "mul = elements, cmp = elements")
def update_scale(scale: Tensor) -> Quantities:
    """scale *= backoff factor after an overflow, else in time *= growth factor; one question about found_inf."""
    return {"elements": scale.numel()}
