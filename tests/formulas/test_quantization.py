"""Quantising and dequantising: the definitions of torch.ao.quantization, by hand."""

from typing import Any

import pytest
import torch

from fxcount.cost import Cost
from fxcount.formulas import REFUSED
from tests.costing import cost_when_run as priced
from tests.costing import formula_cost

pytestmark = pytest.mark.filterwarnings("ignore")  # torch deprecates its own quantised tensors

aten = torch.ops.aten


def quint8(*shape: int) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.rand(shape), 0.1, 3, torch.quint8)


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


@pytest.mark.parametrize("bits", ["byte", "4bit", "2bit"])
def test_rows_of_an_embedding(bits: str) -> None:
    prepack = getattr(torch.ops.quantized, f"embedding_bag_{bits}_prepack").default
    # of each row of 7 the smallest and the largest (6 each), their difference, the scale; of each element a
    # difference, a quotient, a rounding
    rows = 5 * Cost(cmp=6 + 6, add=1, div=1)
    assert priced(prepack, torch.rand(5, 7), out=torch.empty(5, 15)) == rows + F * Cost(add=1, div=1, cmp=1)


@pytest.mark.parametrize(("per_row", "ranges"), [(False, 1), (True, 5)])
def test_observed_fake_quantise(per_row: bool, ranges: int) -> None:
    one, state = torch.ones(1, dtype=torch.long), torch.ones(ranges)
    helper = aten._fused_moving_avg_obs_fq_helper.default
    args = (one, one, state, state.clone(), state.clone(), torch.zeros(ranges, dtype=torch.int32), 0.01, 0, 255, 0)
    observed = Cost(cmp=2 * (F - ranges) + 5 * ranges, add=4 * ranges + 2 * ranges, mul=2 * ranges, div=2 * ranges)
    assert priced(helper, torch.rand(5, 7), *args, per_row) == observed + FAKE


@pytest.mark.parametrize(("factor", "factored"), [(1.0, 0), (0.5, 1)])
def test_learnable_fake_quantization(factor: float, factored: int) -> None:
    x = torch.empty(3, 5, device="meta")
    # per element x / s, + zero, round, two bounds, - zero, - v, g *; two sums; per scale -s *, and the factor twice
    tensor = aten._fake_quantize_learnable_per_tensor_affine_backward.default
    cost = formula_cost(tensor, x, x, torch.empty(1, device="meta"), torch.empty(1, device="meta"), 0, 255, factor)
    assert cost == 15 * Cost(div=1, add=3, cmp=3, mul=1) + Cost(add=2 * (15 - 1), mul=1 + 2 * factored, cmp=1)
    channel = aten._fake_quantize_learnable_per_channel_affine_backward.default
    cost = formula_cost(channel, x, x, torch.empty(5, device="meta"), torch.empty(5, device="meta"), 1, 0, 255, factor)
    assert cost == 15 * Cost(div=1, add=3, cmp=3, mul=1) + Cost(add=2 * (15 - 5), mul=5 * (1 + 2 * factored), cmp=5)
