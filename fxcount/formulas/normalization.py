"""Normalisation: statistics over groups of elements, then a shift and a scale of every element."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fxcount.cost import Quantities
from fxcount.formulas.registry import formula

FROM_INPUT = (
    "mul = elements + scaled, div = elements + 2 * statistics, "
    "add = 3 * elements - statistics + shifted, special = statistics"
)
"""Each statistic is a mean (elements - statistics additions, a division), a variance (a subtraction, a square, an
addition per element, a division), plus eps (an addition), under a root; each element is divided by the root, and an
affine one is scaled by gamma and shifted by beta."""


def _from_input(x: Any, statistics: int, weight: Any, bias: Any) -> Quantities:
    elements = x.numel()
    return {
        "elements": elements,
        "statistics": statistics if elements else 0,
        "scaled": 0 if weight is None else elements,
        "shifted": 0 if bias is None else elements,
    }


@formula("layer_norm native_layer_norm", FROM_INPUT)
def layer_norm(x: Any, normalized_shape: Sequence[int], weight: Any, bias: Any) -> Quantities:
    """(x - E[x]) / sqrt(Var[x] + eps) * gamma + beta over the last axes: one statistic for every other index."""
    return _from_input(x, x.numel() // max(1, prod(normalized_shape)), weight, bias)


@formula("group_norm", FROM_INPUT)
def group_norm(x: Any, num_groups: int, weight: Any, bias: Any) -> Quantities:
    """(x - E[x]) / sqrt(Var[x] + eps) * gamma + beta over each group of channels of each example."""
    return _from_input(x, x.shape[0] * num_groups, weight, bias)


@formula("native_group_norm", FROM_INPUT)
def native_group_norm(x: Any, weight: Any, bias: Any, batch: int, *, group: int) -> Quantities:
    """As ``group_norm``."""
    return _from_input(x, batch * group, weight, bias)


BATCH = (
    "mul = elements + scaled, div = measured + 2 * statistics, "
    "add = elements + 2 * measured - statistics + given + shifted, special = statistics + given"
)
"""With statistics from the input (measured = elements) as every normalisation. With given statistics, one sum with eps
and one reciprocal root per channel, and each element is shifted by the mean and multiplied with the root."""


def _batch(x: Any, from_input: bool, channels: int, weight: Any, bias: Any) -> Quantities:
    quantities = _from_input(x, channels, weight, bias)
    elements, statistics = quantities["elements"], quantities["statistics"]
    return {
        **quantities,
        "statistics": statistics if from_input else 0,
        "measured": elements if from_input else 0,
        "given": 0 if from_input else statistics,
    }


def _channels(x: Any) -> Any:
    """The size of the second axis; torch also takes an empty input of one axis."""
    return x.shape[1] if x.dim() > 1 else 0


@formula(
    "batch_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "_native_batch_norm_legit_functional _batch_norm_no_update _batch_norm_impl_index cudnn_batch_norm "
    "miopen_batch_norm",
    BATCH,
)
def batch_norm(x: Any, weight: Any, bias: Any, *, training: bool = False) -> Quantities:
    """(x - mean) / sqrt(var + eps) * gamma + beta per channel: each element is squared once for the variance (in
    training) or multiplied once with 1/sigma (with running statistics), and scaled once by gamma. Updating the
    running statistics does not reach the output and costs nothing."""
    return _batch(x, training, _channels(x), weight, bias)


@formula("_batch_norm_with_update _batch_norm_with_update_functional", BATCH)
def batch_norm_with_update(x: Any, weight: Any, bias: Any) -> Quantities:
    """As batch norm in training: it is only there that running statistics are updated."""
    return _batch(x, True, _channels(x), weight, bias)


@formula("instance_norm", BATCH)
def instance_norm(x: Any, weight: Any, bias: Any, *, use_input_stats: bool) -> Quantities:
    """As batch norm, with statistics of their own for each channel of each example."""
    channels = x.shape[0] * x.shape[1] if use_input_stats else x.shape[1]
    return _batch(x, use_input_stats, channels, weight, bias)


@formula(
    "rms_norm _fused_rms_norm",
    "mul = elements + scaled, div = elements + statistics, add = elements, special = statistics",
)
def rms_norm(x: Any, normalized_shape: Sequence[int], weight: Any) -> Quantities:
    """x / sqrt(mean(x^2) + eps) * gamma: a square per element, a mean (elements - statistics additions, a division),
    plus eps (an addition) under a root, and a division per element."""
    return _from_input(x, x.numel() // max(1, prod(normalized_shape)), weight, None)
