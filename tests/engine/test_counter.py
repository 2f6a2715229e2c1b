"""The counters: every operator that is reached is costed, on data or on shapes, and what it overwrites is put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcount import Cost
from fxcount.cost import total_cost
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.counting_context import counting
from fxcount.engine.without_data import WithoutData
from tests.costing import calls_of, cost_of

X = torch.randn(2, 4)


def test_an_operator_is_seen_as_it_was_called() -> None:
    """Composite operators are not split into what one device happens to use."""
    layer, q = nn.Linear(4, 3), torch.randn(1, 2, 3, 4)
    assert [call.name for call in calls_of(layer, X)] == ["aten.linear"]
    assert [call.name for call in calls_of(F.scaled_dot_product_attention, q, q, q)] == [
        "aten.scaled_dot_product_attention"
    ]
    assert [call.name for call in calls_of(F.gelu, X)] == ["aten.gelu"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x @ x.T, Cost(macs=16)),
        (lambda x: F.layer_norm(x, (4,)), Cost(mul=8, div=8 + 4, add=24 - 4 + 2, special=2)),
        (lambda x: x.exp_().mul_(2), Cost(special=8, mul=8)),
        (lambda x: torch.add(x, x, out=torch.empty(2, 4)), Cost(add=8)),
        (lambda x: x.view(4, 2).t()[0].clone(), Cost()),
        (lambda x: torch.vmap(torch.dot)(x, x), Cost(macs=8)),
    ],
)
def test_on_data_and_on_shapes_alike(function: Callable[[Tensor], Any], expected: Cost) -> None:
    for counter, x in ((OperatorCounter(), X.clone()), (WithoutData(), X.clone()), (WithoutData(), X.to("meta"))):
        with counting(counter):
            function(x)
        assert total_cost(call.cost for call in counter.calls) == expected
    assert cost_of(function, X) == expected


def test_what_was_overwritten_is_put_back() -> None:
    tensor, other = torch.zeros(4), torch.ones(2, 4)
    strided = other.t()[1]
    with counting(OperatorCounter()) as counter:
        tensor.add_(1)
        tensor[1:3].mul_(5)
        torch.exp(strided, out=tensor[:2])
        strided.fill_(9)
        other[0].copy_(tensor)
        made = torch.zeros(3)
        made.add_(1)
        assert tensor.tolist() != [0] * 4
    assert tensor.tolist() == [0, 0, 0, 0]
    assert other.tolist() == [[1] * 4, [1] * 4]
    assert made.tolist() == [1, 1, 1]
    assert total_cost(call.cost for call in counter.calls) == Cost(add=4 + 3, mul=2, special=2)


def test_what_was_overwritten_is_put_back_after_an_error() -> None:
    tensor = torch.zeros(4)

    def fails() -> None:
        with counting(OperatorCounter()):
            tensor.add_(1)
            tensor @ torch.zeros(3, 3)

    with pytest.raises(RuntimeError):
        fails()
    assert tensor.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("counter", [OperatorCounter, WithoutData])
def test_running_statistics_and_gradients(counter: type[OperatorCounter]) -> None:
    norm = nn.BatchNorm1d(4).train()
    with counting(counter()):
        norm(X)
    assert norm.running_mean.tolist() == [0] * 4
    assert norm.running_var.tolist() == [1] * 4
    assert int(norm.num_batches_tracked) == 0
    assert all(parameter.grad is None for parameter in norm.parameters())


@pytest.mark.parametrize("counter", [OperatorCounter, WithoutData])
def test_the_same_call_again_costs_the_same(counter: type[OperatorCounter]) -> None:
    with counting(counter()) as counted:
        for _ in range(3):
            torch.vmap(lambda row: (row * row).sum())(X)
        x = X.clone()
        for _ in range(3):
            x.mul_(2)
            x[0] += 1
            x = x.t().contiguous().view(2, 4)
        values = [call.cost for call in counted.calls]
    assert total_cost(values) == 3 * Cost(mul=8, add=6) + 3 * Cost(mul=8, add=4)
