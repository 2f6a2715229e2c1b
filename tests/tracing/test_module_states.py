"""A model that changes its layers while it runs: each call costs what the layer is then, and so does its gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcount import Cost, GraphCost, TracingError, count_graph
from tests.tracing.graphs import TRACERS


def counts(model: nn.Module, *inputs: Tensor) -> dict[str, GraphCost]:
    """By every tracer that can."""
    found = {}
    for tracer in ("auto", *TRACERS):
        try:
            found[tracer] = count_graph(model, inputs, tracer=tracer, backward=True)
        except TracingError:
            assert tracer == "symbolic"
    return found


class Dilations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(2, 2, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for dilation in (1, 2, 4):
            self.layer.dilation = (dilation,)
            parts.append(self.layer(x))
        return torch.cat(parts, -1)


def test_a_convolution_at_several_dilations() -> None:
    """Of 16 places 14, 12 and 8 are left, each of 2 channels of 2 * 3 taps; the gradient of the weight is as large, and
    that of three calls is added."""
    macs = (14 + 12 + 8) * 2 * 6
    for tracer, cost in counts(Dilations(), torch.randn(1, 2, 16)).items():
        assert (cost.total, cost.backward) == (Cost(macs=macs), Cost(macs=macs, add=2 * 12)), tracer


class Probabilities(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        self.drop.eval()
        x = self.drop(x)
        self.drop.train()
        return self.drop(x)  # type: ignore[no-any-return]


def test_a_mode_for_one_call() -> None:
    for tracer, cost in counts(Probabilities(), torch.randn(5, 8, requires_grad=True)).items():
        assert (cost.total, cost.backward) == (Cost(mul=40), Cost(mul=40)), tracer


class WithoutBias(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        bias, self.layer.bias = self.layer.bias, None  # type: ignore[assignment]
        x = self.layer(x)
        self.layer.bias = bias
        return x


def test_a_bias_for_one_call() -> None:
    """Three products of 5 * 64, the gradients of the weight are added, and the bias has that of one call."""
    for tracer, cost in counts(WithoutBias(), torch.randn(5, 8)).items():
        assert (cost.total, cost.backward) == (Cost(macs=640, add=40), Cost(macs=3 * 320, add=64 + 32)), tracer


class Made(nn.Module):
    """A layer whose weight is made of another."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4, bias=False)
        del self.layer.weight
        self.raw = nn.Parameter(torch.randn(4, 8))

    def forward(self, x: Tensor) -> Tensor:
        self.layer.weight = self.raw * 2  # type: ignore[assignment]
        return self.layer(x)  # type: ignore[no-any-return]


def test_a_weight_that_is_made() -> None:
    x, model = torch.randn(5, 8), Made()
    for tracer, cost in counts(model, x).items():
        assert (cost.total, cost.backward) == (Cost(macs=160, mul=32), Cost(macs=160, mul=32)), tracer
        assert torch.equal(cost.graph(x), F.linear(x, model.raw * 2))


def test_a_graph_calls_what_the_model_has_after_the_count() -> None:
    model = Dilations()
    count_graph(model, torch.randn(1, 2, 16))
    assert model.layer.dilation == (1,)


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight.round()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class Quantized(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, Rounded.apply(self.weight))  # type: ignore[no-untyped-call]


def test_a_function_with_a_gradient_of_its_own_on_a_weight() -> None:
    for tracer, cost in counts(Quantized(8, 8), torch.randn(5, 8)).items():
        assert (cost.total, cost.backward) == (Cost(macs=320, cmp=64), Cost(macs=320)), tracer


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_a_formula_counts_whatever_the_layer_is(tracer: str) -> None:
    formulas = {nn.Dropout: lambda module, x: Cost(special=7)}
    cost = count_graph(Probabilities(), torch.randn(5, 8), tracer=tracer, formulas=formulas)
    assert cost.total == Cost(special=14)
