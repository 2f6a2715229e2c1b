"""Operators whose arguments are functions cost what their functions do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._higher_order_ops.associative_scan import associative_scan
from torch._higher_order_ops.hints_wrap import hints_wrapper
from torch._higher_order_ops.invoke_subgraph import invoke_subgraph
from torch._higher_order_ops.map import map as map_rows
from torch._higher_order_ops.out_dtype import out_dtype
from torch._higher_order_ops.run_const_graph import run_const_graph
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.strict_mode import strict_mode
from torch._higher_order_ops.while_loop import while_loop
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from fxcount import Cost, DataNeededError, count_graph

X = torch.randn(2, 4)
TRACERS = ("auto", "recorded", "executed")


def total(function: Callable[..., Any], *inputs: Tensor, tracer: str) -> Cost:
    cost = count_graph(function, inputs, tracer=tracer)
    assert cost.uncounted == {}
    return cost.total


def names(function: Callable[..., Any], *inputs: Tensor) -> list[str]:
    return list(count_graph(function, inputs).by_operator())


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("value", [False, True])
def test_a_branch_costs_what_the_costlier_one_does(value: bool, swapped: bool, tracer: str) -> None:
    branches: list[Callable[[Tensor], Tensor]] = [lambda x: x * 2, lambda x: x.exp() * 3 + 1]
    if swapped:
        branches.reverse()

    def forward(x: Tensor, chosen: Tensor) -> Tensor:
        return torch.cond(chosen, *branches, (x,)) + 1

    cost = count_graph(forward, (X, torch.tensor(value)), tracer=tracer)
    assert cost.total == Cost(special=8, mul=8, add=8 + 8)
    assert any("costlier branch" in name for name in cost.by_operator())


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_branch_on_data_needs_none(tracer: str) -> None:
    def forward(x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: x @ x.T, lambda x: x[:, :2].exp(), (x,))

    expected = Cost(add=7, cmp=1, macs=16)
    assert total(forward, X, tracer=tracer) == expected
    if tracer != "executed":
        assert total(forward, X.to("meta"), tracer=tracer) == expected


@pytest.mark.parametrize("tracer", TRACERS)
def test_branches_in_branches(tracer: str) -> None:
    def inner(x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: x.exp(), lambda x: x + 0.0, (x,))

    def forward(x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, inner, lambda x: x * 2, (x,))

    assert total(forward, X, tracer=tracer) == Cost(add=2 * 7, cmp=2, special=8)


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("index", [0, 1, 2, 7])
def test_one_of_many_branches_costs_what_the_costliest_does(index: int, tracer: str) -> None:
    switch = pytest.importorskip("torch._higher_order_ops.switch").switch
    branches = (lambda x: x * 2, lambda x: x.exp() * 3 + 1, lambda x: x + 1)

    def forward(x: Tensor, chosen: Tensor) -> Tensor:
        return switch(chosen, branches, (x,)) / 2

    cost = count_graph(forward, (X, torch.tensor(index)), tracer=tracer)
    assert cost.total == Cost(special=8, mul=8, add=8, div=8)
    assert any("the costliest branch, 1" in name for name in cost.by_operator())


BYTES = torch.tensor([[100, -100], [7, 5]], dtype=torch.int8)

IN_ANOTHER_DTYPE: dict[str, tuple[Callable[[Tensor], Tensor], Cost]] = {
    "product of whole numbers": (
        lambda x: out_dtype(torch.ops.aten.mm.default, torch.int32, x, x),
        Cost(macs=2 * 2 * 2),
    ),
    "product of reals": (lambda x: out_dtype(torch.ops.aten.mul.Tensor, torch.float32, x, x), Cost(mul=4)),
    "pointwise on whole numbers": (lambda x: out_dtype(torch.ops.aten.mul.Tensor, torch.int32, x, x), Cost()),
    "linear": (lambda x: out_dtype(torch.ops.aten.linear.default, torch.int32, x, x), Cost(macs=2 * 2 * 2)),
}


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
@pytest.mark.parametrize(("call", "expected"), IN_ANOTHER_DTYPE.values(), ids=IN_ANOTHER_DTYPE)
def test_another_dtype_costs_what_the_operator_does(
    call: Callable[[Tensor], Tensor], expected: Cost, tracer: str
) -> None:
    assert total(call, BYTES, tracer=tracer) == expected


def test_a_result_in_another_dtype_is_known_where_the_operands_are() -> None:
    def forward(x: Tensor, factor: Tensor) -> Tensor:
        product = out_dtype(torch.ops.aten.mm.default, torch.int32, factor, factor)
        return x * 2 if product[0, 0] == 100 * 100 - 100 * 7 else x  # more than a byte holds

    assert total(forward, X, BYTES, tracer="recorded") == Cost(macs=2 * 2 * 2, mul=8)


REGIONS: dict[str, Callable[[Tensor], Any]] = {
    "invoke_subgraph": lambda x: invoke_subgraph(torch.fx.symbolic_trace(lambda x: (x.exp(),)), "name", x),
    "strict_mode": lambda x: strict_mode(lambda x: (x.exp(),), (x,)),
    "run_const_graph": lambda x: run_const_graph(torch.fx.symbolic_trace(lambda x: (x.exp(),)), (x,)),
    "hints_wrapper": lambda x: hints_wrapper(lambda x: (x.exp(),), (x,), {}, hints={"fast": True}),
}


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
def test_a_marked_region_costs_what_its_function_does(region: Callable[[Tensor], Any], tracer: str) -> None:
    assert total(lambda x: region(x)[0] + 1, X, tracer=tracer) == Cost(special=8, add=8)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_loop_that_counts_its_steps(tracer: str) -> None:
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        return while_loop(lambda i, x: i < 5, lambda i, x: (i + 1, x * 2), (torch.tensor(0), x))

    assert total(forward, X, tracer=tracer) == Cost(mul=5 * 8)
    if tracer != "executed":
        assert total(forward, X.to("meta"), tracer=tracer) == Cost(mul=5 * 8)


def test_a_loop_over_values_runs_on_them() -> None:
    def forward(x: Tensor) -> Any:
        return while_loop(lambda x: x.sum() < 50, lambda x: (x * 2,), (x,))

    # 8, 16, 32, 64: three steps, and the question once more.
    assert total(forward, torch.ones(2, 4), tracer="auto") == Cost(mul=3 * 8, add=4 * 7, cmp=4)
    with pytest.raises(DataNeededError):
        count_graph(forward, torch.ones(2, 4, device="meta"))


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_scan_costs_its_steps(device: str, tracer: str) -> None:
    if device == "meta" and tracer == "executed":
        return

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        start = torch.zeros(4, device=x.device)
        return scan(lambda carry, row: (carry + row, carry * row), start, x)

    assert total(forward, torch.randn(5, 4, device=device), tracer=tracer) == Cost(add=5 * 4, mul=5 * 4)


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(("rows", "combined"), [(2, 1), (4, 1 + 2 + 1), (8, 4 + 4 + 3)])
def test_an_associative_scan_in_pairs(rows: int, combined: int, tracer: str) -> None:
    """Neighbours are combined, the half as many results scanned, and every second element, but the first, combined
    with the result before it: T(n) = n/2 + T(n/2) + n/2 - 1 rows."""

    def forward(x: Tensor) -> Tensor:
        return associative_scan(lambda a, b: a * b, x, dim=0, combine_mode="generic")

    assert total(forward, torch.randn(rows, 4), tracer=tracer) == Cost(mul=combined * 4)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_map_costs_its_rows(tracer: str) -> None:
    assert total(lambda x: map_rows(lambda row: (row * 2).exp(), x), torch.randn(7, 4), tracer=tracer) == Cost(
        mul=28, special=28
    )


BATCH, QUERY_HEADS, LENGTH, WIDTH = 1, 2, 8, 4
QUERY = torch.randn(BATCH, QUERY_HEADS, LENGTH, WIDTH)
SCORES = BATCH * QUERY_HEADS * LENGTH * LENGTH
ROWS = BATCH * QUERY_HEADS * LENGTH
PLAIN_ATTENTION = Cost(
    macs=SCORES * 2 * WIDTH, mul=SCORES, cmp=SCORES - ROWS, add=2 * SCORES - ROWS, special=SCORES, div=SCORES
)


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(
    ("score_mod", "extra"),
    [
        (None, Cost()),
        (lambda score, b, h, i, j: score * 2, Cost(mul=SCORES)),
        (lambda score, b, h, i, j: score + (i - j), Cost(add=SCORES)),  # positions are integers, their difference free
        (lambda score, b, h, i, j: torch.tanh(score / 20) * 20, Cost(div=SCORES, special=SCORES, mul=SCORES)),
        (lambda score, b, h, i, j: torch.where(i >= j, score, -float("inf")), Cost(cmp=SCORES)),
    ],
)
def test_attention_with_a_function_of_scores(score_mod: Any, extra: Cost, tracer: str) -> None:
    def forward(q: Tensor) -> Tensor:
        return flex_attention(q, q, q, score_mod=score_mod)

    assert total(forward, QUERY, tracer=tracer) == PLAIN_ATTENTION + extra


@pytest.mark.parametrize("tracer", TRACERS)
def test_attention_with_a_bias_by_position(tracer: str) -> None:
    bias = torch.randn(LENGTH, LENGTH)

    def forward(q: Tensor) -> Tensor:
        return flex_attention(q, q, q, score_mod=lambda score, b, h, i, j: score + bias[i, j])

    assert total(forward, QUERY, tracer=tracer) == PLAIN_ATTENTION + Cost(add=SCORES)


@pytest.mark.parametrize("tracer", TRACERS)
def test_attention_with_grouped_keys(tracer: str) -> None:
    keys = QUERY[:, :1]

    def forward(q: Tensor, k: Tensor) -> Tensor:
        return flex_attention(q, k, k, enable_gqa=True)

    assert total(forward, QUERY, keys, tracer=tracer) == PLAIN_ATTENTION


@pytest.mark.parametrize("tracer", TRACERS)
def test_masked_attention_is_dense(tracer: str) -> None:
    """A mask selects, once per score, and saves nothing."""

    def forward(q: Tensor) -> Tensor:
        mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, LENGTH, LENGTH, device="cpu")
        return flex_attention(q, q, q, block_mask=mask)

    assert total(forward, QUERY, tracer=tracer) == PLAIN_ATTENTION + Cost(cmp=SCORES)


@pytest.mark.parametrize("tracer", ["auto", "recorded"])
def test_attention_on_the_meta_device(tracer: str) -> None:
    """Where ``flex_attention`` itself refuses to run."""

    def forward(q: Tensor) -> Tensor:
        mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, LENGTH, LENGTH, device=str(q.device))
        return flex_attention(q, q, q, score_mod=lambda score, b, h, i, j: score * 2, block_mask=mask)

    for query in (QUERY, QUERY.to("meta")):
        assert total(forward, query, tracer=tracer) == PLAIN_ATTENTION + Cost(mul=SCORES, cmp=SCORES)
