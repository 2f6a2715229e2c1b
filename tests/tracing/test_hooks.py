"""Hooks of the model on its layers are work of the model: what they keep and compute is seen by every tracer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fxcount import Cost, count_graph

X = torch.linspace(-1, 1, 32).reshape(4, 8)
KEPT: dict[str, Any] = {}


def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
    KEPT["relu"] = output


def keep_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    KEPT["relu"] = inputs[0]


def keep_a_product(name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    KEPT[name] = output * 3


class Features(nn.Module):
    """Its head works on what a hook has kept of the layer before the last."""

    def __init__(self, register: Callable[[nn.Module], Any]) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        self.head = nn.Linear(8, 100)
        register(self.net[1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(x).sum(), self.head(KEPT["relu"])


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
@pytest.mark.parametrize(
    ("register", "products"),
    [
        (lambda layer: layer.register_forward_hook(keep), 0),
        (lambda layer: layer.register_forward_pre_hook(keep_input), 0),
        (lambda layer: layer.register_forward_hook(partial(keep_a_product, "relu")), 32),
    ],
)
def test_what_a_hook_keeps(register: Callable[[nn.Module], Any], products: int, tracer: str) -> None:
    model = Features(register)
    model(X[:1])  # what is kept of an earlier run is of another size
    cost = count_graph(model, X, tracer=tracer)
    macs = 4 * (8 * 8 + 8 * 2 + 8 * 100)
    assert cost.total == Cost(macs=macs, add=4 * (8 + 2 + 100) + 7, cmp=32, mul=products)
    graph, other = cost.graph, torch.randn(4, 8)
    for result, expected in zip(graph(other), model(other), strict=True):
        torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("tracer", ["auto", "recorded"])
def test_functions_of_torch_that_ask_what_a_value_is(tracer: str) -> None:
    from torch._higher_order_ops.associative_scan import associative_scan
    from torch._higher_order_ops.scan import scan

    def steps(x: Tensor) -> Tensor:
        return scan(lambda carried, row: (carried * row, carried + row), torch.zeros(8), x)[1]

    def combined(x: Tensor) -> Tensor:
        return associative_scan(lambda a, b: a * b, x, 0, combine_mode="generic")

    assert count_graph(steps, X, tracer=tracer).total == Cost(mul=4 * 8, add=4 * 8)
    assert count_graph(combined, X, tracer=tracer).total.mul > 0
