"""Autocast chooses dtypes by the device of a tensor; a count on shapes gives the dtypes of a run on data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcount import Cost, count_graph
from tests.tracing.graphs import TRACERS

X = torch.randn(2, 8, 4)


class Layers(nn.Module):
    """Runs ``function(self, x)`` under autocast."""

    def __init__(self, function: Callable[[Layers, Tensor], Any], dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))
        self.linear = nn.Linear(4, 4)
        self.conv = nn.Conv1d(8, 8, 3, padding=1)
        self.norm = nn.LayerNorm(4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.function = function
        self.dtype = dtype

    def forward(self, x: Tensor) -> Any:
        with torch.autocast("cpu", dtype=self.dtype):
            return self.function(self, x)


def assigned(layers: Layers, x: Tensor) -> Tensor:
    y = x.clone()
    y[0] = layers.linear(x)[0]
    return y


FUNCTIONS: dict[str, Callable[[Layers, Tensor], Tensor]] = {
    "matmul": lambda layers, x: x @ layers.weight,
    "linear": lambda layers, x: layers.linear(x),
    "linear of a copy": lambda layers, x: F.linear(x, layers.weight.t()),
    "conv": lambda layers, x: layers.conv(x),
    "softmax": lambda layers, x: layers.linear(x).softmax(-1),
    "softmax of the input": lambda layers, x: x.softmax(-1),
    "layer norm": lambda layers, x: layers.norm(layers.linear(x)),
    "sum of both": lambda layers, x: layers.linear(x) + x,
    "sum of half": lambda layers, x: layers.linear(x) + layers.linear(x),
    "in place": lambda layers, x: layers.linear(x).add_(1),
    "assigned": assigned,
    "concatenated": lambda layers, x: torch.cat([layers.linear(x), x]),
    "attention": lambda layers, x: layers.attention(x, x, x)[0],
    "cross attention": lambda layers, x: layers.attention(x, x.flip(1), x)[0],
    "scaled dot product": lambda layers, x: F.scaled_dot_product_attention(x, x, x),
    "loss": lambda layers, x: F.mse_loss(layers.linear(x), x),
    "transform": lambda layers, x: torch.fft.rfft(layers.linear(x)).real,
    "largest": lambda layers, x: layers.linear(x).max(-1).values,
    "part": lambda layers, x: layers.linear(x).split([1, 3], -1)[1],
    "transposed": lambda layers, x: layers.linear(x).mT,
    "cast back": lambda layers, x: layers.linear(x).float(),
    "double": lambda layers, x: x.double() @ layers.weight.double(),
    "integers": lambda layers, x: layers.linear(x).argmax(-1),
    "looked up": lambda layers, x: F.embedding(torch.tensor([1, 2]), layers.weight) @ layers.weight,
}


def dtype_of_result(model: nn.Module, **options: Any) -> torch.dtype:
    cost = count_graph(model, X, **options)
    (result,) = next(node for node in cost.graph.graph.nodes if node.op == "output").args
    dtype: torch.dtype = result.meta["tensor_meta"].dtype
    return dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtypes_are_those_of_a_run(name: str, dtype: torch.dtype) -> None:
    model = Layers(FUNCTIONS[name], dtype).eval()
    with torch.no_grad():
        expected = model(X).dtype
    for tracer in ("auto", "recorded", "executed"):
        assert dtype_of_result(model, tracer=tracer) == expected


@pytest.mark.parametrize("name", FUNCTIONS)
def test_costs_are_those_of_a_run(name: str) -> None:
    model = Layers(FUNCTIONS[name]).eval()
    expected = count_graph(model, X, tracer="executed").total
    assert count_graph(model, X).total == count_graph(model, X, tracer="recorded").total == expected


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_a_branch_on_the_dtype(tracer: str) -> None:
    def product_if_half(layers: Layers, x: Tensor) -> Tensor:
        y = x @ layers.weight
        return y @ layers.weight if y.dtype == torch.bfloat16 else y.exp()

    product = Cost(macs=2 * 8 * 4 * 4)
    assert count_graph(Layers(product_if_half), X, tracer=tracer).total == 2 * product


def test_a_tensor_is_itself() -> None:
    def same(layers: Layers, x: Tensor) -> Tensor:
        y = x.clone()
        return y @ layers.weight if y.mul_(1) is y and y.contiguous() is y else y.exp()

    assert count_graph(Layers(same), X).macs == 2 * 8 * 4 * 4


def test_autocast_around_a_count() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4))
    for tracer in TRACERS:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert dtype_of_result(model, tracer=tracer) == torch.bfloat16
        assert dtype_of_result(model, tracer=tracer) == torch.float32


@pytest.mark.parametrize("tracer", TRACERS)
def test_no_weight_stays_cast_after_a_count(tracer: str) -> None:
    model = nn.Linear(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        count_graph(model, X, tracer=tracer)
        model(X).sum().backward()
    assert model.weight.grad is not None


def test_autocast_around_a_count_switched_off_inside() -> None:
    class Exact(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", enabled=False):
                return F.linear(x.float(), self.weight)

    model = nn.Sequential(nn.Linear(4, 4), Exact(4, 4))
    for tracer in TRACERS:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert dtype_of_result(model, tracer=tracer) == model(X).dtype == torch.float32


def test_autocast_that_is_switched_off_is_no_obstacle() -> None:
    def forward(x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return x.exp()

    assert count_graph(forward, X).tracer == "symbolic"


def test_on_the_meta_device_nothing_is_cast() -> None:
    with torch.device("meta"):
        model, x = Layers(FUNCTIONS["linear"]), torch.empty(2, 8, 4)
    assert model(x).dtype == torch.float32
    assert count_graph(model, x).total == Cost(macs=2 * 8 * 4 * 4, add=2 * 8 * 4)


def test_what_torch_func_transforms_is_executed() -> None:
    model = Layers(lambda layers, x: torch.vmap(lambda row: row @ layers.weight)(x))
    cost = count_graph(model, X)
    assert cost.tracer == "executed"
    assert dtype_of_result(model) == model(X).dtype


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_a_gradient_of_what_was_cast(tracer: str) -> None:
    def gradient(layers: Layers, x: Tensor) -> Tensor:
        return torch.autograd.grad((x @ layers.weight).sum(), layers.weight)[0]

    cost = count_graph(Layers(gradient), X, tracer=tracer)
    assert cost.macs == 2 * (2 * 8 * 4 * 4)  # the product, and one as large for the gradient of the weight
    assert cost.tracer == ("recorded" if tracer == "auto" else tracer)
