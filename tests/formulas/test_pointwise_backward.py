"""Gradients of pointwise operators, losses, normalisation, reductions, windows and distances."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from fxcount.cost import Cost
from tests.costing import cost_of, formula_cost

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten
ALL = [True, True, True]


# Pointwise, 15 elements

X = meta(3, 5)
BOOL = meta(3, 5, dtype=torch.bool)


@pytest.mark.parametrize(
    ("operator", "args", "per_element"),
    [
        (aten.sigmoid_backward, (X,), Cost(mul=2, add=1)),
        (aten.tanh_backward, (X,), Cost(mul=2, add=1)),
        (aten.threshold_backward, (X, 0), Cost(cmp=1)),
        (aten.hardtanh_backward, (X, -1, 1), Cost(cmp=2)),
        (aten.hardshrink_backward, (X, 0.5), Cost(cmp=2)),
        (aten.softshrink_backward, (X, 0.5), Cost(cmp=2)),
        (aten.hardsigmoid_backward, (X,), Cost(cmp=2, div=1)),
        (aten.hardswish_backward, (X,), Cost(cmp=2, div=1, add=1, mul=1)),
        (aten.leaky_relu_backward, (X, 0.1, False), Cost(cmp=1, mul=1)),
        (aten._prelu_kernel_backward, (X, meta(1, 5)), Cost(cmp=1, mul=2)),
        (aten.softplus_backward, (X, 1, 20), Cost(special=1, add=1, div=1, mul=1)),
        (aten.log_sigmoid_backward, (X, X), Cost(special=1, add=1, div=1, mul=1)),
        # a sigmoid (special, add, div), then 1 - s, x *, 1 +, s *, g *
        (aten.silu_backward, (X,), Cost(special=1, add=3, div=1, mul=3)),
        # softplus (2 special, add), tanh, sigmoid (special, add, div), then t t, 1 -, x s, *, t +, g *
        (aten.mish_backward, (X,), Cost(special=4, add=4, div=1, mul=4)),
        # c exp(x) g, or (y + c) g; celu and others with an input scale multiply once more
        (aten.elu_backward, (1, 1, 1, False, X), Cost(cmp=1, special=1, mul=2)),
        (aten.elu_backward, (1, 1, 1, True, X), Cost(cmp=1, add=1, mul=1)),
        (aten.elu_backward, (2, 1, 0.5, False, X), Cost(cmp=1, special=1, mul=3)),
        (aten.elu_backward, (2, 1, 0.5, True, X), Cost(cmp=1, add=1, mul=2)),
        # k x, erf, 1 +, 0.5 *; x x, -0.5 *, exp, c *; x *, +; g *
        (aten.gelu_backward, (X,), Cost(mul=7, add=2, special=2)),
        (aten.infinitely_differentiable_gelu_backward, (X,), Cost(mul=7, add=2, special=2)),
        (aten.logit_backward, (X,), Cost(mul=1, add=1, div=1)),
        (aten.logit_backward, (X, 0.1), Cost(mul=1, add=1, div=1, cmp=2)),
        (aten.rrelu_with_noise_backward, (X, X, 0.1, 0.3, True, False), Cost(mul=1)),
        (aten.rrelu_with_noise_backward, (X, X, 0.1, 0.3, False, False), Cost(mul=1, cmp=1)),
        (aten.native_dropout_backward, (BOOL, 2.0), Cost(mul=1)),
        (aten.native_dropout_backward, (BOOL, 1.0), Cost()),
        (aten.fake_quantize_per_tensor_affine_cachemask_backward, (BOOL,), Cost(mul=1)),
        (aten.fake_quantize_per_channel_affine_cachemask_backward, (BOOL,), Cost(mul=1)),
    ],
)
def test_pointwise(operator: Any, args: tuple[Any, ...], per_element: Cost) -> None:
    assert cost_of(operator, X, *args) == 15 * per_element


def test_gelu_with_tanh() -> None:
    # x x, x *, b *, +, a *, tanh; 0.5 x, 1 +, 0.5 *; t t, 1 -; 3 a b x x, + a; two products, +; g *
    assert cost_of(aten.gelu_backward, X, X, approximate="tanh") == 15 * Cost(mul=12, add=5, special=1)


@pytest.mark.parametrize(("operator", "others"), [(aten._standard_gamma_grad, 1), (aten._dirichlet_grad, 2)])
def test_the_derivative_of_a_sample_is_one_special_function(operator: Any, others: int) -> None:
    assert formula_cost(operator.default, X, *[X] * others, out=X) == Cost(special=15)


def test_writing_into_a_given_gradient_costs_the_same() -> None:
    assert cost_of(aten.silu_backward.grad_input, X, X, grad_input=meta(3, 5)) == cost_of(aten.silu_backward, X, X)
    assert cost_of(aten.tanh_backward.grad_input, X, X, grad_input=meta(3, 5)) == cost_of(aten.tanh_backward, X, X)


@pytest.mark.parametrize("x", [meta(()), meta(0, 5), meta(5, 3).t(), torch.ones(3, 5)])
def test_any_shape_and_device(x: Tensor) -> None:
    assert cost_of(aten.sigmoid_backward, x, x) == x.numel() * Cost(mul=2, add=1)


def test_complex_gradient() -> None:
    # 2 complex products (4 mul, 2 add each) and a complex subtraction (2 add)
    x = meta(3, 5, dtype=torch.complex64)
    assert cost_of(aten.tanh_backward, x, x) == 15 * Cost(mul=2 * 4, add=2 * 2 + 2)


def test_gated_linear_unit() -> None:
    """x [3, 10] has 15 gates."""
    x, half = meta(3, 10), X
    assert cost_of(aten.glu_backward, half, x, 1) == 15 * Cost(special=1, add=2, div=1, mul=3)
    assert formula_cost(aten.glu_jvp.default, half, x, x, 1) == 15 * Cost(special=1, add=3, div=1, mul=3)
    # sigmoid, u; y, e; dy: 2 mul, 1 add; dga: 2 mul, 1 add; dgb: 5 mul, 2 add
    args = (x, half, x, half, x, 1)
    assert formula_cost(aten.glu_backward_jvp.default, *args) == 15 * Cost(special=1, add=6, div=1, mul=11)


@pytest.mark.parametrize(("factor", "factored"), [(1.0, 0), (0.5, 1)])
def test_learnable_fake_quantization(factor: float, factored: int) -> None:
    # per element x / s, + zero, round, two bounds, - zero, - v, g *; two sums; per scale -s *, and the factor twice
    tensor = aten._fake_quantize_learnable_per_tensor_affine_backward.default
    cost = formula_cost(tensor, X, X, meta(1), meta(1), 0, 255, factor)
    assert cost == 15 * Cost(div=1, add=3, cmp=3, mul=1) + Cost(add=2 * (15 - 1), mul=1 + 2 * factored, cmp=1)
    channel = aten._fake_quantize_learnable_per_channel_affine_backward.default
    cost = formula_cost(channel, X, X, meta(5), meta(5), 1, 0, 255, factor)
    assert cost == 15 * Cost(div=1, add=3, cmp=3, mul=1) + Cost(add=2 * (15 - 5), mul=5 * (1 + 2 * factored), cmp=5)


# Losses, 15 elements; reduction 0 none, 1 mean, 2 sum


@pytest.mark.parametrize(("reduction", "averaged"), [(0, 0), (1, 1), (2, 0)])
@pytest.mark.parametrize(
    ("operator", "before", "after", "per_element"),
    [
        (aten.mse_loss_backward, (), (), Cost(add=1, mul=2)),
        (aten.smooth_l1_loss_backward, (), (0.5,), Cost(add=1, cmp=2, mul=1, div=1)),
        (aten.huber_loss_backward, (), (0.5,), Cost(add=1, cmp=2, mul=1)),
        (aten.soft_margin_loss_backward, (), (), Cost(mul=2, special=1, add=1, cmp=1, div=1)),
        (aten.binary_cross_entropy_backward, (None,), (), Cost(add=2, mul=2, div=1, cmp=1)),
        (aten.binary_cross_entropy_backward, (X,), (), Cost(add=2, mul=3, div=1, cmp=1)),
    ],
)
def test_pointwise_losses(
    operator: Any, before: tuple[Any, ...], after: tuple[Any, ...], per_element: Cost, reduction: int, averaged: int
) -> None:
    gradient = meta(()) if reduction else X
    cost = cost_of(operator, gradient, X, X, *before, reduction, *after)
    assert cost == 15 * per_element + Cost(div=averaged)


def test_loss_without_elements_is_free() -> None:
    empty = meta(0, 5)
    assert formula_cost(aten.mse_loss_backward.default, meta(()), empty, empty, 1, out=empty) == Cost()


@pytest.mark.parametrize(
    ("weight", "reduction", "expected"),
    [(None, 1, Cost(cmp=3, div=1)), (meta(5), 2, Cost(cmp=3, mul=3)), (None, 0, Cost(cmp=3))],
)
def test_nll_loss_touches_the_targets(weight: Any, reduction: int, expected: Cost) -> None:
    gradient = meta(()) if reduction else meta(3)
    target = meta(3, dtype=torch.long)
    assert cost_of(aten.nll_loss_backward, gradient, X, target, weight, reduction, -100, meta(())) == expected
    plane, gradient = meta(3, 5, 1, 1), meta(()) if reduction else meta(3, 1, 1)
    target = meta(3, 1, 1, dtype=torch.long)
    assert cost_of(aten.nll_loss2d_backward, gradient, plane, target, weight, reduction, -100, meta(())) == expected


@pytest.mark.parametrize(
    ("p", "weight", "reduction", "extra"),
    [
        (1, None, 1, Cost(div=1 + 1)),
        (2, None, 2, Cost(mul=2 * 12, div=1)),
        (1, meta(5), 0, Cost(mul=3, div=3)),
    ],
)
def test_multi_margin_loss(p: float, weight: Any, reduction: int, extra: Any) -> None:
    """3 examples with 4 other classes each: margin - x_y once, + x_i, a comparison, and x_y accumulates."""
    gradient = meta(()) if reduction else meta(3)
    args = (gradient, X, meta(3, dtype=torch.long), p, 1, weight, reduction)
    cost = formula_cost(aten.multi_margin_loss_backward.default, *args)
    assert cost == Cost(add=3 + 2 * 12, cmp=12) + extra


def test_multilabel_margin_loss_counts_every_pair() -> None:
    # 3 examples of 5 * 5 pairs: 1 - x_t per target, + x_i, two accumulations; g / C and the mean
    args = (meta(()), X, meta(3, 5, dtype=torch.long), 1, X)
    cost = formula_cost(aten.multilabel_margin_loss_backward.default, *args)
    assert cost == Cost(add=15 + 3 * 75, cmp=75, div=1 + 1)


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_ctc_loss(zero_infinity: bool) -> None:
    """2 examples, 7 steps, 4 classes; at most 3 labels, so 2 * 3 + 1 extended ones."""
    states, elements = 2 * 7 * 7, 7 * 2 * 4
    args = (meta(2), meta(7, 2, 4), meta(2, 3, dtype=torch.long), [7, 7], [3, 2], meta(2), meta(2, 7, 7), 0)
    cost = formula_cost(aten._ctc_loss_backward.default, *args, zero_infinity)
    # beta, but for the last step: logsumexp of 3 (cmp 2, add 6, special 4), add 1; alpha + beta, logaddexp
    expected = 2 * 6 * 7 * Cost(cmp=2, add=7, special=4) + states * Cost(add=2, special=3)
    expected += elements * Cost(add=3, special=2, mul=1)
    assert cost == expected + Cost(cmp=elements if zero_infinity else 0)


# Normalisation, x [2, 6, 5]: 60 elements

NORM_X = meta(2, 6, 5)
PER_ELEMENT = Cost(mul=1 + 3 + 1, add=1 + 2)
"""x^ (add, mul); h; h x^, x^ mean, rstd * and two subtractions; the means are counted apart."""


def propagated(statistics):
    """Two means of 60 elements in all over each statistic."""
    return 2 * Cost(add=60 - statistics, div=statistics)


def learned(channels):
    """grad_gamma: g x^ and its sum; grad_beta: a sum."""
    return Cost(mul=60, add=2 * (60 - channels))


def test_layer_norm() -> None:
    gradient, statistics = NORM_X, meta(2, 6, 1)
    args = (gradient, NORM_X, [5], statistics, statistics)
    weight = meta(5)
    everything = 60 * PER_ELEMENT + propagated(12)
    assert cost_of(aten.native_layer_norm_backward, *args, weight, weight, ALL) == everything + learned(5)
    # without gamma there is no h, and no grad_gamma whatever the mask says
    plain = everything + Cost(mul=-60)
    assert cost_of(aten.native_layer_norm_backward, *args, None, None, ALL) == plain
    only_weight = cost_of(aten.native_layer_norm_backward, *args, weight, weight, [False, True, False])
    assert only_weight == Cost(mul=2 * 60, add=60 + 60 - 5)
    only_bias = cost_of(aten.native_layer_norm_backward, *args, weight, weight, [False, False, True])
    assert only_bias == Cost(add=60 - 5)
    assert cost_of(aten.native_layer_norm_backward, *args, weight, weight, [False] * 3) == Cost()


def test_group_norm() -> None:
    # 3 groups in each of 2 examples
    args = (NORM_X, NORM_X, meta(2, 3), meta(2, 3), meta(6), 2, 6, 5, 3, ALL)
    assert cost_of(aten.native_group_norm_backward, *args) == 60 * PER_ELEMENT + propagated(6) + learned(6)


def test_batch_norm_in_training() -> None:
    channel = meta(6)
    expected = 60 * PER_ELEMENT + propagated(6) + learned(6)
    statistics = (channel, channel, channel, channel, channel)
    assert cost_of(aten.native_batch_norm_backward, NORM_X, NORM_X, *statistics, True, 1e-5, ALL) == expected
    reserve = meta(0)
    args = (NORM_X, NORM_X, *statistics, True, 1e-5, ALL, reserve)
    assert formula_cost(aten.batch_norm_backward.default, *args) == expected
    args = (NORM_X, NORM_X, *statistics, 1e-5)
    assert formula_cost(aten.cudnn_batch_norm_backward.default, *args, reserve) == expected
    assert formula_cost(aten.miopen_batch_norm_backward.default, *args) == expected
    args = (1, NORM_X, NORM_X, *statistics, True, 1e-5, ALL, reserve)
    assert formula_cost(aten._batch_norm_impl_index_backward.default, *args) == expected


def test_batch_norm_with_running_statistics() -> None:
    # g gamma rstd; x^ and g x^ for gamma; eps and the root per channel
    channel = meta(6)
    args = (NORM_X, NORM_X, channel, channel, channel, None, None, False, 1e-5)
    expected = Cost(mul=60 * (2 + 1 + 1), add=60 + 2 * (60 - 6) + 6, special=6)
    assert cost_of(aten.native_batch_norm_backward, *args, ALL) == expected
    input_only = cost_of(aten.native_batch_norm_backward, *args, [True, False, False])
    assert input_only == Cost(mul=2 * 60, add=6, special=6)


def test_norms_without_elements_are_free() -> None:
    empty, channel = meta(0, 6, 5), meta(6)
    args = (empty, empty, channel, channel, channel, channel, channel, True, 1e-5, ALL)
    assert formula_cost(aten.native_batch_norm_backward.default, *args) == Cost()
    args = (empty, empty, [6, 5], meta(0, 1), meta(0, 1), meta(6, 5), meta(6, 5), ALL)
    assert formula_cost(aten.native_layer_norm_backward.default, *args) == Cost()
    args = (empty, empty, [6, 5], meta(0, 1), meta(6, 5), [True, True])
    assert formula_cost(aten._fused_rms_norm_backward.default, *args) == Cost()
    args = (empty, empty, channel, channel, channel, True, True, True)
    assert formula_cost(aten.batch_norm_backward_reduce.default, *args) == Cost()


def test_synchronized_batch_norm() -> None:
    channel = meta(6)
    args = (NORM_X, NORM_X, channel, channel)
    cost = formula_cost(aten.batch_norm_backward_reduce.default, *args, channel, True, True, True)
    # sum of g, x - mean, g *, the sum of that; rstd * for gamma
    assert cost == Cost(add=60 + 2 * (60 - 6), mul=60 + 6)
    cost = formula_cost(aten.batch_norm_backward_elemt.default, *args, channel, channel, channel, meta(1))
    # three subtractions, two factors; per channel two divisions by n, rstd rstd, sum *, gamma rstd
    assert cost == Cost(add=3 * 60, mul=2 * 60 + 3 * 6, div=2 * 6)


def test_rms_norm() -> None:
    # x^; h; h x^, x^ mean, rstd *; a mean and a subtraction; grad_gamma: g x^ and its sum over 12 rows
    args = (NORM_X, NORM_X, [5], meta(2, 6, 1))
    cost = formula_cost(aten._fused_rms_norm_backward.default, *args, meta(5), [True, True])
    assert cost == Cost(mul=60 * (1 + 1 + 3 + 1), add=(60 - 12) + 60 + (60 - 5), div=12)
    cost = formula_cost(aten._fused_rms_norm_backward.default, *args, None, [True, True])
    assert cost == Cost(mul=60 * (1 + 3), add=(60 - 12) + 60, div=12)


def test_weight_norm() -> None:
    # v [3, 5] with 3 norms: g v, its sum, / norm; m / norm; coefficient / norm, v *, g -, * (m / norm)
    args = (X, X, meta(3, 1), meta(3, 1), 0)
    expected = Cost(mul=3 * 15, add=(15 - 3) + 15, div=3 * 3)
    assert formula_cost(aten._weight_norm_interface_backward.default, *args) == expected
    assert formula_cost(aten._weight_norm_differentiable_backward.default, *args) == expected


# Along an axis, 3 lines of 5


def test_softmax() -> None:
    expected = Cost(mul=2 * 15, add=(15 - 3) + 15)
    assert cost_of(aten._softmax_backward_data, X, X, 1, torch.float32) == expected
    assert cost_of(aten._softmax_backward_data, X, X, 0, torch.float32) == Cost(mul=30, add=(15 - 5) + 15)
    masked = aten._masked_softmax_backward.default
    assert formula_cost(masked, X, X, BOOL) == expected + Cost(cmp=15)
    assert formula_cost(masked, X, X, BOOL, 0) == Cost(mul=30, add=25, cmp=15)
    assert cost_of(aten._softmax_backward_data, meta(0, 5), meta(0, 5), 1, torch.float32) == Cost()


def test_log_softmax() -> None:
    cost = cost_of(aten._log_softmax_backward_data, X, X, -1, torch.float32)
    assert cost == Cost(special=15, mul=15, add=(15 - 3) + 15)


def test_cumprod() -> None:
    assert cost_of(aten.cumprod_backward, X, X, 1, X) == Cost(mul=15, add=15 - 3, div=15)


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [
        ("sum", Cost()),
        ("mean", Cost(div=2 * 5)),
        ("max", Cost(div=2 * 5, cmp=3 * 5)),
        ("min", Cost(div=2 * 5, cmp=3 * 5)),
        ("prod", Cost(mul=2 * 5, div=3 * 5)),
    ],
)
def test_segment_reduce(reduce: str, expected: Cost) -> None:
    """3 rows of 5 in 2 segments."""
    args = (meta(2, 5), meta(2, 5), X, reduce)
    assert formula_cost(aten._segment_reduce_backward.default, *args, lengths=meta(2, dtype=torch.long)) == expected


# Windows

G2, X2 = meta(2, 3, 2, 3), meta(2, 3, 4, 6)
INDEX = meta(2, 3, 2, 3, dtype=torch.long)


@pytest.mark.parametrize(
    ("operator", "args"),
    [
        (aten.max_pool2d_with_indices_backward, (X2, [2, 2], [2, 2], [0, 0], [1, 1], False, INDEX)),
        (aten.max_pool2d_backward, (X2, [2, 2])),
        (aten.adaptive_max_pool2d_backward, (X2, INDEX)),
        (aten.fractional_max_pool2d_backward, (X2, [2, 2], [2, 3], INDEX)),
        (aten.mkldnn_max_pool2d_backward, (G2, X2, [2, 2])),
        (aten.reflection_pad2d_backward, (meta(2, 3, 1, 2), [0, 1, 1, 0])),
        (aten.replication_pad2d_backward, (meta(2, 3, 1, 2), [0, 1, 1, 0])),
        (aten.upsample_nearest2d_backward, ([2, 3], [2, 3, 1, 2])),
        (aten._upsample_nearest_exact2d_backward, ([2, 3], [2, 3, 1, 2])),
        (aten.unfold_backward, ([2, 3, 4], 2, 3, 1)),
    ],
)
def test_every_gradient_of_a_copy_is_added_to_its_input(operator: Any, args: tuple[Any, ...]) -> None:
    assert formula_cost(operator.default, G2, *args) == Cost(add=2 * 3 * 2 * 3)


def test_average_pools() -> None:
    # 36 outputs of 2 * 3 taps
    args = (G2, meta(2, 3, 4, 9), [2, 3], [2, 3], [0, 0], False, True, None)
    assert cost_of(aten.avg_pool2d_backward, *args) == Cost(div=36, add=36 * 6)
    # a kernel of 2 stands for 2 x 2
    args = (G2, X2, [2], [2], [0], False, True, None)
    assert formula_cost(aten.avg_pool2d_backward.default, *args) == Cost(div=36, add=36 * 4)
    args = (meta(1, 2, 2, 2), meta(1, 4, 4, 4), [2, 2, 2], [2, 2, 2], [0, 0, 0], False, True, None)
    assert cost_of(aten.avg_pool3d_backward, *args) == Cost(div=8, add=8 * 8)


def test_adaptive_average_pools() -> None:
    # 5 inputs in 3 windows of 2, 3, 2; 4 in 3 windows of 2: 6 planes of 7 * 6 taps
    cost = cost_of(aten._adaptive_avg_pool2d_backward, meta(2, 3, 3, 3), meta(2, 3, 5, 4))
    assert cost == Cost(div=54, add=6 * 7 * 6)
    cost = formula_cost(aten.mkldnn_adaptive_avg_pool2d_backward.default, meta(2, 3, 3, 3), meta(2, 3, 5, 4))
    assert cost == Cost(div=54, add=6 * 7 * 6)
    cost = cost_of(aten._adaptive_avg_pool3d_backward, meta(2, 1, 3, 3), meta(2, 2, 5, 4))
    assert cost == Cost(div=2 * 9, add=2 * 2 * 7 * 6)


@pytest.mark.parametrize(
    ("operator", "axes", "taps"),
    [
        (aten.upsample_linear1d_backward, 1, 2),
        (aten.upsample_bilinear2d_backward, 2, 4),
        (aten.upsample_trilinear3d_backward, 3, 8),
        (aten.upsample_bicubic2d_backward, 2, 16),
    ],
)
def test_interpolation_spreads_over_its_taps(operator: Any, axes: int, taps: int) -> None:
    gradient = meta(2, 3, *[5] * axes)
    cost = cost_of(operator, gradient, [5] * axes, [2, 3, *[3] * axes], False)
    assert cost == 6 * 5**axes * taps * Cost(mul=1, add=1)


def test_antialiased_interpolation_spreads_over_a_filter_as_wide_as_the_scale() -> None:
    # 6 to 3: a radius of 2 around 1, 3, 5, of which 3, 4, 3 places are inside; 4 to 4: a radius of 1, one place each
    # side of the centre and itself, cut at the borders: 2, 3, 3, 2
    cost = cost_of(aten._upsample_bilinear2d_aa_backward, meta(1, 2, 3, 3), [3, 3], [1, 2, 6, 6], False)
    assert cost == 2 * (3 + 4 + 3) ** 2 * Cost(mul=1, add=1)


# Distances, in 4 dimensions


@pytest.mark.parametrize(
    ("p", "per_term", "per_pair"),
    [
        (0.0, Cost(), Cost()),
        (1.0, Cost(add=1, cmp=1, mul=1), Cost()),
        (2.0, Cost(add=1, mul=1), Cost(div=1)),
        (float("inf"), Cost(add=1, cmp=3, mul=1), Cost()),
        (3.0, Cost(add=1, cmp=1, special=1, mul=2), Cost(special=1, div=1)),
    ],
)
def test_distances(p: float, per_term: Cost, per_pair: Cost) -> None:
    """Every term joins the gradient of one row of a pair (cdist) or of both (pdist)."""
    joined = Cost(add=1 if p else 0)
    # 2 * 3 * 5 pairs of rows; 6 pairs among 4 rows
    args = (meta(2, 3, 5), meta(2, 3, 4), meta(2, 5, 4), p, meta(2, 3, 5))
    assert cost_of(aten._cdist_backward, *args) == 30 * (4 * (per_term + joined) + per_pair)
    cost = formula_cost(aten._pdist_backward.default, meta(6), meta(4, 4), p, meta(6))
    assert cost == 6 * (4 * (per_term + 2 * joined) + per_pair)
