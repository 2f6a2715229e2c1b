"""Normalisation and its gradients: statistics over groups of elements, then a shift and a scale of every element.

A batch norm over several processes (``torch.nn.SyncBatchNorm``) is made of parts that are operators of their own.
"""

from collections.abc import Sequence
from math import prod

from fxcount.cost import Quantities, Size
from fxcount.formulas.registry import aliases, formula, formulas, given, of_complex
from fxcount.formulas.tensor import Tensor

FROM_INPUT = (
    "mul = elements + scaled, div = elements + 2 * statistics, "
    "add = 3 * elements - statistics + shifted, special = statistics"
)
"""Each statistic is a mean (elements - statistics additions, a division), a variance (a subtraction, a square, an
addition per element, a division), plus eps (an addition), under a root; each element is divided by the root, and an
affine one is scaled by gamma and shifted by beta."""


def _from_input(x: Tensor, statistics: Size, weight: Tensor | None, bias: Tensor | None) -> Quantities:
    elements = x.numel()
    return {
        "elements": elements,
        "statistics": statistics if elements else 0,
        "scaled": 0 if weight is None else elements,
        "shifted": 0 if bias is None else elements,
    }


@formulas(
    {
        FROM_INPUT: "layer_norm native_layer_norm",
        "mul = elements + scaled, div = elements + statistics, add = elements, special = statistics": (
            "rms_norm _fused_rms_norm"
        ),
    }
)
@of_complex(
    {
        "mul = 4 * scaled + 10 * elements, div = 2 * elements + 2 * statistics, "
        "add = 2 * scaled + 7 * elements, special = statistics": "rms_norm _fused_rms_norm"
    }
)
def norm_over_last_axes(
    x: Tensor, normalized_shape: Sequence[Size], weight: Tensor | None, *, bias: Tensor | None = None
) -> Quantities:
    """(x - E[x]) / sqrt(Var[x] + eps) * gamma + beta over the last axes: one statistic for every other index.

    A root mean square norm is x / sqrt(mean(x^2) + eps) * gamma: a square per element, a mean (elements - statistics
    additions, a division), plus eps (an addition) under a root, and a division per element."""
    return _from_input(x, x.numel() // max(1, prod(normalized_shape)), weight, bias)


@formula("group_norm native_group_norm", FROM_INPUT)
def group_norm(
    x: Tensor, *, num_groups: Size | None = None, group: Size | None = None, weight: Tensor | None, bias: Tensor | None
) -> Quantities:
    """(x - E[x]) / sqrt(Var[x] + eps) * gamma + beta over each group of channels of each example; an operator that
    takes no number of groups has one for each channel."""
    groups = num_groups or group or x.shape[1]
    return _from_input(x, x.shape[0] * groups, weight, bias)


@formula(
    "_weight_norm _weight_norm_interface", "mul = 2 * elements, add = elements - norms, div = norms, special = norms"
)
def weight_norm(v: Tensor, g: Tensor) -> Quantities:
    """v * (g / ||v||): a vector norm of order 2 and a quotient for each g, and a product for each element of v."""
    elements = v.numel()
    return {"elements": elements, "norms": g.numel() if elements else 0}


BATCH = (
    "mul = elements + scaled, div = measured + 2 * statistics, "
    "add = elements + 2 * measured - statistics + given + shifted, special = statistics + given"
)
"""With statistics from the input (measured = elements) as every normalisation. With given statistics, one sum with eps
and one reciprocal root per channel, and each element is shifted by the mean and multiplied with the root."""


def _batch(x: Tensor, measured: bool, channels: Size, weight: Tensor | None, bias: Tensor | None) -> Quantities:
    quantities = _from_input(x, channels, weight, bias)
    elements, statistics = quantities["elements"], quantities["statistics"]
    return {
        **quantities,
        "statistics": statistics if measured else 0,
        "measured": elements if measured else 0,
        "given": 0 if measured else statistics,
    }


def _channels(x: Tensor) -> Size:
    """The size of the second axis; torch also takes an empty input of one axis."""
    return x.shape[1] if x.dim() > 1 else 0


@formula(
    "batch_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "_native_batch_norm_legit_functional _batch_norm_no_update _batch_norm_impl_index cudnn_batch_norm "
    "miopen_batch_norm",
    BATCH,
)
def batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, *, training: bool = False) -> Quantities:
    """(x - mean) / sqrt(var + eps) * gamma + beta per channel: each element is squared once for the variance (in
    training) or multiplied once with 1/sigma (with running statistics), and scaled once by gamma. Updating the
    running statistics does not reach the output and costs nothing; it is only in training that they are updated."""
    return _batch(x, training, _channels(x), weight, bias)


aliases({"batch_norm": "_batch_norm_with_update _batch_norm_with_update_functional"}, adapt=given(training=True))


@formula("instance_norm", BATCH)
def instance_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, *, use_input_stats: bool) -> Quantities:
    """As batch norm, with statistics of their own for each channel of each example."""
    channels = x.shape[0] * x.shape[1] if use_input_stats else x.shape[1]
    return _batch(x, use_input_stats, channels, weight, bias)


ALL = (True, True, True)

GRADIENTS = (
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


def _gradients(
    x: Tensor, statistics: Size, channels: Size, weight: Tensor | None, mask: Sequence[bool], *, measured: bool = True
) -> Quantities:
    """The quantities of ``GRADIENTS``; the mask asks for grad_x, grad_gamma, grad_beta."""
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


@formula("native_layer_norm_backward", GRADIENTS)
def layer_norm_backward(
    *,
    input: Tensor,
    normalized_shape: Sequence[Size],
    weight: Tensor | None,
    bias: Tensor | None,
    output_mask: Sequence[bool],
) -> Quantities:
    """y = gamma x^ + beta with x^ = (x - mean) rstd, and h = g gamma: grad_x = rstd (h - mean(h) - x^ mean(h x^)),
    grad_gamma = sum of g x^, grad_beta = sum of g, each as far as it is asked for. A layer norm without scale or shift
    has none of these."""
    channels = prod(normalized_shape)
    to_input, to_weight, to_bias = output_mask
    mask = (to_input, to_weight and weight is not None, to_bias and bias is not None)
    return _gradients(input, input.numel() // max(1, channels), channels, weight, mask)


@formula("native_group_norm_backward", GRADIENTS)
def group_norm_backward(
    *, input: Tensor, weight: Tensor | None, group: Size, output_mask: Sequence[bool]
) -> Quantities:
    """y = gamma x^ + beta with x^ = (x - mean) rstd, and h = g gamma: grad_x = rstd (h - mean(h) - x^ mean(h x^)),
    grad_gamma = sum of g x^, grad_beta = sum of g, each as far as it is asked for."""
    return _gradients(input, input.shape[0] * group, input.shape[1], weight, output_mask)


@formula(
    "_fused_rms_norm_backward",
    "mul = elements * (normalized + passed * (3 + affine) + to_weight), "
    "add = elements * (2 * passed + to_weight) - statistics * passed - channels * to_weight, "
    "div = statistics * passed",
)
def rms_norm_backward(
    *, input: Tensor, normalized_shape: Sequence[Size], weight: Tensor | None, output_mask: Sequence[bool]
) -> Quantities:
    """x^ = x rstd, h = g gamma: grad_x = rstd (h - x^ mean(h x^)), grad_gamma = sum of g x^."""
    elements, channels = input.numel(), prod(normalized_shape)
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
def weight_norm_backward(grad: Tensor, v: Tensor, magnitude: Tensor, norms: Tensor) -> Quantities:
    """w = m v / |v|: grad_m = (sum of g v) / |v|, grad_v = (m / |v|) (g - v (grad_m / |v|)). Source: Salimans and
    Kingma 2016, Weight Normalization, equation 3."""
    return {"elements": v.numel(), "norms": norms.numel() if v.numel() else 0}


@formula(
    "native_batch_norm_backward batch_norm_backward cudnn_batch_norm_backward miopen_batch_norm_backward "
    "_batch_norm_impl_index_backward",
    GRADIENTS,
)
def batch_norm_backward(
    *, input: Tensor, weight: Tensor | None, train: bool = True, update: bool = True, output_mask: Sequence[bool] = ALL
) -> Quantities:
    """y = gamma x^ + beta with x^ = (x - mean) rstd, and h = g gamma: grad_x = rstd (h - mean(h) - x^ mean(h x^)),
    grad_gamma = sum of g x^, grad_beta = sum of g, each as far as it is asked for. With running statistics (``train``
    or ``update`` is false), which do not depend on x, grad_x = rstd h."""
    channels = input.shape[1]
    return _gradients(input, channels, channels, weight, output_mask, measured=train and update)


@formulas(
    {
        "mul = elements, div = 2 * channels, add = 3 * elements - channels, special = channels": "batch_norm_stats",
        "mul = elements, div = 2 * channels, add = 3 * elements - 2 * channels": "batch_norm_update_stats",
    }
)
def synchronized_statistics(x: Tensor) -> Quantities:
    """Mean and variance per channel, as a ``var_mean``; of the first 1 / sqrt(var + eps) instead of the variance."""
    elements = x.numel()
    return {"elements": elements, "channels": x.shape[1] if elements else 0}


@formula(
    "batch_norm_gather_stats batch_norm_gather_stats_with_counts",
    "mul = 10 * parts, add = 6 * parts + channels, div = 2 * parts + channels, special = channels",
)
def gathered_statistics(x: Tensor, mean: Tensor) -> Quantities:
    """The parts, one per process and channel, are merged one after the other (Chan, Golub, LeVeque, "Updating Formulae
    and a Pairwise Algorithm for Computing Sample Variances"): with n elements so far, mean a and squares S, and a part
    of c elements, mean m and 1 / sigma

    - S += ((1 / invstd)^2 - eps) c + (a - m)^2 n c / (n + c): div 2, mul 6, add 5
    - a = n / (n + c) a + c / (n + c) m: mul 4, add 1

    and at last 1 / sqrt(S / n + eps) per channel. Running statistics do not reach the output."""
    return {"parts": mean.numel(), "channels": mean.shape[-1] if mean.numel() else 0}


@formula("batch_norm_elemt", "mul = elements + scaled, add = elements + shifted")
def synchronized_batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Quantities:
    """(x - mean) * invstd * gamma + beta with given statistics."""
    return _from_input(x, 0, weight, bias)


@formula("batch_norm_backward_reduce", "add = 3 * elements - 2 * channels, mul = elements + channels * to_weight")
def synchronized_batch_norm_sums(grad: Tensor, x: Tensor, *, weight_g: bool) -> Quantities:
    """Per channel the sum of g, which is grad_beta, the sum of g (x - mean), and rstd times that for grad_gamma."""
    elements = x.numel()
    return {"elements": elements, "channels": x.shape[1] if elements else 0, "to_weight": int(weight_g)}


@formula(
    "batch_norm_backward_elemt", "add = 3 * elements, mul = 2 * elements + channels * (2 + affine), div = 2 * channels"
)
def synchronized_batch_norm_backward(
    grad: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor | None
) -> Quantities:
    """grad_x = (g - sum_g / n - (x - mean) a) b, with per channel a = rstd rstd sum_gx / n and b = rstd (gamma)."""
    return {"elements": x.numel(), "channels": mean.numel(), "affine": int(weight is not None)}
