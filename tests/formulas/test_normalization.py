"""Normalisation against counts worked out by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of, formula_cost

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten
ALL = [True, True, True]


def from_input(n: int, m: int, *, scaled: bool, shifted: bool) -> Cost:
    """Per element a term of the mean, a deviation, a square, a term of the variance and a division; per statistic two
    divisions by the count, eps and a root."""
    mean = Cost(add=n - m, div=m)
    variance = Cost(add=n, mul=n) + Cost(add=n - m, div=m)
    root = Cost(add=m, special=m)
    affine = Cost(mul=n * scaled, add=n * shifted)
    return mean + variance + root + Cost(div=n) + affine


def given(n: int, channels: int, *, affine: bool) -> Cost:
    """1/sigma per channel; per element a deviation and a product, and gamma and beta."""
    return Cost(add=channels, special=channels) + (1 + affine) * Cost(add=n, mul=n)


BATCH = {"n": 2 * 3 * 4 * 5, "m": 3}


def batch_norm(**options: Any) -> Callable[[], Any]:
    training = options.pop("training")
    return partial(nn.BatchNorm2d(3, device="meta", **options).train(training), meta(2, 3, 4, 5))


CASES: dict[str, tuple[Callable[[], Any], Cost]] = {
    "batch norm": (batch_norm(training=True), from_input(**BATCH, scaled=True, shifted=True)),
    "batch norm, plain": (batch_norm(training=True, affine=False), from_input(**BATCH, scaled=False, shifted=False)),
    "batch norm, eval": (batch_norm(training=False), given(120, 3, affine=True)),
    "batch norm, eval, plain": (batch_norm(training=False, affine=False), given(120, 3, affine=False)),
    "batch norm, eval without statistics": (
        batch_norm(training=False, track_running_stats=False),
        from_input(**BATCH, scaled=True, shifted=True),
    ),
    "batch norm of rows": (
        partial(nn.BatchNorm1d(5, device="meta"), meta(3, 5)),
        from_input(n=15, m=5, scaled=True, shifted=True),
    ),
    "batch norm of volumes": (
        partial(nn.BatchNorm3d(2, device="meta").eval(), meta(1, 2, 3, 4, 5)),
        given(120, 2, affine=True),
    ),
    "batch norm, gamma alone": (
        partial(F.batch_norm, meta(2, 3, 7), None, None, meta(3), None, training=True),
        from_input(n=42, m=3, scaled=True, shifted=False),
    ),
    "batch norm of nothing": (partial(nn.BatchNorm2d(3, device="meta"), meta(0, 3, 4, 5)), Cost()),
    "batch norm of an empty vector": (partial(F.batch_norm, meta(0), meta(0), meta(0)), Cost()),
    "batch norm, one element per channel": (  # N = M
        partial(torch.native_batch_norm, meta(1, 3, 1), None, None, None, None, True, 0.1, 1e-5),
        from_input(n=3, m=3, scaled=False, shifted=False),
    ),
    "batch norm of a strided view": (
        partial(F.batch_norm, meta(4, 7, 3).permute(0, 2, 1)[::2], None, None, training=True),
        from_input(n=2 * 3 * 7, m=3, scaled=False, shifted=False),
    ),
    "instance norm": (
        partial(F.instance_norm, meta(2, 3, 4, 5), weight=meta(3), bias=meta(3)),
        from_input(n=120, m=2 * 3, scaled=True, shifted=True),
    ),
    "instance norm, unbatched": (
        partial(nn.InstanceNorm1d(3, device="meta"), meta(3, 7)),
        from_input(n=21, m=3, scaled=False, shifted=False),
    ),
    "instance norm, eval": (
        partial(nn.InstanceNorm1d(3, affine=True, track_running_stats=True, device="meta").eval(), meta(2, 3, 7)),
        given(42, 3, affine=True),
    ),
    "layer norm": (
        partial(nn.LayerNorm(7, device="meta"), meta(3, 5, 7)),
        from_input(n=105, m=3 * 5, scaled=True, shifted=True),
    ),
    "layer norm, no beta": (
        partial(nn.LayerNorm(7, bias=False, device="meta"), meta(3, 5, 7)),
        from_input(n=105, m=15, scaled=True, shifted=False),
    ),
    "layer norm over two axes": (
        partial(F.layer_norm, meta(3, 5, 7), (5, 7)),
        from_input(n=105, m=3, scaled=False, shifted=False),
    ),
    "layer norm over one element": (
        partial(F.layer_norm, meta(3, 1), (1,)),
        from_input(n=3, m=3, scaled=False, shifted=False),
    ),
    "layer norm of nothing": (partial(F.layer_norm, meta(0, 7), (7,), meta(7), meta(7)), Cost()),
    "layer norm over nothing": (partial(F.layer_norm, meta(3, 0), (0,)), Cost()),
    "layer norm of bfloat16": (
        partial(F.layer_norm, meta(3, 7, dtype=torch.bfloat16), (7,)),
        from_input(n=21, m=3, scaled=False, shifted=False),
    ),
    "group norm": (
        partial(nn.GroupNorm(2, 6, device="meta"), meta(3, 6, 5)),
        from_input(n=90, m=3 * 2, scaled=True, shifted=True),
    ),
    "group norm, plain": (
        partial(F.group_norm, meta(3, 6, 5, 7), 3),
        from_input(n=630, m=3 * 3, scaled=False, shifted=False),
    ),
    "group norm of nothing": (partial(F.group_norm, meta(0, 6, 5), 2), Cost()),
    # square, mean (N - M additions, M divisions), eps (M), root (M), division, gamma
    "rms norm": (
        partial(nn.RMSNorm(7, device="meta"), meta(3, 5, 7)),
        Cost(mul=2 * 105, add=105 - 15 + 15, div=105 + 15, special=15),
    ),
    "rms norm, plain": (partial(F.rms_norm, meta(3, 7), (7,)), Cost(mul=21, add=21 - 3 + 3, div=21 + 3, special=3)),
    "rms norm of nothing": (partial(F.rms_norm, meta(0, 7), (7,)), Cost()),
}


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


@pytest.mark.parametrize("training", [True, False])
def test_worked_example(training: bool) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=[4, 10], stride=[2, 8], padding=[0, 0], bias=False, device="meta"),
        nn.BatchNorm2d(32, eps=1e-4, device="meta"),
        nn.Hardtanh(0, 4 * 127 / 128, inplace=True),
    ).train(training)
    assert cost_of(model, meta(1, 1, 130, 40)).under("multiplications") == 344_064
    assert cost_of(model[1], meta(1, 32, 64, 4)).under("multiplications") == 16_384


x, gamma, beta, mean, var = meta(2, 3, 4), meta(3), meta(3), meta(3), meta(3)

TRAINING = [
    lambda: F.batch_norm(x, mean, var, gamma, beta, training=True),
    lambda: torch.batch_norm(x, gamma, beta, mean, var, True, 0.1, 1e-5, False),
    lambda: torch.native_batch_norm(x, gamma, beta, mean, var, True, 0.1, 1e-5),
    lambda: aten._native_batch_norm_legit(x, gamma, beta, mean, var, True, 0.1, 1e-5),
    lambda: aten._native_batch_norm_legit.no_stats(x, gamma, beta, True, 0.1, 1e-5),
    lambda: aten._native_batch_norm_legit_functional(x, gamma, beta, mean, var, True, 0.1, 1e-5),
    lambda: aten._batch_norm_with_update(x, gamma, beta, mean, var, 0.1, 1e-5),
    lambda: aten._batch_norm_with_update_functional(x, gamma, beta, mean, var, 0.1, 1e-5),
    partial(nn.BatchNorm1d(3, device="meta"), x),
]
EVALUATION = [
    lambda: F.batch_norm(x, mean, var, gamma, beta),
    lambda: torch.native_batch_norm(x, gamma, beta, mean, var, False, 0.1, 1e-5),
    lambda: aten._native_batch_norm_legit_no_training(x, gamma, beta, mean, var, 0.1, 1e-5),
    lambda: aten._batch_norm_no_update(x, gamma, beta, mean, var, 0.1, 1e-5),
    partial(nn.BatchNorm1d(3, device="meta").eval(), x),
]


@pytest.mark.parametrize("form", TRAINING)
def test_every_form_of_batch_norm_in_train(form: Callable[[], Any]) -> None:
    assert cost_of(form) == from_input(n=24, m=3, scaled=True, shifted=True)


@pytest.mark.parametrize("form", EVALUATION)
def test_every_form_of_batch_norm_in_eval(form: Callable[[], Any]) -> None:
    assert cost_of(form) == given(24, 3, affine=True)


def test_every_form_of_the_other_norms() -> None:
    rows = meta(4, 6)
    weight, bias = meta(6), meta(6)
    expected = from_input(n=24, m=4, scaled=True, shifted=True)
    assert cost_of(F.layer_norm, rows, (6,), weight, bias) == expected
    assert cost_of(torch.native_layer_norm, rows, (6,), weight, bias, 1e-5) == expected
    grouped = from_input(n=24, m=4 * 2, scaled=True, shifted=True)
    assert cost_of(F.group_norm, rows, 2, weight, bias) == grouped
    assert cost_of(torch.native_group_norm, rows, weight, bias, 4, 6, 1, 2, 1e-5) == grouped
    assert cost_of(F.rms_norm, rows, (6,), weight) == cost_of(aten._fused_rms_norm, rows, [6], weight, 1e-5)


def test_synchronized_batch_norm() -> None:
    x, channels = meta(2, 5, 3, 3), meta(5)
    n = 2 * 5 * 3 * 3
    assert formula_cost(aten.batch_norm_stats.default, x, 1e-5, out=(channels, channels)) == Cost(
        mul=n, div=2 * 5, add=3 * n - 2 * 5 + 5, special=5
    )
    # without eps and a root
    assert formula_cost(aten.batch_norm_update_stats.default, x, channels, channels, 0.1, out=(channels, channels)) == (
        Cost(mul=n, div=2 * 5, add=(n - 5) + n + (n - 5))
    )
    parts = meta(4, 5)  # of four processes
    assert formula_cost(
        aten.batch_norm_gather_stats.default, x, parts, parts, None, None, 0.1, 1e-5, 9, out=(channels, channels)
    ) == Cost(mul=10 * 20, add=6 * 20 + 5, div=2 * 20 + 5, special=5)
    assert formula_cost(aten.batch_norm_elemt.default, x, channels, channels, channels, channels, 1e-5, out=x) == Cost(
        mul=2 * n, add=2 * n
    )
    assert formula_cost(aten.batch_norm_elemt.default, x, None, None, channels, channels, 1e-5, out=x) == Cost(
        mul=n, add=n
    )


def test_weight_norm() -> None:
    # v [3, 5], g [3, 1]: 3 norms of 5, 3 quotients g / norm, 15 products with v
    expected = Cost(mul=15 + 15, add=12, special=3, div=3)
    assert cost_of(torch._weight_norm, meta(3, 5), meta(3, 1), 0) == expected
    assert cost_of(torch._weight_norm, torch.ones(3, 5), torch.ones(3, 1), 0) == expected
    assert cost_of(aten._weight_norm_interface, meta(3, 5), meta(3, 1), 0) == expected
    assert cost_of(torch._weight_norm, meta(3, 0), meta(3, 1), 0) == Cost()


# Gradients, x [2, 6, 5]: 60 elements

X = meta(3, 5)
NORM_X = meta(2, 6, 5)


PER_ELEMENT = Cost(mul=1 + 3 + 1, add=1 + 2)
"""x^ (add, mul); h; h x^, x^ mean, rstd * and two subtractions; the means are counted apart."""


def propagated(statistics):
    """Two means of 60 elements in all over each statistic."""
    return 2 * Cost(add=60 - statistics, div=statistics)


def learned(channels):
    """grad_gamma: g x^ and its sum; grad_beta: a sum."""
    return Cost(mul=60, add=2 * (60 - channels))


def test_gradients_of_layer_norm() -> None:
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


def test_gradients_of_group_norm() -> None:
    # 3 groups in each of 2 examples
    args = (NORM_X, NORM_X, meta(2, 3), meta(2, 3), meta(6), 2, 6, 5, 3, ALL)
    assert cost_of(aten.native_group_norm_backward, *args) == 60 * PER_ELEMENT + propagated(6) + learned(6)


def test_gradients_of_batch_norm_in_training() -> None:
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


def test_gradients_of_batch_norm_with_running_statistics() -> None:
    # g gamma rstd; x^ and g x^ for gamma; eps and the root per channel
    channel = meta(6)
    args = (NORM_X, NORM_X, channel, channel, channel, None, None, False, 1e-5)
    expected = Cost(mul=60 * (2 + 1 + 1), add=60 + 2 * (60 - 6) + 6, special=6)
    assert cost_of(aten.native_batch_norm_backward, *args, ALL) == expected
    input_only = cost_of(aten.native_batch_norm_backward, *args, [True, False, False])
    assert input_only == Cost(mul=2 * 60, add=6, special=6)


def test_gradients_without_elements_are_free() -> None:
    empty, channel = meta(0, 6, 5), meta(6)
    args = (empty, empty, channel, channel, channel, channel, channel, True, 1e-5, ALL)
    assert formula_cost(aten.native_batch_norm_backward.default, *args) == Cost()
    args = (empty, empty, [6, 5], meta(0, 1), meta(0, 1), meta(6, 5), meta(6, 5), ALL)
    assert formula_cost(aten.native_layer_norm_backward.default, *args) == Cost()
    args = (empty, empty, [6, 5], meta(0, 1), meta(6, 5), [True, True])
    assert formula_cost(aten._fused_rms_norm_backward.default, *args) == Cost()
    args = (empty, empty, channel, channel, channel, True, True, True)
    assert formula_cost(aten.batch_norm_backward_reduce.default, *args) == Cost()


def test_gradients_of_synchronized_batch_norm() -> None:
    channel = meta(6)
    args = (NORM_X, NORM_X, channel, channel)
    cost = formula_cost(aten.batch_norm_backward_reduce.default, *args, channel, True, True, True)
    # sum of g, x - mean, g *, the sum of that; rstd * for gamma
    assert cost == Cost(add=60 + 2 * (60 - 6), mul=60 + 6)
    cost = formula_cost(aten.batch_norm_backward_elemt.default, *args, channel, channel, channel, meta(1))
    # three subtractions, two factors; per channel two divisions by n, rstd rstd, sum *, gamma rstd
    assert cost == Cost(add=3 * 60, mul=2 * 60 + 3 * 6, div=2 * 6)


def test_gradients_of_rms_norm() -> None:
    # x^; h; h x^, x^ mean, rstd *; a mean and a subtraction; grad_gamma: g x^ and its sum over 12 rows
    args = (NORM_X, NORM_X, [5], meta(2, 6, 1))
    cost = formula_cost(aten._fused_rms_norm_backward.default, *args, meta(5), [True, True])
    assert cost == Cost(mul=60 * (1 + 1 + 3 + 1), add=(60 - 12) + 60 + (60 - 5), div=12)
    cost = formula_cost(aten._fused_rms_norm_backward.default, *args, None, [True, True])
    assert cost == Cost(mul=60 * (1 + 3), add=(60 - 12) + 60, div=12)


def test_gradients_of_weight_norm() -> None:
    # v [3, 5] with 3 norms: g v, its sum, / norm; m / norm; coefficient / norm, v *, g -, * (m / norm)
    args = (X, X, meta(3, 1), meta(3, 1), 0)
    expected = Cost(mul=3 * 15, add=(15 - 3) + 15, div=3 * 3)
    assert formula_cost(aten._weight_norm_interface_backward.default, *args) == expected
    assert formula_cost(aten._weight_norm_differentiable_backward.default, *args) == expected
