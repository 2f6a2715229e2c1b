"""Activations and their gradients: functions of every element on its own.

The gradient of y = f(x) is g f'(x), g the gradient of y. f' is computed from what the operator is given, x or y; an
expression that occurs twice is computed once; of two branches the longer one counts, for every element.
"""

from fxcount.cost import Quantities
from fxcount.formulas.number_kinds import first_tensor
from fxcount.formulas.registry import formula, formulas
from fxcount.formulas.tensor import Tensor

ACTIVATIONS = {
    "cmp = outputs": "relu threshold",
    "cmp = 2 * outputs": "hardtanh hardshrink",
    "cmp = 2 * outputs, add = outputs": "softshrink",
    "cmp = outputs, mul = outputs": "leaky_relu _prelu_kernel prelu rrelu_with_noise rrelu_with_noise_functional",
    "cmp = outputs, special = outputs, add = outputs, mul = outputs": "elu celu selu",
    "add = outputs, cmp = 2 * outputs, div = outputs": "hardsigmoid",
    "add = outputs, cmp = 2 * outputs, div = outputs, mul = outputs": "hardswish",
    "special = outputs": "tanh",
    "special = outputs, add = outputs, div = outputs": "sigmoid",
    "special = outputs, add = outputs, div = outputs, mul = outputs": "silu glu",
    "special = 2 * outputs, add = outputs": "log_sigmoid log_sigmoid_forward softplus",
    "special = 3 * outputs, add = outputs, mul = outputs": "mish",
}


@formulas(ACTIVATIONS)
def activation(*, out: object) -> Quantities:
    """The operator's definition in the PyTorch documentation, once for every output element."""
    return {"outputs": first_tensor(out).numel()}


@formula("gelu", "mul = outputs * (3 + 3 * tanh), add = outputs * (1 + tanh), special = outputs")
def gelu(*, approximate: str = "none", out: Tensor) -> Quantities:
    """0.5 x (1 + erf(x / sqrt 2)), or with the tanh approximation
    0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))); tanh is 1 for the latter."""
    return {"outputs": out.numel(), "tanh": int(approximate == "tanh")}


GRADIENTS = {
    # g (1 - y) y and g (1 - y y)
    "mul = 2 * elements, add = elements": "sigmoid_backward tanh_backward",
    # g where x > threshold
    "cmp = elements": "threshold_backward",
    # g where x is between, or outside of, two bounds
    "cmp = 2 * elements": "hardtanh_backward hardshrink_backward softshrink_backward",
    # g / 6 between two bounds
    "cmp = 2 * elements, div = elements": "hardsigmoid_backward",
    # g (x / 3 + 1 / 2) between two bounds, g above
    "cmp = 2 * elements, div = elements, add = elements, mul = elements": "hardswish_backward",
    # g where x > 0, else slope g
    "cmp = elements, mul = elements": "leaky_relu_backward",
    # g where x > 0, else weight g; and x g for the weight where it is not
    "cmp = elements, mul = 2 * elements": "_prelu_kernel_backward",
    # g / (1 + exp(-x)) and g / (1 + exp(x)) as products with a sigmoid
    "special = elements, add = elements, div = elements, mul = elements": "softplus_backward log_sigmoid_backward",
    # g s (1 + x (1 - s)), s = sigmoid(x)
    "special = elements, add = 3 * elements, div = elements, mul = 3 * elements": "silu_backward",
    # g (t + x s (1 - t t)), t = tanh(softplus(x)), s = sigmoid(x)
    "special = 4 * elements, add = 4 * elements, div = elements, mul = 4 * elements": "mish_backward",
}


@formulas(GRADIENTS)
def activation_backward(*, out: object) -> Quantities:
    """g f'(x), once for every element."""
    return {"elements": first_tensor(out).numel()}


@formula(
    "elu_backward",
    "cmp = elements, mul = elements * (1 + exponential + scaled), add = elements * (1 - exponential), "
    "special = elements * exponential",
)
def elu_backward(
    grad: Tensor, alpha: float, scale: float, input_scale: float, is_result: bool, *, out: Tensor
) -> Quantities:
    """For x <= 0, with c for the constant factors: g c exp(input_scale x), or, given y,
    g input_scale (y + alpha scale); an input scale of 1 is not multiplied with."""
    return {"elements": out.numel(), "exponential": int(not is_result), "scaled": int(input_scale != 1)}


@formula("rrelu_with_noise_backward", "mul = elements, cmp = elements * sloped")
def rrelu_backward(*, training: bool, out: Tensor) -> Quantities:
    """In training g times the slope that was drawn for the element, otherwise as a leaky relu."""
    return {"elements": out.numel(), "sloped": int(not training)}


@formula(
    "gelu_backward infinitely_differentiable_gelu_backward",
    "mul = elements * (7 + 5 * tanh), add = elements * (2 + 3 * tanh), special = elements * (2 - tanh)",
)
def gelu_backward(*, approximate: str = "none", out: Tensor) -> Quantities:
    """g (0.5 (1 + erf(x / sqrt 2)) + x c exp(-x x / 2)), c = 1 / sqrt(2 pi): 7 mul, 2 add, 2 special.

    With t = tanh(a (x + b x x x)): g (0.5 (1 + t) + 0.5 x (1 - t t) (a + 3 a b x x)), with constants a and 3 a b:
    12 mul, 5 add, 1 special."""
    return {"elements": out.numel(), "tanh": int(approximate == "tanh")}


@formulas(
    {
        "special = gates, add = 2 * gates, div = gates, mul = 3 * gates": "glu_backward",
        "special = gates, add = 3 * gates, div = gates, mul = 3 * gates": "glu_jvp",
    }
)
def glu_backward(gated: Tensor) -> Quantities:
    """y = a s, s = sigmoid(b), for each of the gates b: ga = g s, gb = ga a (1 - s); and forwards,
    dy = da s + y (1 - s) db = da s + y (db - s db)."""
    return {"gates": gated.numel()}


@formula("glu_backward_jvp", "special = gates, add = 6 * gates, div = gates, mul = 11 * gates")
def glu_backward_jvp(grad_x: Tensor, grad: Tensor) -> Quantities:
    """The derivative of ga = g s and gb = g y u, where y = a s, s = sigmoid(b), u = 1 - s, forwards along dg, da, db:
    with e = u db and dy = da s + y e, dga = dg s + ga e and dgb = u (dg y + g dy) - gb s db."""
    return {"gates": grad.numel()}
