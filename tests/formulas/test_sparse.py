"""Sparse operators cost what is done with the values that they store."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fxcount.cost import Cost, total_cost
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.counting_context import counting
from fxcount.formulas import REFUSED, find_formula
from tests.costing import formula_cost
from tests.costing import formula_cost as priced

pytestmark = pytest.mark.filterwarnings("ignore")  # torch calls some of its sparse layouts a prototype

aten = torch.ops.aten


def cost_with_data(function: Callable[..., Any], *args: Any) -> Cost:
    with counting(OperatorCounter()) as counter:
        function(*args)
    assert not [call.name for call in counter.calls if call.uncounted]
    return total_cost(call.cost for call in counter.calls)


# 4 stored values: one in column 0, two in column 2, one in column 4
MATRIX = torch.tensor([[0, 0, 1, 0, 0], [2, 0, 3, 0, 0], [0, 0, 0, 0, 4.0]])
COO, CSR, CSC = MATRIX.to_sparse(), MATRIX.to_sparse_csr(), MATRIX.to_sparse_csc()
BSR = torch.eye(4).to_sparse_bsr((2, 2))  # two blocks of four values
IMAGINARY = (MATRIX * 1j).to_sparse()
DENSE = torch.rand(5, 7)
ADDED = torch.rand(3, 7)


@pytest.mark.parametrize(
    ("function", "cost"),
    [
        (lambda: torch.sparse.mm(COO, DENSE), Cost(macs=4 * 7)),
        (lambda: COO @ DENSE, Cost(macs=4 * 7)),
        (lambda: CSR @ DENSE, Cost(macs=4 * 7)),
        (lambda: torch.mm(CSC, DENSE), Cost(macs=4 * 7)),
        (lambda: COO @ DENSE[:, 0], Cost(macs=4)),
        (lambda: torch.mv(CSR, DENSE[:, 0]), Cost(macs=4)),
        (lambda: BSR @ torch.rand(4, 3), Cost(macs=8 * 3)),
        (lambda: torch.rand(2, 3) @ CSR, Cost(macs=2 * 4)),
        (lambda: torch.nn.functional.linear(torch.rand(2, 5), CSR), Cost(macs=2 * 4)),
        # columns 0, 2, 4 of the one and rows 0, 2, 4 of the other have 1, 2, 1 values
        (lambda: torch.sparse.mm(COO, MATRIX.t().to_sparse()), Cost(macs=1 * 1 + 2 * 2 + 1 * 1)),
        (lambda: aten._sparse_sparse_matmul(COO, MATRIX.t().to_sparse()), Cost(macs=1 * 1 + 2 * 2 + 1 * 1)),
        (lambda: torch.smm(COO, DENSE), Cost(macs=4 * 7)),
        (lambda: torch.hspmm(COO, DENSE), Cost(macs=4 * 7)),
        (lambda: torch.sparse.addmm(ADDED, COO, DENSE), Cost(macs=4 * 7, add=21)),
        (lambda: torch.addmm(ADDED, CSR, DENSE), Cost(macs=4 * 7, add=21)),
        (lambda: torch.addmm(ADDED, CSR, DENSE, beta=0, alpha=2), Cost(macs=4 * 7, mul=21)),
        (lambda: torch.sparse.addmm(ADDED, COO, DENSE, beta=3, alpha=2), Cost(macs=4 * 7, add=21, mul=42)),
        (lambda: torch.sparse.mm(CSR, DENSE, "mean"), Cost(macs=4 * 7, div=21)),
        (lambda: torch.sparse.mm(CSR, DENSE, "amax"), Cost(mul=4 * 7, cmp=4 * 7)),
        (lambda: torch.sparse.mm(IMAGINARY, DENSE.to(torch.complex64)), Cost(macs=4 * 4 * 7)),
        (lambda: torch.sparse.mm(torch.zeros(3, 5).to_sparse(), DENSE), Cost()),
    ],
)
def test_product(function: Callable[..., Any], cost: Cost) -> None:
    assert cost_with_data(function) == cost


def test_product_sampled_at_stored_places() -> None:
    a, b = torch.rand(3, 6), torch.rand(6, 5)
    sampled = torch.sparse.sampled_addmm
    assert cost_with_data(sampled, CSR, a, b) == Cost(macs=4 * 6, add=4)
    assert priced(aten.sparse_sampled_addmm.default, CSR, a, b, beta=0, alpha=2, out=CSR) == Cost(macs=4 * 6, mul=4)


def test_values_of_one_place_are_added() -> None:
    repeated = torch.sparse_coo_tensor(torch.tensor([[0, 0, 1], [2, 2, 0]]), torch.rand(3, 2), (2, 3, 2))
    assert cost_with_data(lambda: repeated.coalesce()) == Cost(add=2)
    assert cost_with_data(lambda: COO.coalesce()) == Cost()


@pytest.mark.parametrize(
    ("function", "cost"),
    [
        (lambda: torch.sparse.sum(COO), Cost(add=4 - 1)),
        (lambda: torch.sparse.sum(COO, 1), Cost(add=4 - 3)),
        (lambda: torch._sparse_csr_prod(CSR, [1], keepdim=True), Cost(mul=4 - 3)),
        # rows of 1, 2, 1 values
        (lambda: torch.sparse.softmax(COO, 1), Cost(cmp=4 - 3, add=4 + 4 - 3, special=4, div=4)),
        # columns of 1, 2, 1 values
        (lambda: torch.sparse.log_softmax(COO, 0), Cost(cmp=4 - 3, add=4 + 4 - 3 + 4, special=4 + 3)),
        (lambda: torch.sparse.softmax(torch.rand(5).to_sparse(), 0), Cost(cmp=4, add=5 + 4, special=5, div=5)),
    ],
)
def test_along_an_axis(function: Callable[..., Any], cost: Cost) -> None:
    assert cost_with_data(function) == cost


def test_conversions_are_free() -> None:
    assert cost_with_data(lambda: MATRIX.to_sparse().to_dense()) == Cost()
    assert cost_with_data(lambda: MATRIX.to_sparse_csr().to_dense()) == Cost()
    assert cost_with_data(lambda: torch.sparse_coo_tensor(COO.indices(), COO.values(), (3, 5))) == Cost()
    assert cost_with_data(lambda: DENSE[:3, :5].contiguous().sparse_mask(COO)) == Cost()


def test_without_data_it_is_not_known_what_is_stored() -> None:
    formula = find_formula(aten.mm.default)
    assert formula is not None
    meta = COO.to("meta")
    call = formula((meta, DENSE.to("meta")), {}, torch.empty(3, 7, device="meta"))
    assert (call.cost, "stores" in call.uncounted) == (Cost(), True)
    assert "aten._spsolve" in REFUSED


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


OUT = 5 * 3


@pytest.mark.parametrize(
    ("operator", "args", "kwargs", "cost"),
    [
        # weights [5, 16] of which two of four are stored: eight products for each output
        (aten._sparse_semi_structured_linear.default, (meta(3, 16), meta(5, 8), meta(5, 1)), {}, Cost(macs=OUT * 8)),
        (
            aten._sparse_semi_structured_linear.default,
            (meta(3, 16), meta(5, 8), meta(5, 1)),
            {"bias": meta(5), "activation": "relu"},
            Cost(macs=OUT * 8, add=OUT, cmp=OUT),
        ),
        (
            aten._sparse_semi_structured_linear.default,
            (meta(3, 16), meta(5, 8), meta(5, 1)),
            {"activation": "silu"},
            Cost(macs=OUT * 8, add=OUT, mul=OUT, div=OUT, special=OUT),
        ),
        (aten._sparse_semi_structured_mm.default, (meta(5, 8), meta(5, 1), meta(16, 3)), {}, Cost(macs=OUT * 8)),
        (
            aten._sparse_semi_structured_addmm.default,
            (meta(5), meta(5, 8), meta(5, 1), meta(16, 3)),
            {"alpha": 2},
            Cost(macs=OUT * 8, add=OUT, mul=OUT),
        ),
        (aten._cslt_sparse_mm.default, (meta(5, 9), meta(16, 3)), {"bias": meta(5)}, Cost(macs=OUT * 8, add=OUT)),
        (aten._cslt_sparse_mm.default, (meta(5, 9), meta(16, 3)), {"alpha": meta(5)}, Cost(macs=OUT * 8, mul=OUT)),
    ],
)
def test_two_of_four(operator: Any, args: Any, kwargs: Any, cost: Cost) -> None:
    assert priced(operator, *args, out=meta(5, 3), **kwargs) == cost


def test_tiles_are_put_in_an_order() -> None:
    # log2 16 comparisons for each of the 16 values of a tile
    assert formula_cost(aten._sparse_semi_structured_tile.default, meta(12, 20)) == 3 * 5 * Cost(cmp=16 * 4)


def test_nested_softmax_counts_padding() -> None:
    scores = meta(2, 3, 5, 7)
    softmax = aten._nested_tensor_softmax_with_shape.default
    n, lines = 2 * 3 * 5 * 7, 2 * 3 * 5
    assert priced(softmax, scores, scores, out=scores) == Cost(cmp=n - lines, add=2 * n - lines, special=n, div=n)


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [("sum", Cost(macs=2 * 3 * 5)), ("mean", Cost(macs=2 * 3 * 5, div=2 * 5)), ("amax", Cost(macs=2 * 2 * 5))],
)
def test_gradients_of_a_sparse_product(reduce: str, expected: Cost) -> None:
    """x [2, 4] with 3 stored values times w [4, 5]."""
    x = torch.sparse_csr_tensor([0, 1, 3], [1, 0, 3], torch.ones(3), (2, 4), check_invariants=True)
    args = (x, meta(2, 5), meta(4, 5), reduce, meta(2, 5), [True, True])
    assert formula_cost(aten._sparse_mm_reduce_impl_backward.default, *args) == expected


def test_gradients_of_a_sparse_softmax_count_stored_values() -> None:
    stored = torch.sparse_coo_tensor([[0, 1], [2, 0]], torch.ones(2, 4), (3, 5, 4), check_invariants=True)
    softmax, log_softmax = aten._sparse_softmax_backward_data, aten._sparse_log_softmax_backward_data
    assert formula_cost(softmax.default, stored, stored, 1, stored) == 8 * Cost(mul=2, add=2)
    assert formula_cost(log_softmax.default, stored, stored, 1, stored) == 8 * Cost(special=1, mul=1, add=2)
