"""Weights that are no parameters: a count says that there are some, and how many where that can be read."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.ao.nn.quantized as quantised
import torch.ao.nn.quantized.dynamic as dynamic
from torch import Tensor, nn

from fxcount import GraphCost, count_graph
from tests.views.tower import tower_cost

pytestmark = pytest.mark.filterwarnings("ignore")

X = torch.randn(3, 4)
IMAGE = torch.quantize_per_tensor(torch.randn(1, 3, 8, 8), 0.1, 0, torch.quint8)
CONV = 4 * 3 * 9 + 4


class Packs(nn.Module):
    """Holds a packed weight itself, and nobody can ask it for that."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.quantize_per_tensor(torch.randn(5, 4), 0.1, 0, torch.qint8)
        self.kernel = torch.ops.quantized.linear_prepack(weight, None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.quantized.linear_dynamic(x, self.kernel)


def frozen(model: nn.Module) -> Any:
    return torch.jit.freeze(torch.jit.script(model.eval()))


MODELS: dict[str, tuple[Callable[[], Any], Any, dict[str, int | None]]] = {
    "linear": (lambda: nn.Sequential(nn.Linear(4, 4), dynamic.Linear(4, 5)), X, {"1": 4 * 5 + 5}),
    "recurrent": (lambda: dynamic.LSTM(4, 5, num_layers=2), X[None], {"": 20 * (4 + 5 + 2) + 20 * (5 + 5 + 2)}),
    "cell": (lambda: nn.Sequential(dynamic.GRUCell(4, 5)), X, {"0": 15 * (4 + 5 + 2)}),
    "convolution": (lambda: nn.Sequential(quantised.Conv2d(3, 4, 3)), IMAGE, {"0": CONV}),
    "embedding": (lambda: quantised.Embedding(7, 4), torch.tensor([1, 2]), {"": 28}),
    "of its own": (lambda: nn.Sequential(nn.Linear(4, 4), Packs()), X, {"1": None}),
    "frozen": (lambda: frozen(nn.Sequential(nn.Linear(4, 5), nn.ReLU())), X, {"": 4 * 5 + 5}),
    "frozen inside": (lambda: nn.Sequential(nn.Linear(4, 4), frozen(nn.Linear(4, 5))), X, {"1": 4 * 5 + 5}),
    "frozen, of packed ones": (lambda: frozen(nn.Sequential(dynamic.Linear(4, 5))), X, {"": None}),
    "optimised": (
        lambda: torch.jit.optimize_for_inference(torch.jit.script(nn.Conv2d(3, 4, 3).eval())),
        torch.randn(1, 3, 8, 8),
        {"": CONV},
    ),
}


@pytest.mark.parametrize("tracer", ["auto", "executed"])
@pytest.mark.parametrize("name", MODELS)
def test_a_line_says_what_is_beside_the_parameters(name: str, tracer: str) -> None:
    make, example, packed = MODELS[name]
    model = make()
    cost = count_graph(model, example, tracer=tracer)
    assert cost.params == sum(parameter.numel() for parameter in model.parameters())
    assert cost.packed == packed
    (elements,) = packed.values()
    size = "weights whose number cannot be read" if elements is None else f"{elements} elements"
    for by in ("node", "module", "operator"):
        assert f"Beside the parameters there are {size}, packed for a kernel" in cost.table(by)
    restored = GraphCost.from_json(cost.to_json())
    assert (restored.packed, str(restored)) == (packed, str(cost))


def test_a_layer_that_the_model_does_not_register() -> None:
    layer = dynamic.Linear(4, 5)
    assert count_graph(lambda x: layer(x), X).packed == {"linear_0": 25}


def test_one_line_for_all() -> None:
    cost = count_graph(nn.Sequential(*(dynamic.Linear(4, 4) for _ in range(6)), Packs()), X)
    line = (
        "Beside the parameters there are 120 elements and weights whose number cannot be read, packed for a kernel or "
    )
    assert f"{line}constants of a script: 0, 1, 2, 3, 4 and 2 more." in cost.table()


def test_nothing_is_said_of_what_is_all_parameters() -> None:
    for cost in (tower_cost(), count_graph(torch.jit.script(nn.Sequential(nn.Linear(4, 3))), X)):
        assert cost.packed == {}
        assert "Beside the parameters" not in str(cost)
