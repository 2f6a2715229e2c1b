"""Without data: what is known is computed, what is not is refused, and nothing of the model is written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fxcount import Cost, DataNeededError
from fxcount.cost import total_cost
from fxcount.engine.counting_context import counting
from fxcount.engine.without_data import WithoutData

X = torch.randn(2, 4)


def test_nothing_is_written_on_shapes() -> None:
    buffer, ids = torch.zeros(4), torch.arange(4)
    with counting(WithoutData()):
        buffer.add_(X.sum(0))
        buffer[0] = 7.0
        ids.add_(1)
        ids[0] = 3
    assert (buffer.tolist(), ids.tolist()) == ([0, 0, 0, 0], [0, 1, 2, 3])


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
