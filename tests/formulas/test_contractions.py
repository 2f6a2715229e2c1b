"""Convolutions and matrix products against counts worked out by hand."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten


def meta_of(dtype: torch.dtype) -> Callable[..., Tensor]:
    return lambda *shape: meta(shape, dtype=dtype)


complex64, int8 = meta_of(torch.complex64), meta_of(torch.int8)

# Outputs N times taps K = C_in / groups * prod(kernel); a bias is N additions.
CONVOLUTIONS: dict[str, tuple[Callable[[], Any], Cost]] = {
    # (11 + 2 * 1 - 2 * (5 - 1) - 1) // 2 + 1 = 3 places
    "stride padding dilation": (
        partial(F.conv1d, meta(2, 3, 11), meta(4, 3, 5), meta(4), stride=2, padding=1, dilation=2),
        Cost(macs=(2 * 4 * 3) * (3 * 5), add=2 * 4 * 3),
    ),
    "worked example": (
        partial(F.conv2d, meta(1, 1, 130, 40), meta(32, 1, 4, 10), stride=(2, 8)),
        Cost(macs=327_680),
    ),
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
    "valid padding": (
        partial(F.conv1d, meta(1, 2, 7), meta(3, 2, 3), padding="valid"),
        Cost(macs=(3 * 5) * (2 * 3)),
    ),
    "unbatched": (partial(F.conv2d, meta(2, 5, 7), meta(3, 2, 3, 3)), Cost(macs=(3 * 3 * 5) * (2 * 9))),
    "one by one": (partial(F.conv2d, meta(1, 2, 1, 1), meta(3, 2, 1, 1)), Cost(macs=3 * 2)),
    "three axes": (
        partial(F.conv3d, meta(1, 2, 4, 5, 6), meta(3, 2, 2, 2, 3)),
        Cost(macs=(3 * 3 * 4 * 4) * (2 * 12)),
    ),
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

PRODUCTS: dict[str, tuple[Callable[[], Any], Cost]] = {
    "mm": (partial(torch.mm, meta(3, 5), meta(5, 7)), Cost(macs=3 * 7 * 5)),
    "mm of a transposed view": (partial(torch.mm, meta(5, 3).t(), meta(7, 5).t()), Cost(macs=3 * 7 * 5)),
    "mm over nothing": (partial(torch.mm, meta(3, 0), meta(0, 7)), Cost()),
    "mm of nothing": (partial(torch.mm, meta(0, 5), meta(5, 7)), Cost()),
    "mm of integers": (partial(torch.mm, int8(3, 5), int8(5, 7)), Cost(macs=3 * 7 * 5)),
    "mm of complex": (partial(torch.mm, complex64(3, 5), complex64(5, 7)), Cost(macs=4 * 3 * 7 * 5)),
    "mm of bfloat16": (
        partial(torch.mm, meta(3, 5, dtype=torch.bfloat16), meta(5, 7, dtype=torch.bfloat16)),
        Cost(macs=3 * 7 * 5),
    ),
    "bmm": (partial(torch.bmm, meta(2, 3, 5), meta(2, 5, 7)), Cost(macs=2 * 3 * 7 * 5)),
    "mv": (partial(torch.mv, meta(3, 5), meta(5)), Cost(macs=3 * 5)),
    "dot": (partial(torch.dot, meta(5), meta(5)), Cost(macs=5)),
    "vdot": (partial(torch.vdot, complex64(5), complex64(5)), Cost(macs=4 * 5)),
    "inner": (partial(torch.inner, meta(2, 3, 5), meta(7, 5)), Cost(macs=2 * 3 * 7 * 5)),
    "matmul, broadcast": (partial(operator.matmul, meta(2, 1, 3, 5), meta(4, 5, 7)), Cost(macs=2 * 4 * 3 * 7 * 5)),
    "matmul, vector first": (partial(operator.matmul, meta(5), meta(2, 5, 7)), Cost(macs=2 * 7 * 5)),
    "matmul, vector last": (partial(operator.matmul, meta(2, 3, 5), meta(5)), Cost(macs=2 * 3 * 5)),
    "matmul, vectors": (partial(operator.matmul, meta(5), meta(5)), Cost(macs=5)),
    "matmul over one": (partial(operator.matmul, meta(3, 1), meta(1, 7)), Cost(macs=3 * 7)),
    "chain": (  # the cheaper order: (2 x 3) (3 x 5), then (2 x 5) (5 x 7)
        partial(torch.linalg.multi_dot, [meta(2, 3), meta(3, 5), meta(5, 7)]),
        Cost(macs=2 * 5 * 3 + 2 * 7 * 5),
    ),
    "einsum, one contraction": (partial(torch.einsum, "bij,bjk->bik", meta(2, 3, 5), meta(2, 5, 7)), Cost(macs=210)),
    "einsum, two contractions": (  # left to right
        partial(torch.einsum, "ij,jk,kl->il", meta(2, 3), meta(3, 5), meta(5, 7)),
        Cost(macs=2 * 5 * 3 + 2 * 7 * 5),
    ),
    "einsum, nothing contracted": (partial(torch.einsum, "i,j->ij", meta(3), meta(5)), Cost(mul=3 * 5)),
    "einsum, a sum": (partial(torch.einsum, "ij->i", meta(3, 5)), Cost(add=3 * 5 - 3)),
    "einsum, a diagonal": (partial(torch.einsum, "ii->i", meta(3, 3)), Cost()),
    "tensordot": (partial(torch.tensordot, meta(3, 4, 5), meta(4, 5, 7), 2), Cost(macs=3 * 7 * (4 * 5))),
    "linear": (partial(F.linear, meta(2, 3, 5), meta(7, 5)), Cost(macs=2 * 3 * 7 * 5)),
    "linear with bias": (
        partial(F.linear, meta(2, 3, 5), meta(7, 5), meta(7)),
        Cost(macs=2 * 3 * 7 * 5, add=2 * 3 * 7),
    ),
    "linear of a vector": (partial(F.linear, meta(5), meta(7, 5), meta(7)), Cost(macs=7 * 5, add=7)),
    "linear over nothing": (partial(F.linear, meta(3, 0), meta(7, 0), meta(7)), Cost(add=3 * 7)),
    # x1^T A_k: 7 * 4 results over 3; its product with x2: 7 results over 4
    "bilinear": (
        partial(F.bilinear, meta(2, 3), meta(2, 4), meta(7, 3, 4), meta(7)),
        Cost(macs=2 * (7 * 4 * 3 + 7 * 4), add=2 * 7),
    ),
    "outer": (partial(torch.outer, meta(3), meta(5)), Cost(mul=3 * 5)),
    "affine grid": (  # two coordinates, each a row of three of theta times (x, y, 1)
        partial(aten.affine_grid_generator, meta(2, 2, 3), [2, 4, 5, 7], False),
        Cost(macs=(2 * 5 * 7 * 2) * 3),
    ),
}

# beta x + alpha (a b): N additions, and N multiplications for each of alpha and beta that is not 1.
ADDED: dict[str, tuple[Callable[[], Any], Cost]] = {
    "addmm": (partial(torch.addmm, meta(7), meta(3, 5), meta(5, 7)), Cost(macs=105, add=21)),
    "addmm, alpha": (partial(torch.addmm, meta(7), meta(3, 5), meta(5, 7), alpha=2), Cost(macs=105, add=21, mul=21)),
    "addmm, beta": (partial(torch.addmm, meta(7), meta(3, 5), meta(5, 7), beta=0.5), Cost(macs=105, add=21, mul=21)),
    "addmm, both": (
        partial(torch.addmm, meta(7), meta(3, 5), meta(5, 7), beta=3, alpha=2),
        Cost(macs=105, add=21, mul=2 * 21),
    ),
    # documented: with beta of 0 the input is ignored
    "addmm, no input": (partial(torch.addmm, meta(7), meta(3, 5), meta(5, 7), beta=0), Cost(macs=105)),
    "addmm, alpha of 0": (
        partial(torch.addmm, meta(7), meta(3, 5), meta(5, 7), alpha=0),
        Cost(macs=105, add=21, mul=21),
    ),
    "addmm of integers": (partial(torch.addmm, int8(7), int8(3, 5), int8(5, 7), alpha=2), Cost(macs=105)),
    "addmm of complex": (  # a complex multiplication brings 2 additions of its own
        partial(torch.addmm, complex64(7), complex64(3, 5), complex64(5, 7), alpha=2),
        Cost(macs=4 * 105, mul=4 * 21, add=2 * 21 + 2 * 21),
    ),
    "baddbmm": (
        partial(torch.baddbmm, meta(3, 7), meta(2, 3, 5), meta(2, 5, 7), alpha=2),
        Cost(macs=2 * 105, add=2 * 21, mul=2 * 21),
    ),
    # the batch is contracted with the inner axis
    "addbmm": (
        partial(torch.addbmm, meta(3, 7), meta(2, 3, 5), meta(2, 5, 7), beta=2),
        Cost(macs=21 * (2 * 5), add=21, mul=21),
    ),
    "addmv": (partial(torch.addmv, meta(3), meta(3, 5), meta(5), alpha=2, beta=2), Cost(macs=15, add=3, mul=6)),
    "addr": (partial(torch.addr, meta(3, 5), meta(3), meta(5), alpha=2), Cost(mul=2 * 15, add=15)),
}

SCORES, ROWS = 2 * 4 * 3 * 7, 2 * 4 * 3  # 2 batches, 4 heads, 3 queries, 7 keys
ATTENTION = Cost(  # widths 5 and 6; the scale, then a softmax
    macs=SCORES * (5 + 6), mul=SCORES, cmp=SCORES - ROWS, add=SCORES + SCORES - ROWS, special=SCORES, div=SCORES
)


def attention(heads: int = 4, **options: Any) -> Callable[[], Tensor]:
    query, key, value = meta(2, 4, 3, 5), meta(2, heads, 7, 5), meta(2, heads, 7, 6)
    return partial(F.scaled_dot_product_attention, query, key, value, **options)


ATTENTIONS: dict[str, tuple[Callable[[], Any], Cost]] = {
    "attention": (attention(), ATTENTION),
    "attention, scaled": (attention(scale=0.3), ATTENTION),
    "attention, grouped keys": (attention(heads=2, enable_gqa=True), ATTENTION),
    "attention, additive mask": (attention(attn_mask=meta(3, 7)), ATTENTION + Cost(add=SCORES)),
    "attention, boolean mask": (
        attention(attn_mask=meta(3, 7, dtype=torch.bool)),
        ATTENTION + Cost(cmp=SCORES),
    ),
    "attention, three axes": (
        partial(F.scaled_dot_product_attention, meta(4, 3, 5), meta(4, 7, 5), meta(4, 7, 5)),
        Cost(macs=84 * 10, mul=84, cmp=84 - 12, add=84 + 84 - 12, special=84, div=84),
    ),
    "attention, no keys": (
        partial(F.scaled_dot_product_attention, meta(2, 4, 3, 5), meta(2, 4, 0, 5), meta(2, 4, 0, 6)),
        Cost(),
    ),
}

CASES = (
    CONVOLUTIONS | {f"transposed, {name}": case for name, case in TRANSPOSED.items()} | PRODUCTS | ADDED | ATTENTIONS
)


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


x, w, b = meta(3, 5), meta(5, 7), meta(7)
image, kernel, channels = meta(2, 3, 6, 7), meta(4, 3, 2, 3), meta(4, 1, 1)

FORMS: dict[str, tuple[Cost, list[Callable[[], Any]]]] = {
    "mm": (
        Cost(macs=105),
        [
            lambda: torch.mm(x, w),
            lambda: x.mm(w),
            lambda: x @ w,
            lambda: torch.matmul(x, w),
            lambda: torch.linalg.matmul(x, w),
            partial(torch.mm, x, w, out=meta(3, 7)),
            lambda: torch.einsum("ij,jk", x, w),
            lambda: torch.tensordot(x, w, 1),
            lambda: F.linear(x, w.t()),
            partial(nn.Linear(5, 7, bias=False, device="meta"), x),
        ],
    ),
    "addmm": (
        Cost(macs=105, add=21),
        [
            lambda: torch.addmm(b, x, w),
            lambda: b.addmm(x, w),
            partial(meta(3, 7).addmm_, x, w),
            partial(torch.addmm, b, x, w, out=meta(3, 7)),
            lambda: F.linear(x, w.t(), b),
            partial(nn.Linear(5, 7, device="meta"), x),
            lambda: x @ w + b,
        ],
    ),
    "convolution": (  # 5 * 5 places
        Cost(macs=(2 * 4 * 25) * (3 * 6), add=2 * 4 * 25),
        [
            partial(F.conv2d, image, kernel, meta(4)),
            partial(nn.Conv2d(3, 4, (2, 3), device="meta"), image),
            partial(torch.convolution, image, kernel, meta(4), [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
            lambda: F.conv2d(image, kernel) + channels,
        ],
    ),
}


@pytest.mark.parametrize(("expected", "forms"), FORMS.values(), ids=FORMS)
def test_every_form_costs_the_same(expected: Cost, forms: list[Callable[[], Any]]) -> None:
    assert [cost_of(form) for form in forms] == [expected] * len(forms)
