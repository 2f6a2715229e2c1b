"""Multiply-accumulates are half of what torch's own flop counter says, for every forward operator that it knows."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, flop_registry

from fxcount.formulas import find_formula, operator_name
from tests.costing import cost_of
from tests.optional import TORCH

meta = partial(torch.empty, device="meta")
half = partial(meta, dtype=torch.float16)
aten = torch.ops.aten

image, kernel, bias = meta(2, 6, 9, 7), meta(4, 3, 3, 2), meta(4)
up, up_bias = meta(6, 5, 3, 2), meta(10)
query, key, value = half(2, 4, 24, 16), half(2, 4, 40, 16), half(2, 4, 40, 8)
rows = [x.transpose(1, 2) for x in (query, key, half(2, 4, 40, 16))]  # attention kernels take heads last but one
eights = meta(16, 32, dtype=torch.float8_e4m3fn), meta(48, 32, dtype=torch.float8_e4m3fn).t()

joined, starts = (half(48, 4, 16), half(80, 4, 16), half(80, 4, 16)), meta(3, dtype=torch.int32)  # two sequences

# The operator, its arguments, and its (main) result.
CALLS: list[tuple[torch._ops.OpOverload, tuple[Any, ...], Any]] = [
    (aten.mm.default, (meta(3, 5), meta(5, 7)), meta(3, 7)),
    (aten.mm.dtype, (half(3, 5), half(5, 7), torch.float32), meta(3, 7)),
    (aten.addmm.default, (meta(7), meta(3, 5), meta(5, 7)), meta(3, 7)),
    (aten.bmm.default, (meta(2, 3, 5), meta(2, 5, 7)), meta(2, 3, 7)),
    (aten.baddbmm.default, (meta(2, 3, 7), meta(2, 3, 5), meta(2, 5, 7)), meta(2, 3, 7)),
    (aten._scaled_mm.default, (*eights, meta(()), meta(())), meta(16, 48)),
    # rows (9 + 2 - 3) // 2 + 1 = 5, columns 7 - 2 * 1 = 5
    (aten.convolution.default, (image, kernel, bias, [2, 1], [1, 0], [1, 2], False, [0, 0], 2), meta(2, 4, 5, 5)),
    # rows (9 - 1) * 2 - 2 + 3 + 1 = 18, columns 7 - 1 + 2 = 8
    (aten.convolution.default, (image, up, up_bias, [2, 1], [1, 0], [1, 1], True, [1, 0], 2), meta(2, 10, 18, 8)),
    (
        aten._convolution.default,
        (image, kernel, bias, [1, 1], [0, 0], [1, 1], False, [0, 0], 2, False, False, False, False),
        meta(2, 4, 7, 6),
    ),
    (aten.cudnn_convolution.default, (image, kernel, [0, 0], [1, 1], [1, 1], 2, False, False, False), meta(2, 4, 7, 6)),
    (aten._scaled_dot_product_efficient_attention.default, (query, key, value, None, False), half(2, 4, 24, 8)),
    (aten._scaled_dot_product_flash_attention.default, (query, key, value), half(2, 4, 24, 8)),
    (aten._scaled_dot_product_cudnn_attention.default, (query, key, value, None, False), half(2, 4, 24, 8)),
    (aten._flash_attention_forward.default, (*joined, starts, starts, 24, 40, 0.0, False, False), half(48, 4, 16)),
    # torch misreads a query of [batch, length, heads, width] here, so sequences are joined
    (
        aten._efficient_attention_forward.default,
        (*(x[None] for x in joined), None, starts, starts, 24, 40, 0.0, 0),
        half(1, 48, 4, 16),
    ),
]
if aten.convolution_overrideable in flop_registry:  # not in torch 2.9
    call = (image, kernel, bias, [1, 1], [0, 0], [1, 1], False, [0, 0], 2)
    CALLS.append((aten.convolution_overrideable.default, call, meta(2, 4, 7, 6)))
if TORCH >= (2, 14):  # before, torch's formulas had no place for a dtype, and took the length of a query for its heads
    CALLS += [
        (aten.addmm.dtype, (half(7), half(3, 5), half(5, 7), torch.float32), meta(3, 7)),
        (aten._flash_attention_forward.default, (*rows, None, None, 24, 40, 0.0, False, False), half(2, 24, 4, 16)),
    ]


@pytest.mark.parametrize(("operator", "args", "out"), CALLS, ids=[str(operator) for operator, *_ in CALLS])
def test_operator(operator: torch._ops.OpOverload, args: tuple[Any, ...], out: Any) -> None:
    formula = find_formula(operator)
    assert formula is not None
    assert 2 * formula(args, {}, out).cost.macs == flop_registry[operator.overloadpacket](*args, out_val=out) > 0


def test_slow_convolution() -> None:
    # torch's formula of this one asks for an argument that the operator does not have, so its count is called directly
    formula = find_formula(aten._slow_conv2d_forward.default)
    assert formula is not None
    x, weight, out = meta(2, 3, 9, 7), meta(4, 3, 3, 2), meta(2, 4, 7, 6)
    macs = formula((x, weight, [3, 2], bias, [1, 1], [0, 0]), {}, out).cost.macs
    assert 2 * macs == conv_flop_count(x.shape, weight.shape, out.shape)


def test_every_forward_operator_is_compared() -> None:
    compared = {operator_name(operator) for operator, *_ in CALLS} | {"aten._slow_conv2d_forward"}
    known = {str(packet) for packet in flop_registry if isinstance(packet, torch._ops.OpOverloadPacket)}
    assert {name for name in known if not name.endswith("_backward")} == compared


FUNCTIONS: dict[str, Callable[[], Any]] = {
    "mm": partial(operator.matmul, meta(3, 5), meta(5, 7)),
    "matmul, broadcast": partial(operator.matmul, meta(2, 1, 3, 5), meta(4, 5, 7)),
    "matmul, folded": partial(operator.matmul, meta(2, 4, 3, 5), meta(5, 7)),
    "linear": partial(F.linear, meta(2, 3, 5), meta(7, 5), meta(7)),
    "einsum": partial(torch.einsum, "bij,bjk,kl->bil", meta(2, 3, 5), meta(2, 5, 7), meta(7, 4)),
    "tensordot": partial(torch.tensordot, meta(3, 4, 5), meta(4, 5, 7), 2),
    "conv1d": partial(F.conv1d, meta(2, 3, 11), meta(4, 3, 5), meta(4), stride=2, dilation=2),
    "conv2d": lambda: F.conv2d(image, kernel, bias, padding=1, stride=(2, 1), groups=2),
    "conv2d, unbatched": lambda: F.conv2d(image[0], kernel, groups=2),
    "conv3d": partial(F.conv3d, meta(1, 2, 4, 5, 6), meta(3, 2, 2, 2, 3)),
    "conv_transpose1d": partial(F.conv_transpose1d, meta(2, 3, 7), meta(3, 5, 4), stride=3),
    "conv_transpose2d": lambda: F.conv_transpose2d(image, up, up_bias, stride=2, output_padding=1, groups=2),
    "attention": partial(F.scaled_dot_product_attention, meta(2, 4, 3, 5), meta(2, 4, 7, 5), meta(2, 4, 7, 6)),
    "attention, causal": partial(F.scaled_dot_product_attention, *[meta(2, 4, 7, 5)] * 3, is_causal=True),
    "multi-head attention": partial(nn.MultiheadAttention(12, 3, device="meta"), *[meta(5, 2, 12)] * 3),
    "transformer layer": partial(nn.TransformerEncoderLayer(12, 3, 20, device="meta"), meta(5, 2, 12)),
    "LSTM": partial(nn.LSTM(5, 7, 2, bidirectional=True, device="meta"), meta(4, 3, 5)),
    "GRU": partial(nn.GRU(5, 7, device="meta"), meta(4, 3, 5)),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_function(function: Callable[[], Any]) -> None:
    with FlopCounterMode(display=False) as counter:
        function()
    assert 2 * cost_of(function).macs == counter.get_total_flops() > 0
