"""Gradients of pointwise operators, losses, normalisation, reductions, windows and distances.

The gradient of y = f(x) is g f'(x), g the gradient of y. f' is computed from what the operator is given, x or y; an
expression that occurs twice is computed once; of two branches the longer one counts, for every element.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fxcount.cost import Cost, Quantities
from fxcount.formulas.arithmetic import first_tensor
from fxcount.formulas.reductions import along_an_axis
from fxcount.formulas.registry import FORMULAS, formula, formulas
from fxcount.formulas.windows import adaptive_pooling

POINTWISE = {
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
    # the derivative of a sample by its parameter, a special function of both
    "special = elements": "_standard_gamma_grad _dirichlet_grad",
}


@formulas(POINTWISE)
def pointwise_backward(*, out: Any) -> Quantities:
    """g f'(x), once for every element."""
    return {"elements": first_tensor(out).numel()}


@formula(
    "elu_backward",
    "cmp = elements, mul = elements * (1 + exponential + scaled), add = elements * (1 - exponential), "
    "special = elements * exponential",
)
def elu_backward(grad: Any, alpha: Any, scale: Any, input_scale: Any, is_result: bool, *, out: Any) -> Quantities:
    """For x <= 0, with c for the constant factors: g c exp(input_scale x), or, given y,
    g input_scale (y + alpha scale); an input scale of 1 is not multiplied with."""
    return {"elements": out.numel(), "exponential": int(not is_result), "scaled": int(input_scale != 1)}


@formula("rrelu_with_noise_backward", "mul = elements, cmp = elements * sloped")
def rrelu_backward(*, training: bool, out: Any) -> Quantities:
    """In training g times the slope that was drawn for the element, otherwise as a leaky relu."""
    return {"elements": out.numel(), "sloped": int(not training)}


@formula(
    "gelu_backward infinitely_differentiable_gelu_backward",
    "mul = elements * (7 + 5 * tanh), add = elements * (2 + 3 * tanh), special = elements * (2 - tanh)",
)
def gelu_backward(*, approximate: str = "none", out: Any) -> Quantities:
    """g (0.5 (1 + erf(x / sqrt 2)) + x c exp(-x x / 2)), c = 1 / sqrt(2 pi): 7 mul, 2 add, 2 special.

    With t = tanh(a (x + b x x x)): g (0.5 (1 + t) + 0.5 x (1 - t t) (a + 3 a b x x)), with constants a and 3 a b:
    12 mul, 5 add, 1 special."""
    return {"elements": out.numel(), "tanh": int(approximate == "tanh")}


@formula("logit_backward", "mul = elements, add = elements, div = elements, cmp = 2 * elements * clamped")
def logit_backward(grad: Any, x: Any, eps: float | None = None, *, out: Any) -> Quantities:
    """g / (x (1 - x)), and 0 outside of [eps, 1 - eps] with an eps."""
    return {"elements": out.numel(), "clamped": int(eps is not None)}


@formulas(
    {
        "special = gates, add = 2 * gates, div = gates, mul = 3 * gates": "glu_backward",
        "special = gates, add = 3 * gates, div = gates, mul = 3 * gates": "glu_jvp",
    }
)
def glu_backward(gated: Any) -> Quantities:
    """y = a s, s = sigmoid(b), for each of the gates b: ga = g s, gb = ga a (1 - s); and forwards,
    dy = da s + y (1 - s) db = da s + y (db - s db)."""
    return {"gates": gated.numel()}


@formula("glu_backward_jvp", "special = gates, add = 6 * gates, div = gates, mul = 11 * gates")
def glu_backward_jvp(grad_x: Any, grad: Any) -> Quantities:
    """The derivative of ga = g s and gb = g y u, where y = a s, s = sigmoid(b), u = 1 - s, forwards along dg, da, db:
    with e = u db and dy = da s + y e, dga = dg s + ga e and dgb = u (dg y + g dy) - gb s db."""
    return {"gates": grad.numel()}


@formula("native_dropout_backward", "mul = elements * dropping")
def dropout_backward(grad: Any, mask: Any, scale: float) -> Quantities:
    """g times 0 or the scale; a scale of 1 has dropped nothing."""
    return {"elements": grad.numel(), "dropping": int(scale != 1)}


@formula(
    "_fake_quantize_learnable_per_tensor_affine_backward _fake_quantize_learnable_per_channel_affine_backward",
    "div = elements, add = 5 * elements - 2 * scales, cmp = 3 * elements + scales, "
    "mul = elements + scales * (1 + 2 * factored)",
)
def fake_quantize_backward(grad: Any, x: Any, scale: Any, *, grad_factor: float) -> Quantities:
    """With v = x / scale, q = round(v + zero) within two bounds: grad_x = g, or 0 outside of them; grad_scale sums
    g (q - zero - v), or g (q - zero) outside; grad_zero = -scale sum of g outside. Both are multiplied with the factor
    unless it is 1. Source: Esser et al. 2020, Learned Step Size Quantization; Bhalgat et al. 2020, LSQ+."""
    elements = x.numel()
    return {
        "elements": elements,
        "scales": scale.numel() if elements else 0,
        "factored": int(grad_factor != 1),
    }


# Losses

LOSSES = {
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


def _averaged(x: Any, reduction: int) -> int:
    """The one division that a mean over all elements takes in the gradient: of g by their number."""
    return int(reduction == 1 and x.numel() > 0)


@formulas(LOSSES)
def loss_backward(*, reduction: int = 1, out: Any) -> Quantities:
    """g f'(x) for every element; of a mean g is divided by the number of elements first."""
    return {"elements": out.numel(), "averaged": _averaged(out, reduction)}


@formula(
    "binary_cross_entropy_backward",
    "add = 2 * elements, mul = elements * (2 + weighted), div = elements + averaged, cmp = elements",
)
def binary_cross_entropy_backward(grad: Any, x: Any, target: Any, weight: Any = None, reduction: int = 1) -> Quantities:
    """g (x - y) / max(x (1 - x), 1e-12) (weight)."""
    return {"elements": x.numel(), "weighted": int(weight is not None), "averaged": _averaged(x, reduction)}


@formula("nll_loss_backward nll_loss2d_backward", "cmp = targets, mul = targets * weighted, div = averaged")
def nll_loss_backward(grad: Any, x: Any, target: Any, weight: Any, reduction: int) -> Quantities:
    """-g (weight) at the target of each example, 0 elsewhere; of a mean g is divided by the total weight first."""
    return {
        "targets": target.numel(),
        "weighted": int(weight is not None),
        "averaged": _averaged(target, reduction),
    }


@formula(
    "multi_margin_loss_backward",
    "add = examples + 2 * others, cmp = others, mul = 2 * others * squared + examples * weighted, "
    "div = losses + averaged",
)
def multi_margin_loss_backward(
    grad: Any, x: Any, target: Any, p: Any, margin: Any, weight: Any = None, reduction: int = 1
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
def multilabel_margin_loss_backward(grad: Any, x: Any, target: Any, reduction: int) -> Quantities:
    """With z = 1 - x_t + x_i for every pair of a target t and another class i: where z > 0, x_i takes g / C and x_t is
    reduced by it. How many targets an example has is data: every pair of classes counts."""
    classes = x.shape[-1] if x.dim() else 1
    return {"elements": x.numel(), "classes": classes, "losses": grad.numel(), "averaged": _averaged(x, reduction)}


@formula(
    "_ctc_loss_backward",
    "add = 7 * updates + 2 * states + 3 * elements, cmp = 2 * updates + elements * zeroed, "
    "special = 4 * updates + 3 * states + 2 * elements, mul = elements",
)
def ctc_loss_backward(grad: Any, log_probs: Any, *, log_alpha: Any, zero_infinity: bool = False) -> Quantities:
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


# Normalisation

NORM = (
    "mul = elements * (normalized + passed * (1 + affine) + 2 * measured + to_weight), "
    "add = elements * (normalized + 4 * measured + to_weight + to_bias) - 2 * statistics * measured "
    "- channels * (to_weight + to_bias) + given, div = 2 * statistics * measured, special = given"
)
"""y = gamma x^ + beta, x^ = (x - mean) rstd (normalized: 1 add, 1 mul). With the operator's gradient g, h = g gamma (1
mul if affine), and means over each statistic's elements (1 add per element but one, 1 div):

    grad_x = rstd (h - mean(h) - x^ mean(h x^))    3 mul, 2 add, two means; measured: mean and rstd depend on x
           = rstd h                                1 mul; with given statistics, rstd = 1 / sqrt(var + eps) per channel
    grad_gamma = sum of g x^                       1 mul, 1 add
    grad_beta = sum of g                           1 add
"""


def _norm(
    x: Any, statistics: int, channels: int, weight: Any, mask: Sequence[bool], *, measured: bool = True
) -> Quantities:
    """The quantities of ``NORM``; the mask asks for grad_x, grad_gamma, grad_beta."""
    to_input, to_weight, to_bias = map(int, mask)
    elements = x.numel()
    return {
        "elements": elements,
        "statistics": statistics if elements else 0,
        "channels": channels if elements else 0,
        "affine": int(weight is not None),
        "normalized": int((to_input and measured) or to_weight),
        "passed": to_input,
        "measured": int(to_input and measured),
        "to_weight": to_weight,
        "to_bias": to_bias,
        "given": channels if elements and not measured and (to_input or to_weight) else 0,
    }


@formula("native_layer_norm_backward", NORM)
def layer_norm_backward(
    grad: Any,
    x: Any,
    normalized_shape: Sequence[int],
    mean: Any,
    rstd: Any,
    weight: Any,
    bias: Any,
    mask: Sequence[bool],
) -> Quantities:
    """The gradients of a layer norm; a scale or shift that it does not have has none."""
    channels = prod(normalized_shape)
    mask = (mask[0], mask[1] and weight is not None, mask[2] and bias is not None)
    return _norm(x, x.numel() // max(1, channels), channels, weight, mask)


@formula("native_group_norm_backward", NORM)
def group_norm_backward(
    grad: Any,
    x: Any,
    mean: Any,
    rstd: Any,
    weight: Any,
    batch: int,
    channels: int,
    *,
    group: int,
    output_mask: Sequence[bool],
) -> Quantities:
    """The gradients of a group norm."""
    return _norm(x, batch * group, channels, weight, output_mask)


@formula(
    "native_batch_norm_backward batch_norm_backward cudnn_batch_norm_backward miopen_batch_norm_backward "
    "_batch_norm_impl_index_backward",
    NORM,
)
def batch_norm_backward(
    *,
    input: Any,
    weight: Any,
    train: bool = True,
    update: bool = True,
    output_mask: Sequence[bool] = (True, True, True),
) -> Quantities:
    """The gradients of a batch norm, in training (called ``train`` or ``update``) or with running statistics."""
    channels = input.shape[1]
    return _norm(input, channels, channels, weight, output_mask, measured=train and update)


@formula(
    "batch_norm_backward_elemt",
    "add = 3 * elements, mul = 2 * elements + channels * (2 + affine), div = 2 * channels",
)
def synchronized_batch_norm_backward(grad: Any, x: Any, mean: Any, rstd: Any, weight: Any) -> Quantities:
    """grad_x = (g - sum_g / n - (x - mean) a) b, with per channel a = rstd rstd sum_gx / n and b = rstd (gamma)."""
    return {"elements": x.numel(), "channels": mean.numel(), "affine": int(weight is not None)}


@formula("batch_norm_backward_reduce", "add = 3 * elements - 2 * channels, mul = elements + channels * to_weight")
def synchronized_batch_norm_sums(grad: Any, x: Any, *, weight_g: bool) -> Quantities:
    """Per channel the sum of g, which is grad_beta, the sum of g (x - mean), and rstd times that for grad_gamma."""
    elements = x.numel()
    return {"elements": elements, "channels": x.shape[1] if elements else 0, "to_weight": int(weight_g)}


@formula(
    "_fused_rms_norm_backward",
    "mul = elements * (normalized + passed * (3 + affine) + to_weight), "
    "add = elements * (2 * passed + to_weight) - statistics * passed - channels * to_weight, "
    "div = statistics * passed",
)
def rms_norm_backward(
    grad: Any, x: Any, normalized_shape: Sequence[int], rstd: Any, weight: Any, output_mask: Sequence[bool]
) -> Quantities:
    """x^ = x rstd, h = g gamma: grad_x = rstd (h - x^ mean(h x^)), grad_gamma = sum of g x^."""
    elements, channels = x.numel(), prod(normalized_shape)
    passed, to_weight = int(output_mask[0]), int(output_mask[1] and weight is not None)
    return {
        "elements": elements,
        "statistics": elements // max(1, channels),
        "channels": channels if elements else 0,
        "affine": int(weight is not None),
        "normalized": int(passed or to_weight),
        "passed": passed,
        "to_weight": to_weight,
    }


@formula(
    "_weight_norm_interface_backward _weight_norm_differentiable_backward",
    "mul = 3 * elements, add = 2 * elements - norms, div = 3 * norms",
)
def weight_norm_backward(grad: Any, v: Any, magnitude: Any, norms: Any) -> Quantities:
    """w = m v / |v|: grad_m = (sum of g v) / |v|, grad_v = (m / |v|) (g - v (grad_m / |v|)). Source: Salimans and
    Kingma 2016, Weight Normalization, equation 3."""
    return {"elements": v.numel(), "norms": norms.numel() if v.numel() else 0}


# Along an axis


@formulas(
    {
        "mul = 2 * elements, add = 2 * elements - lines": "_softmax_backward_data",
        "special = elements, mul = elements, add = 2 * elements - lines": "_log_softmax_backward_data",
        "mul = elements, add = elements - lines, div = elements": "cumprod_backward",
    }
)
def along_an_axis_backward(grad: Any, *, dim: int) -> Quantities:
    """Along each line: of a softmax y (g - sum of g y), of a log_softmax g - exp(y) (sum of g), of a running product
    the running sum of g y from the end, divided by x."""
    return along_an_axis(grad, dim=dim)


@formula("_masked_softmax_backward", "mul = 2 * elements, add = 2 * elements - lines, cmp = elements")
def masked_softmax_backward(grad: Any, *, dim: int | None) -> Quantities:
    """As of a softmax, and a select per element."""
    return along_an_axis(grad, dim=-1 if dim is None else dim)


@formula("_segment_reduce_backward", "div = averaged + selected + factors, cmp = compared, mul = products")
def segment_reduce_backward(grad: Any, y: Any, x: Any, reduce: str) -> Quantities:
    """Of a sum g is copied; of a mean divided by the segment's length; of a maximum or minimum g, divided by how often
    that occurs, goes where x equals y; of a product it is g y / x."""
    extremum, product = reduce in ("max", "min"), reduce == "prod"
    return {
        "averaged": grad.numel() if reduce == "mean" else 0,
        "selected": grad.numel() if extremum else 0,
        "compared": x.numel() if extremum else 0,
        "products": grad.numel() if product else 0,
        "factors": x.numel() if product else 0,
    }


# Windows


@formula(
    "max_pool2d_backward mkldnn_max_pool2d_backward mkldnn_max_pool3d_backward max_pool2d_with_indices_backward "
    "max_pool3d_with_indices_backward adaptive_max_pool2d_backward adaptive_max_pool3d_backward "
    "fractional_max_pool2d_backward fractional_max_pool3d_backward reflection_pad1d_backward reflection_pad2d_backward "
    "reflection_pad3d_backward replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward "
    "upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward "
    "_upsample_nearest_exact1d_backward _upsample_nearest_exact2d_backward _upsample_nearest_exact3d_backward "
    "unfold_backward",
    "add = accumulated",
)
def copies_backward(grad: Any) -> Quantities:
    """Where outputs are copies of inputs, every gradient is added to that of its input."""
    return {"accumulated": grad.numel()}


@formula("avg_pool2d_backward avg_pool3d_backward", "div = outputs, add = outputs * taps")
def average_backward(grad: Any, x: Any, kernel_size: Sequence[int]) -> Quantities:
    """g / taps is added to the gradient of each of the window's taps = prod(kernel) inputs; padded places count."""
    return {"outputs": grad.numel(), "taps": prod(kernel_size)}


@formula(
    "_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward adaptive_avg_pool3d_backward "
    "mkldnn_adaptive_avg_pool2d_backward",
    "div = outputs, add = taps",
)
def adaptive_average_backward(grad: Any, x: Any) -> Quantities:
    """As of an average, with windows as in ``adaptive_pooling``; the axes that are not pooled have windows of one."""
    return adaptive_pooling(x, grad.shape)


@formulas(
    {
        "mul = 2 * outputs, add = 2 * outputs": "upsample_linear1d_backward",
        "mul = 4 * outputs, add = 4 * outputs": "upsample_bilinear2d_backward",
        "mul = 8 * outputs, add = 8 * outputs": "upsample_trilinear3d_backward",
        "mul = 16 * outputs, add = 16 * outputs": "upsample_bicubic2d_backward",
    }
)
def interpolation_backward(grad: Any) -> Quantities:
    """Every gradient, times a tap's weight, is added to that of the tap: per axis 2 for linear, 4 for cubic."""
    return {"outputs": grad.numel()}


def _antialiased_backward(forward: str) -> None:
    measure = FORMULAS[f"aten.{forward}"].measure

    @formula(f"{forward}_backward", "mul = taps, add = taps")
    def antialiased_backward(
        grad: Any,
        *,
        align_corners: bool = False,
        scales_h: float | None = None,
        scales_w: float | None = None,
        out: Any,
    ) -> Quantities | Cost | int:
        """As of an interpolation, over the taps of a filter as wide as the scale, as the forward has them."""
        return measure(out, align_corners=align_corners, scales_h=scales_h, scales_w=scales_w, out=grad)


for _forward in ("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "_upsample_lanczos2d_aa"):
    _antialiased_backward(_forward)


# Distances

DISTANCE = (
    "add = terms * (1 + accumulated), cmp = terms * compared, mul = terms * multiplied, "
    "special = terms * powers + pairs * powers, div = pairs * divided"
)
"""terms = pairs * features. With d = a_k - b_k and the distance D of a pair, the gradient of a_k takes (1 add each)

    p = 1: sign(d) g             p = 2: d (g / D)           p = inf: sign(d) g where |d| = D
    other: d |d|^(p - 2) (g / D^(p - 1))                    p = 0: nothing
"""

NORMS = {
    # p: (compared, multiplied, powers, divided)
    1.0: (1, 1, 0, 0),
    2.0: (0, 1, 0, 1),
    float("inf"): (3, 1, 0, 0),
}


def _distance(pairs: int, features: int, p: float, accumulated: int) -> Quantities:
    compared, multiplied, powers, divided = NORMS.get(p, (1, 2, 1, 1))
    pairs = pairs if p else 0
    return {
        "pairs": pairs,
        "terms": pairs * features,
        "accumulated": accumulated,
        "compared": compared,
        "multiplied": multiplied,
        "powers": powers,
        "divided": divided,
    }


@formula("_cdist_backward", DISTANCE)
def cdist_backward(grad: Any, x1: Any, x2: Any, p: float) -> Quantities:
    """The gradient of the distances between all rows for the first ones."""
    return _distance(grad.numel(), x1.shape[-1], p, accumulated=1)


@formula("_pdist_backward", DISTANCE)
def pdist_backward(grad: Any, x: Any, p: float) -> Quantities:
    """As ``cdist_backward``; each term joins the gradients of both rows of its pair, with opposite signs."""
    return _distance(grad.numel(), x.shape[-1], p, accumulated=2)
