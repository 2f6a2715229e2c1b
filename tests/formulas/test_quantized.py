"""A quantised operator costs what its counterpart on real numbers costs."""

from typing import Any

import pytest
import torch

from fxcount.cost import Cost
from fxcount.formulas import REFUSED, find_formula

pytestmark = pytest.mark.filterwarnings("ignore")  # torch deprecates its own quantised tensors


def priced(operator: Any, *args: Any, out: Any = None, **kwargs: Any) -> Cost:
    """What the call costs, run on the CPU unless its result is given."""
    out = operator(*args, **kwargs) if out is None else out
    formula = find_formula(operator)
    assert formula is not None
    priced = formula(args, kwargs, out)
    assert not priced.uncounted
    return priced.cost


def quint8(*shape: int) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.rand(shape), 0.1, 3, torch.quint8)


def qint8(*shape: int) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.rand(shape), 0.1, 0, torch.qint8)


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


quantized = torch.ops.quantized
aten = torch.ops.aten
BIAS = torch.rand(6)
CONVOLVED = 1 * 6 * 4 * 2  # [1, 6, (9-3)/2+1, 5-4+1]
TAPS = 4 // 2 * 3 * 4


@pytest.mark.parametrize(
    ("operator", "bias", "cost"),
    [
        (quantized.conv2d.new, None, Cost(macs=CONVOLVED * TAPS)),
        (quantized.conv2d.new, BIAS, Cost(macs=CONVOLVED * TAPS, add=CONVOLVED)),
        (quantized.conv2d_relu.new, BIAS, Cost(macs=CONVOLVED * TAPS, add=CONVOLVED, cmp=CONVOLVED)),
    ],
)
def test_convolution(operator: Any, bias: Any, cost: Cost) -> None:
    packed = quantized.conv2d_prepack(qint8(6, 2, 3, 4), bias, [2, 1], [0, 0], [1, 1], 2)
    assert priced(operator, quint8(1, 4, 9, 5), packed, 0.1, 0) == cost


def test_convolution_of_other_ranks() -> None:
    line = quantized.conv1d_prepack(qint8(6, 4, 3), BIAS, [2], [1], [1], 1)
    outputs = 2 * 6 * 4  # (7 + 2 - 3) / 2 + 1 = 4
    assert priced(quantized.conv1d.default, quint8(2, 4, 7), line, 0.1, 0) == Cost(macs=outputs * 4 * 3, add=outputs)
    cube = quantized.conv3d_prepack(qint8(6, 4, 3, 2, 1), None, [1, 1, 1], [0, 0, 0], [1, 1, 1], 1)
    outputs = 6 * 3 * 4 * 5
    assert priced(quantized.conv3d.new, quint8(1, 4, 5, 5, 5), cube, 0.1, 0) == Cost(macs=outputs * 4 * 3 * 2 * 1)


def test_transposed_convolution() -> None:
    packed = quantized.conv_transpose2d_prepack(qint8(4, 6, 3, 5), BIAS, [2, 1], [1, 1], [0, 0], [1, 1], 1)
    x = quint8(1, 4, 5, 7)  # to [1, 6, (5-1)*2-2+3, 7-1-2+5]
    assert priced(quantized.conv_transpose2d.default, x, packed, 0.1, 0) == Cost(
        macs=4 * 5 * 7 * 6 * 3 * 5, add=6 * 9 * 9
    )


@pytest.mark.parametrize(
    ("operator", "arguments", "cost"),
    [
        (quantized.linear.default, (0.1, 0), Cost(macs=3 * 6 * 4, add=3 * 6)),
        (quantized.linear_relu.default, (0.1, 0), Cost(macs=3 * 6 * 4, add=3 * 6, cmp=3 * 6)),
        (quantized.linear_leaky_relu.default, (0.1, 0, 0.2), Cost(macs=3 * 6 * 4, add=3 * 6, cmp=3 * 6, mul=3 * 6)),
        (quantized.linear_tanh.default, (0.1, 0), Cost(macs=3 * 6 * 4, add=3 * 6, special=3 * 6)),
    ],
)
def test_linear(operator: Any, arguments: Any, cost: Cost) -> None:
    packed = quantized.linear_prepack(qint8(6, 4), BIAS)
    assert priced(operator, quint8(3, 4), packed, *arguments, out=quint8(3, 6)) == cost


def test_dynamic_linear_costs_what_a_linear_costs() -> None:
    packed = quantized.linear_prepack(qint8(6, 4), None)
    assert priced(quantized.linear_dynamic.default, torch.rand(2, 3, 4), packed) == Cost(macs=2 * 3 * 6 * 4)
    halves = quantized.linear_prepack_fp16(torch.rand(6, 4), BIAS)
    assert priced(quantized.linear_dynamic_fp16.default, torch.rand(3, 4), halves) == Cost(macs=3 * 6 * 4, add=3 * 6)


def test_a_weight_that_cannot_be_read_is_refused() -> None:
    formula = find_formula(quantized.linear.default)
    assert formula is not None
    assert "packed weight" in formula((quint8(3, 4), object(), 0.1, 0), {}, quint8(3, 6)).uncounted


N = 3 * 5 * 7
X = (3, 5, 7)
SIGMOID = Cost(special=N, add=N, div=N)


@pytest.mark.parametrize(
    ("operator", "arguments", "cost"),
    [
        (quantized.add.default, (quint8(*X), 0.1, 0), Cost(add=N)),
        (quantized.add.Scalar, (2.5,), Cost(add=N)),
        (quantized.add_relu.default, (quint8(*X), 0.1, 0), Cost(add=N, cmp=N)),
        (quantized.mul.default, (quint8(*X), 0.1, 0), Cost(mul=N)),
        (quantized.mul_scalar.default, (2.5,), Cost(mul=N)),
        (quantized.mul_relu.default, (quint8(*X), 0.1, 0), Cost(mul=N, cmp=N)),
        (quantized.relu6.default, (), Cost(cmp=2 * N)),
        (quantized.clamp.default, (0.1, 0.5), Cost(cmp=2 * N)),
        (quantized.sigmoid.default, (0.1, 0), SIGMOID),
        (quantized.hardswish.default, (0.1, 0), Cost(add=N, cmp=2 * N, div=N, mul=N)),
        (quantized.leaky_relu.default, (0.1, False, 0.1, 0), Cost(cmp=N, mul=N)),
        (quantized.elu.default, (0.1, 0), Cost(cmp=N, special=N, add=N, mul=N)),
        (quantized.threshold.default, (0.1, 0.0), Cost(cmp=N)),
        (quantized.dropout.default, (0.1, 0, 0.5, False), Cost()),
    ],
)
def test_pointwise(operator: Any, arguments: Any, cost: Cost) -> None:
    x = quint8(*X)
    assert priced(operator, x, *arguments, out=x) == cost


def test_normalisation() -> None:
    x, weight = quint8(2, 5, 3, 3), torch.ones(5)
    n = 2 * 5 * 3 * 3
    given = (weight, weight, weight, weight, 1e-5, 0.1, 0)
    normed = Cost(mul=2 * n, add=n + 5 + n, special=5)
    assert priced(quantized.batch_norm2d.default, x, *given) == normed
    assert priced(quantized.batch_norm2d_relu.default, x, *given) == normed + Cost(cmp=n)
    assert priced(aten.quantized_batch_norm.default, x, *given) == normed
    m = 2 * 3
    x, weight = quint8(2, 3, 7), torch.ones(7)
    assert priced(quantized.layer_norm.default, x, [7], weight, weight, 1e-5, 0.1, 0) == Cost(
        mul=2 * 42, div=42 + 2 * m, add=3 * 42 - 2 * m + m + 42, special=m
    )
    assert priced(quantized.instance_norm.default, quint8(2, 3, 7, 1), None, None, 1e-5, 0.1, 0) == Cost(
        mul=42, div=42 + 2 * m, add=3 * 42 - m, special=m
    )


def test_pool_of_quantised_values() -> None:
    x = quint8(1, 2, 7, 7)
    outputs = 2 * 3 * 3
    pool = quantized.max_pool2d.default
    assert priced(pool, x, [3, 3], [2, 2], [0, 0], [1, 1], False) == Cost(cmp=outputs * (3 * 3 - 1))


F = 5 * 7


ONES, ZEROS = torch.ones(7), torch.zeros(7, dtype=torch.int32)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (aten.quantize_per_tensor.default, (0.1, 3, torch.quint8)),
        (aten.quantize_per_tensor.tensor_qparams, (ONES[0], ZEROS[0], torch.qint8)),
        (aten.quantize_per_channel.default, (ONES, ZEROS, 1, torch.qint8)),
    ],
)
def test_quantise(operator: Any, arguments: Any) -> None:
    # q = clamp(round(x / scale + zero point)): one division, one addition, one rounding, two bounds
    assert priced(operator, torch.rand(5, 7), *arguments) == Cost(div=F, add=F, cmp=3 * F)


def test_dequantise() -> None:
    assert priced(aten.dequantize.self, quint8(5, 7)) == Cost(add=F, mul=F)


FAKE = Cost(div=F, add=2 * F, mul=F, cmp=3 * F)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (aten.fake_quantize_per_tensor_affine.default, (0.1, 0, 0, 255)),
        (aten.fake_quantize_per_tensor_affine_cachemask.default, (0.1, 0, 0, 255)),
        (aten.fake_quantize_per_channel_affine.default, (ONES, ZEROS, 1, 0, 255)),
        (aten._fake_quantize_learnable_per_channel_affine.default, (ONES, ZEROS.float(), 1, 0, 255)),
    ],
)
def test_fake_quantise_is_quantise_and_dequantise(operator: Any, arguments: Any) -> None:
    assert priced(operator, torch.rand(5, 7), *arguments) == FAKE


def test_range_of_values() -> None:
    x = torch.rand(5, 7)
    # 34 comparisons for each of minimum and maximum, one of each with 0, then a rounding and two bounds
    chosen = Cost(cmp=2 * 34 + 2 + 3, add=2, div=2)
    assert priced(aten._choose_qparams_per_tensor.default, x) == chosen
    quantised = Cost(div=F, add=F, cmp=3 * F)
    assert priced(aten.quantize_per_tensor_dynamic.default, x, torch.quint8, False) == chosen + quantised
    assert "aten.choose_qparams_optimized" in REFUSED


@pytest.mark.parametrize(("per_row", "ranges"), [(False, 1), (True, 5)])
def test_observed_fake_quantise(per_row: bool, ranges: int) -> None:
    one, state = torch.ones(1, dtype=torch.long), torch.ones(ranges)
    helper = aten._fused_moving_avg_obs_fq_helper.default
    args = (one, one, state, state.clone(), state.clone(), torch.zeros(ranges, dtype=torch.int32), 0.01, 0, 255, 0)
    observed = Cost(cmp=2 * (F - ranges) + 5 * ranges, add=4 * ranges + 2 * ranges, mul=2 * ranges, div=2 * ranges)
    assert priced(helper, torch.rand(5, 7), *args, per_row) == observed + FAKE


def test_embedding_bag() -> None:
    packed = quantized.embedding_bag_prepack(
        torch.quantize_per_channel(torch.rand(10, 8), torch.ones(10), torch.zeros(10), 0, torch.quint8)
    )
    indices, offsets = torch.tensor([1, 2, 3, 9, 0]), torch.tensor([0, 3])
    bag = quantized.embedding_bag_byte.default
    assert priced(bag, packed, indices, offsets) == Cost(add=5 * 8)
    weights = {"per_sample_weights": torch.ones(5)}
    assert priced(bag, packed, indices, offsets, **weights) == Cost(add=5 * 8, mul=5 * 8)


E4M3 = torch.float8_e4m3fn


@pytest.mark.parametrize(
    ("scale_a", "scale_b", "bias", "scales"),
    [
        (meta(1), meta(1), None, 2),
        (meta(5, 1), meta(1, 32), meta(32), 2),
        (meta(5, 2), meta(2, 1), None, 4),  # blocks of 128
        (meta(1024, dtype=torch.float8_e8m0fnu), meta(1024, dtype=torch.float8_e8m0fnu), None, 16),  # 256 / 32 each
    ],
)
def test_scaled_product(scale_a: Any, scale_b: Any, bias: Any, scales: int) -> None:
    a, b, out = meta(5, 256, dtype=E4M3), meta(256, 32, dtype=E4M3), meta(5, 32)
    expected = Cost(macs=5 * 32 * 256, mul=5 * 32 * scales, add=5 * 32 * (bias is not None))
    assert priced(aten._scaled_mm.default, a, b, scale_a, scale_b, bias, out=out) == expected


def test_scaled_product_by_recipe() -> None:
    a, b, out = meta(5, 256, dtype=E4M3), meta(256, 32, dtype=E4M3), meta(5, 32)
    scaled = aten._scaled_mm_v2.default
    rows = (a, b, [meta(5, 1)], [1], [0], [meta(1, 32)], [1], [0], None, None)
    assert priced(scaled, *rows, out=out) == Cost(macs=5 * 32 * 256, mul=5 * 32 * 2)
    # sixteen blocks of 16 and a global scale, on both sides
    blocks = (a, b, [meta(1), meta(1)], [2, 0], [0, 0], [meta(1), meta(1)], [2, 0], [0, 0], None, None)
    assert priced(scaled, *blocks, out=out) == Cost(macs=5 * 32 * 256, mul=5 * 32 * 2 * (16 + 1))


@pytest.mark.parametrize(
    ("a", "b", "out", "macs"),
    [
        (meta(7, 16), meta(3, 16, 8), meta(7, 8), 7 * 16 * 8),  # rows in groups
        (meta(3, 7, 16), meta(16, 24), meta(7, 24), 7 * 16 * 24),  # columns in groups
        (meta(3, 7, 16), meta(3, 16, 8), meta(3, 7, 8), 3 * 7 * 16 * 8),
        (meta(7, 48), meta(48, 8), meta(3, 7, 8), 7 * 48 * 8),  # the contracted axis in groups
        (meta(7, 0), meta(0, 8), meta(0, 7, 8), 0),
    ],
)
def test_grouped_product(a: Any, b: Any, out: Any, macs: int) -> None:
    assert priced(aten._grouped_mm.default, a, b, None, out=out) == Cost(macs=macs)


def test_products_of_small_integers() -> None:
    a, b = meta(5, 16, dtype=torch.int8), meta(16, 8, dtype=torch.int8)
    assert priced(aten._int_mm.default, a, b, out=meta(5, 8, dtype=torch.int32)) == Cost(macs=5 * 16 * 8)
    x, out = meta(3, 64), meta(3, 32)
    assert priced(aten._weight_int8pack_mm.default, x, meta(32, 64, dtype=torch.int8), meta(32), out=out) == Cost(
        macs=3 * 32 * 64, mul=3 * 32
    )
    packed = meta(4, 1, 32, 4, dtype=torch.int32)
    assert priced(aten._weight_int4pack_mm.default, x, packed, 32, meta(2, 32, 2), out=out) == Cost(
        macs=3 * 32 * 64, mul=32 * 64, add=32 * 64
    )
    assert priced(aten._dyn_quant_matmul_4bit.default, x, meta(9), 32, 64, 32, out=out) == Cost(macs=3 * 32 * 64)


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
