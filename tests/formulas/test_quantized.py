"""A quantised operator costs what its counterpart on real numbers costs."""

from typing import Any

import pytest
import torch

from fxcount.cost import Cost
from fxcount.formulas import find_formula
from tests.costing import cost_when_run as priced

pytestmark = pytest.mark.filterwarnings("ignore")  # torch deprecates its own quantised tensors


def quint8(*shape: int) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.rand(shape), 0.1, 3, torch.quint8)


def qint8(*shape: int) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.rand(shape), 0.1, 0, torch.qint8)


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


@pytest.mark.parametrize(("operator", "rectified"), [(quantized.conv2d_add, 0), (quantized.conv2d_add_relu, 1)])
@pytest.mark.parametrize(("bias", "biased"), [(None, 0), (BIAS, 1)])
def test_convolution_and_a_sum(operator: Any, rectified: int, bias: Any, biased: int) -> None:
    packed = quantized.conv2d_prepack(qint8(6, 2, 3, 4), bias, [2, 1], [0, 0], [1, 1], 2)
    added = quint8(1, 6, 4, 2)
    assert priced(operator.default, quint8(1, 4, 9, 5), added, packed, 0.1, 0, out=added) == CONVOLVED * Cost(
        macs=TAPS, add=biased + 1, cmp=rectified
    )


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


LINEAR = Cost(macs=3 * 6 * 4, add=3 * 6)
HALF, BYTES = torch.rand(6, 4).half(), torch.zeros(6, 4, dtype=torch.int8)
FLOAT, ONE = torch.rand(3, 4), torch.ones(1)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (quantized.linear_dynamic_fp16_unpacked_weight.default, (HALF, BIAS)),
        (torch.ops.onednn.linear_dynamic_fp16.default, (HALF, BIAS)),
        (aten.fbgemm_linear_fp16_weight.default, (HALF, BIAS)),
        (aten.fbgemm_linear_int8_weight.default, (BYTES, BYTES, ONE, 0.1, 0, BIAS)),
        (aten._wrapped_quantized_linear_prepacked.default, (ONE, ONE, BYTES, ONE, ONE, 6)),
        (torch.ops._quantized.wrapped_quantized_linear.default, (ONE, ONE, BYTES, ONE, ONE, BIAS, ONE, ONE, 6)),
    ],
)
def test_linear_of_floating_point_numbers(operator: Any, arguments: Any) -> None:
    assert priced(operator, FLOAT, *arguments, out=torch.rand(3, 6)) == LINEAR


def test_linear_of_floating_point_numbers_with_a_rectifier() -> None:
    rectified = LINEAR + Cost(cmp=3 * 6)
    out = torch.rand(3, 6)
    assert priced(torch.ops.onednn.linear_relu_dynamic_fp16.default, FLOAT, HALF, BIAS, out=out) == rectified
    packed = quantized.linear_prepack(qint8(6, 4), BIAS)
    plain, rectifying = (f"linear_with_input_q_dq_qweight_dq_{name}output_fp32" for name in ("", "relu_"))
    assert priced(getattr(quantized, plain).default, FLOAT, 0.1, 0, packed, out=out) == LINEAR
    assert priced(getattr(quantized, rectifying).default, FLOAT, 0.1, 0, packed, out=out) == rectified


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
        (quantized.dropout.default, (0.1, 0, 0.5, True), Cost(mul=N)),
        (quantized.add_out.default, (quint8(*X), quint8(*X)), Cost(add=N)),
        (aten._saturate_weight_to_fp16.default, (), Cost(cmp=2 * N)),  # the bounds of half precision
        # over lines of 7: maximum; subtract it; exp; sum; divide
        (quantized.softmax.default, (-1, 0.1, 0), Cost(cmp=N - 15, add=N + N - 15, special=N, div=N)),
    ],
)
def test_pointwise(operator: Any, arguments: Any, cost: Cost) -> None:
    x = quint8(*X)
    assert priced(operator, x, *arguments, out=x) == cost


def test_concatenation_and_a_rectifier() -> None:
    out = quint8(3, 5, 9)
    assert priced(quantized.cat_relu.default, [quint8(3, 5, 7), quint8(3, 5, 2)], 2, 0.1, 0, out=out) == Cost(
        cmp=3 * 5 * 9
    )


def test_matrix_product() -> None:
    assert priced(quantized.matmul.default, quint8(2, 3, 5), quint8(2, 5, 7), 0.1, 0, out=quint8(2, 3, 7)) == Cost(
        macs=2 * 3 * 7 * 5
    )


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
    x, weight, m = quint8(2, 6, 5), torch.ones(6), 2 * 3  # in groups of two channels
    assert priced(quantized.group_norm.default, x, 3, weight, weight, 1e-5, 0.1, 0) == Cost(
        mul=2 * 60, div=60 + 2 * m, add=3 * 60 - m + 60, special=m
    )


def test_pool_of_quantised_values() -> None:
    x = quint8(1, 2, 7, 7)
    outputs = 2 * 3 * 3
    pool = quantized.max_pool2d.default
    assert priced(pool, x, [3, 3], [2, 2], [0, 0], [1, 1], False) == Cost(cmp=outputs * (3 * 3 - 1))


def test_embedding_bag() -> None:
    packed = quantized.embedding_bag_prepack(
        torch.quantize_per_channel(torch.rand(10, 8), torch.ones(10), torch.zeros(10), 0, torch.quint8)
    )
    indices, offsets = torch.tensor([1, 2, 3, 9, 0]), torch.tensor([0, 3])
    bag = quantized.embedding_bag_byte.default
    assert priced(bag, packed, indices, offsets) == Cost(add=5 * 8)
    weights = {"per_sample_weights": torch.ones(5)}
    assert priced(bag, packed, indices, offsets, **weights) == Cost(add=5 * 8, mul=5 * 8)
