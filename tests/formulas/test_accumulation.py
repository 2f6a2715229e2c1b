"""Scattering with a sum against counts worked out by hand: one step per accumulated element."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fxcount import Cost, count_graph
from tests.costing import calls_of, cost_of, formula_cost

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten
x = meta(4, 5)


def index(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.int64, device="meta")


def mask(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.bool, device="meta")


CASES: dict[str, tuple[Callable[[], Any], Cost]] = {
    "index_add": (partial(x.index_add, 0, index(3), meta(3, 5)), Cost(add=15)),
    "index_add, alpha": (partial(x.index_add, 0, index(3), meta(3, 5), alpha=2), Cost(add=15, mul=15)),
    "index_add of nothing": (partial(x.index_add, 0, index(0), meta(0, 5)), Cost()),
    "index_add, last axis": (partial(x.index_add, -1, index(3), meta(4, 3)), Cost(add=12)),
    "index_add of integers": (partial(index(4).index_add, 0, index(3), index(3)), Cost()),
    "scatter_add": (partial(x.scatter_add, 0, index(2, 3), meta(4, 5)), Cost(add=2 * 3)),
    "scatter": (partial(x.scatter, 0, index(2, 3), meta(4, 5)), Cost()),
    "scatter, a value": (partial(x.scatter, 0, index(2, 3), 1.0), Cost()),
    "scatter, add": (partial(x.scatter, 0, index(2, 3), meta(4, 5), reduce="add"), Cost(add=6)),
    "scatter, multiply": (partial(x.scatter, 0, index(2, 3), meta(4, 5), reduce="multiply"), Cost(mul=6)),
    "scatter, multiply by a value": (partial(x.scatter, 0, index(2, 3), 2.0, reduce="multiply"), Cost(mul=6)),
    "scatter_reduce, sum": (partial(x.scatter_reduce, 0, index(2, 3), meta(4, 5), "sum"), Cost(add=6)),
    "scatter_reduce, prod": (partial(x.scatter_reduce, 0, index(2, 3), meta(4, 5), "prod"), Cost(mul=6)),
    "scatter_reduce, amax": (partial(x.scatter_reduce, 0, index(2, 3), meta(4, 5), "amax"), Cost(cmp=6)),
    "scatter_reduce, amin": (partial(x.scatter_reduce, 0, index(2, 3), meta(4, 5), "amin"), Cost(cmp=6)),
    "scatter_reduce, mean": (partial(x.scatter_reduce, 0, index(2, 3), meta(4, 5), "mean"), Cost(add=6, div=20)),
    # an index names a whole slice
    "index_reduce, prod": (partial(x.index_reduce, 0, index(3), meta(3, 5), "prod"), Cost(mul=15)),
    "index_reduce, mean": (partial(x.index_reduce, 0, index(3), meta(3, 5), "mean"), Cost(add=15, div=20)),
    "index_reduce, amax": (partial(x.index_reduce, 1, index(3), meta(4, 3), "amax"), Cost(cmp=12)),
    "index_put": (partial(x.index_put, (index(3),), meta(3, 5)), Cost()),
    "index_put, summed": (partial(x.index_put, (index(3),), meta(3, 5), accumulate=True), Cost(add=15)),
    "index_put, summed, broadcast": (partial(x.index_put, (index(3),), meta(()), accumulate=True), Cost(add=15)),
    "index_put, summed, second axis": (
        partial(torch.ops.aten.index_put, x, [None, index(3)], meta(4, 1), True),
        Cost(add=4 * 3),
    ),
    "index_put, summed, broadcast indices": (
        partial(x.index_put, (index(3, 1), index(2)), meta(3, 2), accumulate=True),
        Cost(add=3 * 2),
    ),
    "index_put, summed, mask": (partial(x.index_put, (mask(4),), meta(2, 5), accumulate=True), Cost(add=2 * 5)),
    "index_put, summed, whole mask": (partial(x.index_put, (mask(4, 5),), meta(7), accumulate=True), Cost(add=7)),
    "put": (partial(x.put, index(3), meta(3)), Cost()),
    "put, summed": (partial(x.put, index(3), meta(3), accumulate=True), Cost(add=3)),
    "an assignment": (partial(meta(4, 5).__setitem__, index(3), meta(3, 5)), Cost()),
    # 2 x 3 windows at 2 x 4 places of a [1, 3, 3, 6] image
    "fold": (partial(F.fold, meta(1, 3 * 6, 2 * 4), (3, 6), (2, 3)), Cost(add=3 * 6 * 8)),
    "unfold": (partial(F.unfold, meta(1, 3, 3, 6), (2, 3)), Cost()),
    "unpool": (partial(F.max_unpool1d, meta(1, 2, 3), meta(1, 2, 3, dtype=torch.int64), 2), Cost()),
    "pixel shuffle": (partial(F.pixel_shuffle, meta(1, 4, 3, 5), 2), Cost()),
    "pad": (partial(F.pad, meta(1, 2, 3, 5), (1, 2, 1, 0), mode="reflect"), Cost()),
    "segment sum": (partial(torch.segment_reduce, meta(3, 5), "sum", lengths=index(2)), Cost(add=15)),
    "segment mean": (partial(torch.segment_reduce, meta(3, 5), "mean", lengths=index(2)), Cost(add=15, div=2 * 5)),
    "segment max": (partial(torch.segment_reduce, meta(3, 5), "max", lengths=index(2)), Cost(cmp=15)),
    "segment product": (partial(torch.segment_reduce, meta(3, 5), "prod", lengths=index(2)), Cost(mul=15)),
    "masked places": (
        partial(aten._unsafe_masked_index_put_accumulate, meta(5), mask(2), [index(2)], meta(2)),
        Cost(add=2),
    ),
}


@pytest.mark.parametrize(("call", "expected"), CASES.values(), ids=CASES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected


KNOWN = torch.tensor([True, False, True, True])

MASKED = {
    "one value": (lambda x: x.index_put((KNOWN,), x[0, 0], accumulate=True), Cost(add=3 * 5)),
    "in place": (lambda x: x.clone().index_put_((KNOWN,), x[0, 0], accumulate=True), Cost(add=3 * 5)),
    "to zeros": (lambda x: torch.zeros(4, 5).index_put_((KNOWN,), x[0, 0], accumulate=True), Cost(add=3 * 5)),
    "of all axes": (lambda x: x.index_put((KNOWN[:, None].expand(4, 5),), x[0, 0], accumulate=True), Cost(add=3 * 5)),
    "of the second axis": (lambda x: aten.index_put(x.t(), [None, KNOWN], x[0, 0], True), Cost(add=5 * 3)),
    "and an index": (lambda x: x.index_put((KNOWN, torch.tensor([0, 4, 4])), x[0, 0], accumulate=True), Cost(add=3)),
    "of nothing": (lambda x: x.index_put((KNOWN & ~KNOWN,), x[0, 0], accumulate=True), Cost()),
    "written": (lambda x: x.index_put((KNOWN,), x[0, 0]), Cost()),
}


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
@pytest.mark.parametrize(("call", "expected"), MASKED.values(), ids=MASKED)
def test_a_known_mask_selects_as_many_places_as_it_has_true_values(
    call: Callable[[torch.Tensor], Any], expected: Cost, tracer: str
) -> None:
    cost = count_graph(call, torch.ones(4, 5), tracer=tracer)
    assert cost.total == expected
    assert cost.uncounted == {}


def test_one_value_to_as_many_places_as_a_mask_selects_is_not_counted() -> None:
    [call] = [call for call in calls_of(x.index_put, (mask(4),), meta(5), accumulate=True) if call.uncounted]
    assert call.name == "aten.index_put"
    assert "mask" in call.uncounted


def test_every_form_costs_the_same() -> None:
    forms = [
        partial(torch.index_add, x, 0, index(3), meta(3, 5)),
        partial(x.index_add, 0, index(3), meta(3, 5)),
        partial(meta(4, 5).index_add_, 0, index(3), meta(3, 5)),
        partial(torch.index_add, x, 0, index(3), meta(3, 5), out=meta(4, 5)),
        partial(meta(4, 5).scatter_add_, 0, index(3, 5), meta(3, 5)),
        partial(meta(4, 5).index_put_, (index(3),), meta(3, 5), accumulate=True),
        partial(nn.EmbeddingBag(10, 5, mode="sum", device="meta"), index(3), index(1)),
    ]
    assert [cost_of(form) for form in forms] == [Cost(add=15)] * len(forms)


@pytest.mark.parametrize(
    ("operator", "args", "expected"),
    [
        (aten.gather_backward, (meta(2, 4), meta(3, 4), 0, meta(2, 4, dtype=torch.long), False), Cost(add=8)),
        (aten.index_select_backward, (meta(2, 4), [3, 4], 0, meta(2, dtype=torch.long)), Cost(add=8)),
        (aten.cummaxmin_backward, (meta(3, 4), meta(3, 4), meta(3, 4, dtype=torch.long), 1), Cost(add=12)),
        (aten.value_selecting_reduction_backward, (meta(3), 1, meta(3, dtype=torch.long), [3, 4], False), Cost()),
        (aten.masked_select_backward, (meta(5), meta(3, 4), meta(3, 4, dtype=torch.bool)), Cost()),
        (aten.select_backward, (meta(3), [3, 4], 1, 0), Cost()),
        (aten.slice_backward, (meta(3, 2), [3, 4], 1, 0, 2, 1), Cost()),
        (aten.diagonal_backward, (meta(3), [3, 4], 0, 0, 1), Cost()),
        (aten.masked_scatter_backward, (meta(3, 4), meta(3, 4, dtype=torch.bool), [5]), Cost()),
        (aten.to_mkldnn_backward, (meta(3, 3), meta(3, 3)), Cost()),
        (aten.to_dense_backward, (meta(3, 3), meta(3, 3)), Cost()),
    ],
)
def test_gradients_of_indexing(operator: Any, args: tuple[Any, ...], expected: Cost) -> None:
    assert cost_of(operator, *args) == expected


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [
        ("sum", Cost()),
        ("mean", Cost(div=2 * 5)),
        ("max", Cost(div=2 * 5, cmp=3 * 5)),
        ("min", Cost(div=2 * 5, cmp=3 * 5)),
        ("prod", Cost(mul=2 * 5, div=3 * 5)),
    ],
)
def test_gradient_of_segment_reduce(reduce: str, expected: Cost) -> None:
    """3 rows of 5 in 2 segments."""
    args = (meta(2, 5), meta(2, 5), meta(3, 5), reduce)
    assert formula_cost(aten._segment_reduce_backward.default, *args, lengths=meta(2, dtype=torch.long)) == expected


def test_counts_of_whole_numbers_are_free_and_weights_are_added() -> None:
    assert formula_cost(aten.bincount.default, index(7), out=index(3)) == Cost()
    assert formula_cost(aten.bincount.default, index(7), meta(7), out=meta(3)) == Cost(add=7)
