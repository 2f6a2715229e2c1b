"""The counters: every operator that is reached is costed, on data or on shapes, and what it overwrites is put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcount import Cost, DataNeededError
from fxcount.cost import total_cost
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.counting import counting
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


def test_nothing_is_written_on_shapes() -> None:
    buffer, ids = torch.zeros(4), torch.arange(4)
    with counting(WithoutData()):
        buffer.add_(X.sum(0))
        buffer[0] = 7.0
        ids.add_(1)
        ids[0] = 3
    assert (buffer.tolist(), ids.tolist()) == ([0, 0, 0, 0], [0, 1, 2, 3])


def test_torch_is_as_before() -> None:
    def state() -> tuple[Any, ...]:
        return (
            torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_rng_state().tolist(),
            torch.backends.mha.get_fastpath_enabled(), torch._C._len_torch_dispatch_stack(),
            torch._C._len_torch_function_stack(), torch.get_default_dtype(), torch.compiler.is_compiling(),
        )  # fmt: skip

    def fails(counter: OperatorCounter) -> None:
        with counting(counter):
            torch.zeros(2) @ torch.zeros(3)

    before = state()
    for counter in (OperatorCounter(), WithoutData()):
        with pytest.raises(RuntimeError):
            fails(counter)
        assert state() == before


# What depends on no parameter and no floating-point input.
KNOWN: list[Callable[[Tensor], Any]] = [
    lambda ids: ids.sum().item(),
    lambda ids: (ids > 2).any().item(),
    lambda ids: ids.tolist(),
    lambda ids: int(ids.max()),
    lambda ids: ids.float().mean().item(),
    lambda ids: torch.arange(4).cumsum(0)[-1].item(),
    lambda ids: (ids[:, None] == ids).float().triu().sum().item(),
    lambda ids: torch.tensor([1.5, 2.5]).sum().item(),
    lambda ids: torch.zeros(3).add_(1).sum().item(),
    lambda ids: torch.full((2,), 3.0)[ids[0] : ids[1]].shape[0],
    lambda ids: ids.unique().numel(),
    lambda ids: torch.linspace(0, 1, 5).cos()[0].item(),
    lambda ids: len(torch.nonzero(ids)),
    lambda ids: torch.ones(2, 2).matmul(torch.ones(2, 2)).sum().item(),
]


@pytest.mark.parametrize("function", KNOWN)
def test_known_values(function: Callable[[Tensor], Any]) -> None:
    ids = torch.tensor([0, 1, 5])
    expected = function(ids.clone())
    with counting(WithoutData()):
        assert function(ids) == expected
    assert ids.tolist() == [0, 1, 5]


UNKNOWN: list[Callable[[Tensor], Any]] = [
    lambda x: x.sum().item(),
    lambda x: bool((x > 0).any()),
    lambda x: (torch.arange(4) * x).sum().item(),
    lambda x: torch.rand(3).sum().item(),
    lambda x: torch.randint(0, 5, ()).item(),
    lambda x: torch.zeros(2, 4).add_(x).sum().item(),
    lambda x: torch.zeros(4, dtype=torch.long).copy_(x[0]).sum().item(),
    lambda x: x.argmax().item(),
    lambda x: int(x.long()[0, 0]),
    lambda x: x[x > 0],
]


@pytest.mark.parametrize("function", UNKNOWN)
def test_unknown_values(function: Callable[[Tensor], Any]) -> None:
    """No value is invented, and no random number depends on a count."""
    with counting(WithoutData()), pytest.raises(DataNeededError):
        function(X)


def test_large_constants_are_not_computed() -> None:
    """A mask of 2^40 elements, that would take a terabyte."""
    with counting(WithoutData()):
        rows = torch.arange(2**20)
        mask = rows[:, None] >= rows
        assert mask.shape == (2**20, 2**20)
        with pytest.raises(DataNeededError):
            bool(mask.any())
        assert torch.ones(10, 10).sum().item() == 100


def test_large_views_of_constants_are_not_known() -> None:
    with counting(WithoutData()):
        small = torch.arange(3).view(3, 1).expand(3, 2)
        assert small.tolist() == [[0, 0], [1, 1], [2, 2]]
        large = torch.arange(3).view(3, 1).expand(3, 2**40)
        assert large.is_meta
        with pytest.raises(DataNeededError):
            large.sum().item()


def test_data_and_no_data_meet() -> None:
    with counting(WithoutData()) as counter:
        unknown = X * 2
        assert (unknown + torch.arange(4)).shape == (2, 4)
        assert torch.cat([unknown, torch.ones(1, 4)]).shape == (3, 4)
        assert unknown.to("cpu").shape == (2, 4)
        assert torch.where(torch.tensor([True, False, True, False]), unknown, 0.0).shape == (2, 4)
        assert unknown[torch.tensor([1, 0, 1])].shape == (3, 4)
    assert total_cost(call.cost for call in counter.calls) == Cost(mul=8, add=8, cmp=8)


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


def test_results_do_not_share_what_calls_do_not_share() -> None:
    """The second call's result is a tensor of its own: a change of one's shape is not the other's."""
    with counting(WithoutData()):
        one, two = X * 2, X * 2
        one.unsqueeze_(0)
        assert one is not two
        assert two.shape == (2, 4)
        again = X * 2
        assert again.shape == (2, 4)
        assert (X.int() * 2).dtype == torch.int32
        assert (X * 2.0 > 1).dtype == torch.bool
