"""Convolutions and their gradients against counts worked out by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given
from torch import nn
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import calls_of, cost_of, flops_of, formula_cost

meta = partial(torch.empty, device="meta")
int8 = partial(meta, dtype=torch.int8)
complex64 = partial(meta, dtype=torch.complex64)
aten = torch.ops.aten
ALL = [True, True, True]


# Outputs N times taps K = C_in / groups * prod(kernel); a bias is N additions.
CONVOLUTIONS: dict[str, tuple[Callable[[], Any], Cost]] = {
    # (11 + 2 * 1 - 2 * (5 - 1) - 1) // 2 + 1 = 3 places
    "stride padding dilation": (
        partial(F.conv1d, meta(2, 3, 11), meta(4, 3, 5), meta(4), stride=2, padding=1, dilation=2),
        Cost(macs=(2 * 4 * 3) * (3 * 5), add=2 * 4 * 3),
    ),
    "worked example": (partial(F.conv2d, meta(1, 1, 130, 40), meta(32, 1, 4, 10), stride=(2, 8)), Cost(macs=327_680)),
    "groups": (
        partial(F.conv2d, meta(1, 6, 7, 5), meta(9, 2, 3, 2), meta(9), groups=3),
        Cost(macs=(9 * 5 * 4) * (2 * 3 * 2), add=9 * 5 * 4),
    ),
    "depthwise": (
        partial(F.conv2d, meta(2, 5, 8, 7), meta(5, 1, 3, 3), padding=1, groups=5),
        Cost(macs=(2 * 5 * 8 * 7) * 9),
    ),
    "same padding": (
        partial(F.conv2d, meta(1, 2, 5, 7), meta(3, 2, 3, 3), padding="same"),
        Cost(macs=(3 * 5 * 7) * (2 * 9)),
    ),
    "valid padding": (partial(F.conv1d, meta(1, 2, 7), meta(3, 2, 3), padding="valid"), Cost(macs=(3 * 5) * (2 * 3))),
    "unbatched": (partial(F.conv2d, meta(2, 5, 7), meta(3, 2, 3, 3)), Cost(macs=(3 * 3 * 5) * (2 * 9))),
    "one by one": (partial(F.conv2d, meta(1, 2, 1, 1), meta(3, 2, 1, 1)), Cost(macs=3 * 2)),
    "three axes": (partial(F.conv3d, meta(1, 2, 4, 5, 6), meta(3, 2, 2, 2, 3)), Cost(macs=(3 * 3 * 4 * 4) * (2 * 12))),
    "no examples": (partial(F.conv2d, meta(0, 2, 5, 7), meta(3, 2, 3, 3), meta(3)), Cost()),
    "channels last": (
        partial(F.conv2d, meta(2, 5, 7, 3).permute(0, 3, 1, 2), meta(4, 3, 2, 2)),
        Cost(macs=(2 * 4 * 4 * 6) * (3 * 4)),
    ),
    "integers": (partial(F.conv2d, int8(1, 2, 5, 5), int8(3, 2, 2, 2), int8(3)), Cost(macs=(3 * 4 * 4) * (2 * 4))),
    # a complex mac is 4 macs, a complex addition 2 additions
    "complex": (
        partial(F.conv2d, complex64(1, 2, 5, 5), complex64(3, 2, 2, 2), complex64(3)),
        Cost(macs=4 * (3 * 4 * 4) * (2 * 4), add=2 * (3 * 4 * 4)),
    ),
    "as the general operator": (
        partial(aten.convolution, meta(1, 6, 7, 5), meta(9, 2, 3, 2), meta(9), [1], [0], [1], False, [0], 3),
        Cost(macs=(9 * 5 * 4) * (2 * 3 * 2), add=9 * 5 * 4),
    ),
}


# Inputs times taps = C_out / groups * prod(kernel).
TRANSPOSED: dict[str, tuple[Callable[[], Any], Cost]] = {
    # places: (7 - 1) * 3 + 4 = 22
    "one axis": (
        partial(F.conv_transpose1d, meta(2, 3, 7), meta(3, 5, 4), meta(5), stride=3),
        Cost(macs=(2 * 3 * 7) * (5 * 4), add=2 * 5 * 22),
    ),
    # rows: (3 - 1) * 2 + 2 = 6; columns: (5 - 1) * 2 + 3 = 11
    "groups": (
        partial(F.conv_transpose2d, meta(1, 4, 3, 5), meta(4, 3, 2, 3), meta(6), stride=2, groups=2),
        Cost(macs=(4 * 3 * 5) * (3 * 2 * 3), add=6 * 6 * 11),
    ),
    # the places that output padding adds receive nothing but the bias
    "output padding": (
        partial(F.conv_transpose2d, meta(1, 4, 3, 5), meta(4, 3, 2, 3), meta(6), 2, output_padding=1, groups=2),
        Cost(macs=(4 * 3 * 5) * (3 * 2 * 3), add=6 * 7 * 12),
    ),
    "three axes, no bias": (
        partial(F.conv_transpose3d, meta(1, 2, 2, 3, 4), meta(2, 3, 1, 2, 3)),
        Cost(macs=(2 * 2 * 3 * 4) * (3 * 6)),
    ),
    "as the general operator": (
        partial(aten.convolution, meta(1, 4, 3, 5), meta(4, 3, 2, 3), meta(6), [2], [0], [1], True, [0], 2),
        Cost(macs=(4 * 3 * 5) * (3 * 2 * 3), add=6 * 6 * 11),
    ),
    "no examples": (partial(F.conv_transpose1d, meta(0, 3, 7), meta(3, 5, 4), meta(5)), Cost()),
}


CASES = CONVOLUTIONS | {f"transposed, {name}": case for name, case in TRANSPOSED.items()}


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


def test_every_form_costs_the_same() -> None:
    image, kernel, bias = meta(2, 3, 6, 7), meta(4, 3, 2, 3), meta(4)
    forms = [
        partial(F.conv2d, image, kernel, bias),
        partial(nn.Conv2d(3, 4, (2, 3), device="meta"), image),
        partial(torch.convolution, image, kernel, bias, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
        lambda: F.conv2d(image, kernel) + meta(4, 1, 1),
    ]
    # 5 * 5 places
    assert [cost_of(form) for form in forms] == [Cost(macs=(2 * 4 * 25) * (3 * 6), add=2 * 4 * 25)] * len(forms)


# Gradients: y [2, 6, 4, 3] of x [2, 4, 6, 5] under a kernel 3x3


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ((True, True, True), Cost(macs=2 * (2 * 6 * 4 * 3) * (4 * 9), add=2 * 6 * 4 * 3 - 6)),
        ((True, False, False), Cost(macs=(2 * 6 * 4 * 3) * (4 * 9))),
        ((False, True, False), Cost(macs=(2 * 6 * 4 * 3) * (4 * 9))),
        ((False, False, True), Cost(add=2 * 6 * 4 * 3 - 6)),
        ((False, False, False), Cost()),
    ],
)
def test_convolution_costs_its_forward_for_each_gradient(mask: Any, expected: Cost) -> None:
    gradient, x, weight = meta(2, 6, 4, 3), meta(2, 4, 6, 5), meta(6, 4, 3, 3)
    options = [[1, 1], [0, 0], [1, 1], False, [0, 0], 1]
    assert cost_of(aten.convolution_backward, gradient, x, weight, [6], *options, mask) == expected
    assert formula_cost(aten.convolution_backward_overrideable.default, gradient, x, weight, *options, mask) == expected
    slow = aten._slow_conv2d_backward.output_mask
    assert formula_cost(slow, gradient, x, weight, [3, 3], [1, 1], [0, 0], list(mask)) == expected
    mps = aten.mps_convolution_backward.default
    assert formula_cost(mps, x, gradient, weight, [0, 0], [1, 1], [1, 1], 1, list(mask)) == expected


def test_slow_convolution_writing_into_given_gradients_computes_all_of_them() -> None:
    gradient, x, weight = meta(2, 6, 4, 3), meta(2, 4, 6, 5), meta(6, 4, 3, 3)
    out = {"grad_input": meta(0), "grad_weight": meta(0), "grad_bias": meta(0)}
    cost = formula_cost(aten._slow_conv2d_backward.grad_input, gradient, x, weight, [3, 3], [1, 1], [0, 0], **out)
    assert cost == Cost(macs=2 * 144 * 36, add=144 - 6)


def test_grouped_convolution_contracts_over_the_channels_of_a_group() -> None:
    # y [2, 6, 7] of x [2, 4, 9] in 2 groups: 2 channels per group, a kernel of 3
    options = [[1], [0], [1], False, [0], 2, ALL]
    cost = cost_of(aten.convolution_backward, meta(2, 6, 7), meta(2, 4, 9), meta(6, 2, 3), [6], *options)
    assert cost == Cost(macs=2 * (2 * 6 * 7) * (2 * 3), add=2 * 6 * 7 - 6)


def test_transposed_convolution_counts_from_its_input() -> None:
    # y [2, 6, 11] of x [2, 4, 5], a kernel of 3, a stride of 2: 2 * 4 * 5 inputs, each spread over 6 * 3 taps
    options = [[2], [0], [1], True, [0], 1, ALL]
    cost = cost_of(aten.convolution_backward, meta(2, 6, 11), meta(2, 4, 5), meta(4, 6, 3), [6], *options)
    assert cost == Cost(macs=2 * (2 * 4 * 5) * (6 * 3), add=2 * 6 * 11 - 6)
    mps = aten.mps_convolution_transpose_backward.default
    cost = formula_cost(mps, meta(2, 4, 5, 1), meta(2, 6, 11, 1), meta(4, 6, 3, 1), [0], [0], [2], [1], 1, [True, True])
    assert cost == Cost(macs=2 * (2 * 4 * 5) * (6 * 3))


def test_convolution_without_examples_is_free() -> None:
    options = [[1], [0], [1], False, [0], 1, ALL]
    assert cost_of(aten.convolution_backward, meta(0, 6, 7), meta(0, 4, 9), meta(6, 4, 3), [6], *options) == Cost()


def test_convolution_over_time() -> None:
    # y [7, 2, 6] of x [9, 2, 4], weight [3, 4, 6]
    cost = cost_of(aten.conv_tbc_backward, meta(7, 2, 6), meta(9, 2, 4), meta(3, 4, 6), meta(6), 0)
    assert cost == Cost(macs=2 * (7 * 2 * 6) * (3 * 4), add=7 * 2 * 6 - 6)


def test_second_gradient_of_a_convolution_is_counted_by_its_convolutions() -> None:
    # y [2, 4, 3, 3] of x [2, 3, 5, 5] under a kernel 3x3
    x, weight, gradient = meta(2, 3, 5, 5), meta(4, 3, 3, 3), meta(2, 4, 3, 3)
    options = [[1, 1], [0, 0], [1, 1], False, [0, 0], 1, ALL]
    calls = calls_of(aten._convolution_double_backward, x, weight, meta(4), gradient, weight, x, *options)
    assert not [call.name for call in calls if call.uncounted]
    # ggy = conv(ggx, w) + conv(x, ggw) + ggb, gw = conv of (ggx, gy), gx = transposed conv of (gy, ggw)
    assert sum(call.cost.macs for call in calls) == 4 * (2 * 4 * 3 * 3) * (3 * 9)
    assert sum(call.cost.add for call in calls) == 2 * (2 * 4 * 3 * 3)


@pytest.mark.parametrize("transposed", [False, True])
def test_torch_counts_the_weight_gradient_of_grouped_convolutions_once_too_often_per_group(transposed: bool) -> None:
    """torch.utils.flop_counter contracts it over all channels; only those of a group take part."""
    x, gradient, weight = meta(2, 6, 9), meta(2, 6, 9), meta(6, 2, 3)
    options = [[1], [1], [1], transposed, [0], 3]
    for mask, factor in (([True, False, False], 1), ([False, True, False], 3)):

        def backward(mask=mask):
            return aten.convolution_backward(gradient, x, weight, [6], *options, mask)

        assert cost_of(backward) == Cost(macs=2 * 6 * 9 * 2 * 3)
        assert flops_of(backward) == 2 * factor * (2 * 6 * 9 * 2 * 3)


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    """What places the windows of a convolution over two axes, and the size of what they are placed on."""
    axes = [st.integers(1, 3), st.integers(0, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 12)]
    stride, padding, dilation, kernel, size = (draw(st.tuples(each, each)) for each in axes)
    reached = (apart * (taps - 1) for apart, taps in zip(dilation, kernel, strict=True))
    assume(all(have + 2 * rim > far for have, rim, far in zip(size, padding, reached, strict=True)))
    return {"stride": stride, "padding": padding, "dilation": dilation, "kernel": kernel, "size": size}


@given(windows(), st.integers(1, 2), st.booleans())
def test_products_with_padding_are_none_of_a_sum_over_ones(
    window: dict[str, Any], groups: int, transposed: bool
) -> None:
    """A convolution of ones with ones has 1 for every product that is not with padding; its gradients as well."""
    size, kernel, placed = window.pop("size"), window.pop("kernel"), [*window.values()]
    assume(not transposed or all(have > 2 * rim for have, rim in zip(size, placed[1], strict=True)))
    channels = (4, 6) if transposed else (6, 4)
    x = torch.ones(2, 4, *size, requires_grad=True)
    weight = torch.ones(channels[0], channels[1] // groups, *kernel, requires_grad=True)
    y = aten.convolution(x, weight, None, *placed, transposed, [0, 0], groups)
    y.sum().backward()
    assert x.grad is not None
    assert weight.grad is not None
    assert x.grad.sum() == weight.grad.sum() == y.sum()

    x, weight, y = x.detach(), weight.detach(), y.detach()
    (forward,) = calls_of(aten.convolution, x, weight, None, *placed, transposed, [0, 0], groups)
    mask = [True, True, False]
    (backward,) = calls_of(
        aten.convolution_backward,
        y.detach(),
        x.detach(),
        weight.detach(),
        [0],
        *placed,
        transposed,
        [0, 0],
        groups,
        mask,
    )
    within = forward.cost.macs - forward.quantities["padded"]
    assert within == y.sum() if window["stride"] == (1, 1) else within <= y.sum()
    assert backward.quantities["padded"] == 2 * forward.quantities["padded"]


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("taps", [1, 2, 3, 4])
def test_products_with_padding_that_keeps_the_size(taps: int, dilation: int) -> None:
    x, weight = torch.ones(1, 1, 7), torch.ones(1, 1, taps)
    (call,) = calls_of(F.conv1d, x, weight, padding="same", dilation=dilation)
    assert call.cost.macs - call.quantities["padded"] == F.conv1d(x, weight, padding="same", dilation=dilation).sum()
