"""Matrix products and their gradients against counts worked out by hand."""

import operator
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
int8 = partial(meta, dtype=torch.int8)
complex64 = partial(meta, dtype=torch.complex64)
aten = torch.ops.aten
ALL = [True, True, True]


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
    # sum over i and j of a_bi w_kij c_bj: 2 * 7 * 3 * 4 products of three numbers
    "trilinear": (
        partial(aten._trilinear, meta(2, 3), meta(7, 3, 4), meta(2, 4), [1, 3], [0], [1, 2], [2, 3]),
        Cost(macs=2 * (2 * 7 * 3 * 4)),
    ),
    "outer": (partial(torch.outer, meta(3), meta(5)), Cost(mul=3 * 5)),
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
    "addmm of complex": (  # both parts are multiplied with a real factor
        partial(torch.addmm, complex64(7), complex64(3, 5), complex64(5, 7), alpha=2),
        Cost(macs=4 * 105, mul=2 * 21, add=2 * 21),
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

CASES = PRODUCTS | ADDED


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


x, w, b = meta(3, 5), meta(5, 7), meta(7)

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
}


@pytest.mark.parametrize(("expected", "forms"), FORMS.values(), ids=FORMS)
def test_every_form_costs_the_same(expected: Cost, forms: list[Callable[[], Any]]) -> None:
    assert [cost_of(form) for form in forms] == [expected] * len(forms)


# Gradients: y [5, 7] = x [5, 3] W [7, 3]^T


@pytest.mark.parametrize(
    ("operator", "args", "expected"),
    [
        (aten.linear_backward, (meta(5, 3), meta(5, 7), meta(7, 3), ALL), Cost(macs=2 * 105, add=35 - 7)),
        (aten.linear_backward, (meta(2, 5, 3), meta(2, 5, 7), meta(7, 3), [False, True, False]), Cost(macs=210)),
        (aten.mkldnn_linear_backward, (meta(5, 3), meta(5, 7), meta(7, 3), ALL), Cost(macs=2 * 105, add=35 - 7)),
        (aten.mkldnn_linear_backward_input, ([5, 3], meta(5, 7), meta(7, 3)), Cost(macs=105)),
        (aten.mkldnn_linear_backward_weights, (meta(5, 7), meta(5, 3), meta(7, 3), True), Cost(macs=105, add=28)),
        (aten.mkldnn_linear_backward_weights, (meta(5, 7), meta(5, 3), meta(7, 3), False), Cost(macs=105)),
        (aten.linear_backward, (meta(0, 3), meta(0, 7), meta(7, 3), ALL), Cost()),
        (aten.matmul_backward, (meta(2, 5, 7), meta(2, 5, 3), meta(2, 3, 7), [True, True]), Cost(macs=2 * 2 * 105)),
        (aten.matmul_backward, (meta(5, 7), meta(5, 3), meta(3, 7), [True, False]), Cost(macs=105)),
    ],
)
def test_gradients_of_products(operator: Any, args: tuple[Any, ...], expected: Cost) -> None:
    assert formula_cost(operator.default, *args) == expected


def test_complex_gradients_take_four_real_macs() -> None:
    x, gradient, weight = (meta(*shape, dtype=torch.complex64) for shape in ((5, 3), (5, 7), (7, 3)))
    cost = formula_cost(aten.linear_backward.default, x, gradient, weight, [True, False, False])
    assert cost == Cost(macs=4 * 5 * 7 * 3)
