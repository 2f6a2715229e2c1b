"""Matrix products of numbers of few bits, whose scales are operands."""

from typing import Any

import pytest
import torch

from fxcount.cost import Cost
from tests.costing import cost_when_run as priced
from tests.optional import optional

aten = torch.ops.aten


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


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
    scaled = optional("ops.aten._scaled_mm_v2.default")
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


def test_grouped_product_with_a_bias() -> None:
    a, b, out = meta(7, 16), meta(3, 16, 8), meta(7, 8)
    assert priced(aten._grouped_mm.default, a, b, meta(3), meta(3, 8), out=out) == Cost(macs=7 * 16 * 8, add=7 * 8)


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
