"""Convolutions and products of vendor libraries cost what the plain ones cost, and their activations on top."""

from typing import Any

import pytest
import torch

from fxcount.cost import Cost
from fxcount.formulas import find_formula
from tests.costing import formula_cost as priced

aten, mkldnn = torch.ops.aten, torch.ops.mkldnn


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


X, W, B, OUT = meta(2, 4, 9, 8), meta(6, 2, 3, 4), meta(6), meta(2, 6, 7, 5)
N = 2 * 6 * 7 * 5
PLAIN = Cost(macs=N * 2 * 3 * 4)
BIASED = PLAIN + Cost(add=N)
ONE, NONE = [1, 1], [0, 0]


@pytest.mark.parametrize(
    ("operator", "args", "cost"),
    [
        (aten.cudnn_convolution.default, (X, W, NONE, ONE, ONE, 2, False, False, False), PLAIN),
        (aten.mkldnn_convolution.default, (X, W, B, NONE, ONE, ONE, 2), BIASED),
        (aten.miopen_convolution.default, (X, W, B, NONE, ONE, ONE, 2, False, False), BIASED),
        (aten._mps_convolution.default, (X, W, None, NONE, ONE, ONE, 2), PLAIN),
        (aten._slow_conv2d_forward.default, (X, W, [3, 4], B, ONE, NONE), BIASED),
        (aten.slow_conv_dilated2d.default, (X, W, [3, 4], B), BIASED),
        (aten.cudnn_convolution_relu.default, (X, W, B, ONE, NONE, ONE, 2), BIASED + Cost(cmp=N)),
        (
            aten.cudnn_convolution_add_relu.default,
            (X, W, OUT, 0.5, B, ONE, NONE, ONE, 2),
            BIASED + Cost(add=N, mul=N, cmp=N),
        ),
        (
            aten.miopen_convolution_add_relu.default,
            (X, W, OUT, None, None, ONE, NONE, ONE, 2),
            PLAIN + Cost(add=N, cmp=N),
        ),
        (mkldnn._convolution_pointwise.default, (X, W, B, NONE, ONE, ONE, 2, "none", [], ""), BIASED),
        (mkldnn._convolution_pointwise.default, (X, W, B, NONE, ONE, ONE, 2, "relu", [], ""), BIASED + Cost(cmp=N)),
        (
            mkldnn._convolution_pointwise.binary,
            (X, OUT, W, B, NONE, ONE, ONE, 2, "add", 2.0, "relu", [], ""),
            BIASED + Cost(add=N, mul=N, cmp=N),
        ),
        (
            mkldnn._convolution_pointwise_.binary,
            (OUT, X, W, None, NONE, ONE, ONE, 2, "add", None, None, [], None),
            PLAIN + Cost(add=N),
        ),
    ],
)
def test_convolution(operator: Any, args: Any, cost: Cost) -> None:
    assert priced(operator, *args, out=OUT) == cost


@pytest.mark.parametrize(
    ("operator", "args", "cost"),
    [
        (aten.cudnn_convolution_transpose.default, (NONE, NONE, ONE, ONE, 1, False, False, False), Cost()),
        (aten.miopen_convolution_transpose.default, (B, NONE, NONE, ONE, ONE, 1, False, False), Cost(add=2 * 6 * 99)),
        (aten.slow_conv_transpose2d.default, ([3, 2], B), Cost(add=2 * 6 * 99)),
        (
            mkldnn._convolution_transpose_pointwise.default,
            (None, NONE, NONE, ONE, ONE, 1, "leaky_relu", [0.1], ""),
            Cost(mul=2 * 6 * 99, cmp=2 * 6 * 99),
        ),
        (
            mkldnn._convolution_transpose_pointwise.default,
            (B, NONE, NONE, ONE, ONE, 1, "swish", [], ""),  # x / (1 + exp(-x))
            2 * 6 * 99 * Cost(add=1 + 1, special=1, div=1, mul=1),
        ),
    ],
)
def test_transposed_convolution(operator: Any, args: Any, cost: Cost) -> None:
    x, weight, out = meta(2, 4, 9, 8), meta(4, 6, 3, 2), meta(2, 6, 11, 9)
    assert priced(operator, x, weight, *args, out=out) == Cost(macs=2 * 4 * 9 * 8 * 6 * 3 * 2) + cost


def test_convolution_over_time() -> None:
    # [time, batch, channels], a kernel of 3
    assert priced(aten.conv_tbc.default, meta(9, 2, 4), meta(3, 4, 6), meta(6), out=meta(7, 2, 6)) == Cost(
        macs=7 * 2 * 6 * 3 * 4, add=7 * 2 * 6
    )


def test_linear() -> None:
    x, weight, bias, out = meta(3, 8), meta(5, 8), meta(5), meta(3, 5)
    product = Cost(macs=3 * 5 * 8, add=15)
    assert priced(aten.mkldnn_linear.default, x, weight, bias, out=out) == product
    assert priced(torch.ops.mkl._mkl_linear.default, x, weight, weight, bias, 3, out=out) == product
    gelu = (x, weight, bias, "gelu", [], "none")
    assert priced(mkldnn._linear_pointwise.default, *gelu, out=out) == product + Cost(mul=3 * 15, add=15, special=15)
    for attr, cost in {"add": Cost(add=15), "mul": Cost(mul=15)}.items():
        assert priced(mkldnn._linear_pointwise.binary, x, out, weight, bias, attr, out=out) == product + cost
    assert priced(
        torch.ops.inductor._mm_plus_mm.default, meta(3, 8), meta(8, 5), meta(3, 2), meta(2, 5), out, out=out
    ) == Cost(macs=15 * (8 + 2), add=15)


def test_an_unknown_activation_is_refused() -> None:
    formula = find_formula(mkldnn._linear_pointwise.default)
    assert formula is not None
    call = formula((meta(3, 8), meta(5, 8), None, "soft_relu", [], ""), {}, meta(3, 5))
    assert "soft_relu" in call.uncounted


@pytest.mark.parametrize(("activation", "extra"), [("none", Cost()), ("relu", Cost(cmp=15)), ("silu", None)])
def test_mixed_linear(activation: str, extra: Cost | None) -> None:
    extra = Cost(special=15, add=15, div=15, mul=15) if extra is None else extra
    x, weight = meta(3, 8), meta(8, 5, dtype=torch.int8)
    cost = priced(
        aten._mixed_dtypes_linear.default, x, weight, meta(5), bias=meta(5), activation=activation, out=meta(3, 5)
    )
    assert cost == Cost(macs=3 * 5 * 8, mul=15, add=15) + extra


def test_onednn() -> None:
    x, scale = meta(3, 8, dtype=torch.uint8), meta(5)
    weight, out = meta(8, 5, dtype=torch.int8), meta(3, 5)
    end = (0.1, 0, None)
    linear = torch.ops.onednn.qlinear_pointwise
    assert priced(linear.default, x, 0.1, 0, weight, scale, scale, meta(5), *end, "gelu", [], "tanh", out=out) == Cost(
        macs=3 * 5 * 8, add=15 + 2 * 15, mul=6 * 15, special=15
    )
    assert priced(
        linear.binary, x, 0.1, 0, weight, scale, scale, out, None, *end, 1.0, 0, "add", 1.0, "relu", [], "", out=out
    ) == Cost(macs=3 * 5 * 8, add=15, cmp=15)
    image, kernel, convolved = meta(1, 4, 7, 7, dtype=torch.uint8), meta(6, 4, 3, 3, dtype=torch.int8), meta(1, 6, 5, 5)
    shape = ([1, 1], [0, 0], [1, 1], 1)
    assert priced(
        torch.ops.onednn.qconv2d_pointwise.default,
        *(image, 0.1, 0, kernel, scale, scale, None, *shape, *end, "relu", [], ""),
        out=convolved,
    ) == Cost(macs=6 * 5 * 5 * 4 * 3 * 3, cmp=6 * 5 * 5)
