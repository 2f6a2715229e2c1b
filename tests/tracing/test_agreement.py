"""Small models in different styles: every tracer that can trace one gives the cost worked out by hand."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcount import Cost, count_graph
from tests.tracing.graphs import checked_count

X = torch.randn(2, 4)

# Two layers of 4 x 3 and 3 x 2 with biases and a comparison with zero, on two rows.
NETWORK = Cost(macs=2 * (12 + 6), add=2 * (3 + 2), cmp=2 * 3)


class Modules(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.activation = nn.Linear(4, 3), nn.Linear(3, 2), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.activation(self.first(x)))


class Functions(Modules):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.linear(x, self.first.weight, self.first.bias))
        return F.linear(x, self.second.weight, self.second.bias)


class Methods(Modules):
    def forward(self, x: Tensor) -> Tensor:
        x = (x.matmul(self.first.weight.t()) + self.first.bias).clamp(min=0)
        return x.mm(self.second.weight.T).add(self.second.bias)


class InPlace(Modules):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.addmm(self.first.bias, x, self.first.weight.t()).relu_()
        x = x @ self.second.weight.t()
        x += self.second.bias
        return x


class Subscripts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 3), nn.Linear(3, 2)])
        self.activations = nn.ModuleDict({"relu": nn.ReLU()})

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.activations["relu"](layer(x))
        return self.layers[-1](x)


class Derived(nn.Linear):
    """A subclass of a leaf, with a forward of its own."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.second = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(super().forward(x).relu())


class Written(Modules):
    """The contractions as sums of products."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.einsum("bi,oi->bo", x, self.first.weight) + self.first.bias
        return torch.einsum("bi,oi->bo", torch.relu(x), self.second.weight) + self.second.bias


class Keywords(Modules):
    def inner(self, *, given: Tensor, layer: nn.Module, activate: bool = False) -> Tensor:
        given = layer(input=given)
        return F.relu(input=given) if activate else given

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(given=self.inner(given=x, layer=self.first, activate=True), layer=self.second)


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
@pytest.mark.parametrize(
    "model",
    [
        Modules,
        Functions,
        Methods,
        InPlace,
        Subscripts,
        Derived,
        Written,
        Keywords,
        lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Sequential(nn.Linear(3, 2))),
        lambda: nn.Sequential(OrderedDict(a=nn.Linear(4, 3), b=nn.ReLU(), c=nn.Linear(3, 2))),
        lambda: Modules().forward,
        lambda: torch.fx.symbolic_trace(Modules()),
    ],
)
def test_one_network_in_every_style(model: Callable[[], Any], tracer: str) -> None:
    cost = checked_count(model(), X, tracer=tracer)
    assert cost.total == NETWORK
    assert cost.params == 12 + 3 + 6 + 2
    assert cost.by_module()[""].cost == NETWORK
    with torch.device("meta"):
        without_weights = model()
    if tracer != "executed":
        assert count_graph(without_weights, X, tracer=tracer).total == NETWORK


class Shared(nn.Module):
    """One layer called twice, and its weight once more under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.tied = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.tied.weight = self.layer.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.tied(self.layer(self.layer(x)))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class Parts(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        a, b = x.chunk(2, 1)
        c, d = torch.split(x, [1, 3], dim=1)
        values, _ = x.max(dim=1)
        top = x.topk(2)
        return a * b, c + d, values * 2, top.values, top[1], x.unbind(0)[1].exp()


class Convolution(nn.Module):
    """Norm and dropout in train()."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(2)
        self.drop = nn.Dropout()
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.drop(self.norm(self.convolution(x)))).flatten(1)


def conditional(x: Tensor, mask: Tensor | None = None, scale: float | None = None) -> Tensor:
    if mask is not None:
        x = x.masked_fill(mask, 0.0)
    return x if scale is None else x * scale


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
@pytest.mark.parametrize(
    ("model", "example", "expected"),
    [
        (Shared, X, Cost(macs=3 * 2 * 16, add=2 * 2 * 4)),
        # Three rows of four in two batches: in and out projections; two heads of 3 x 3 scores of width 2; a softmax.
        (
            Attention,
            torch.randn(2, 3, 4),
            Cost(
                macs=6 * 4 * 12 + 6 * 4 * 4 + 2 * 2 * 9 * (2 + 2),
                add=6 * 12 + 6 * 4 + 36 + 36 - 12,
                mul=36, cmp=36 - 12, special=36, div=36,
            ),
        ),
        # The largest of four: 3 comparisons a row; the two largest: log2(4) for each element.
        (Parts, X, Cost(mul=4 + 2, add=6, cmp=2 * 3 + 8 * 2, special=4)),
        # 2 x 2 x 6 x 6 outputs of 9 taps; the norm of 144 elements and 2 channels; dropout; means of 36.
        (
            Convolution,
            torch.randn(2, 1, 8, 8),
            Cost(
                macs=144 * 9, mul=2 * 144 + 144, div=144 + 2 * 2 + 4,
                add=3 * 144 - 2 * 2 + 2 + 144 + 4 * 35, special=2,
            ),
        ),
        (lambda: conditional, X, Cost()),
        (lambda: conditional, (X, None, 2.0), Cost(mul=8)),
        (lambda: conditional, {"x": X, "scale": 0.5}, Cost(mul=8)),
        (lambda: lambda pair: pair[0] @ pair[1]["b"].T, [X, {"b": X}], Cost(macs=16)),
        (lambda: lambda x: torch.stack([x[i] * i for i in range(2)]), X, Cost(mul=8)),
        (lambda: lambda x: sum([x, x, x]), X, Cost(add=3 * 8)),  # 0 + x as well
        (lambda: lambda x: torch.view_as_complex(x.view(2, 2, 2)) * 1j, X, Cost(mul=4 * 4, add=2 * 4)),
        (lambda: lambda x: 1 - x // 2 + 2**x, X, Cost(div=8, cmp=8, special=8, add=16)),
    ],
)  # fmt: skip
def test_by_hand(model: Callable[[], Any], example: Any, expected: Cost, tracer: str) -> None:
    assert checked_count(model(), example, tracer=tracer).total == expected


CONSTANT = torch.tensor([1.0, 2.0])


class Named(nn.Module):
    """Has the name that a tensor without a name would get."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_tensor_constant_0", torch.tensor([3.0, 4.0]))

    def forward(self, x: Tensor) -> Tensor:
        return x * self._tensor_constant_0 + CONSTANT


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_a_tensor_without_a_name_takes_nobodys(tracer: str) -> None:
    cost = checked_count(Named(), torch.rand(3, 2), tracer=tracer)
    assert [node.target for node in cost.nodes if node.op == "get_attr"] == ["_tensor_constant_0", "_tensor_constant_1"]


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_a_graph_can_be_pickled(tracer: str) -> None:
    model = Modules()
    graph = pickle.loads(pickle.dumps(count_graph(model, X, tracer=tracer).graph))
    assert torch.equal(graph(X), model(X))


class NamesItsBias(nn.Linear):
    """A linear layer that hands its weight on by position, and its bias by name."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, bias=self.bias)


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_attributes_stand_in_the_order_of_the_arguments(tracer: str) -> None:
    cost = count_graph(NamesItsBias(4, 3), torch.randn(2, 4), tracer=tracer)
    assert [node.name for node in cost.nodes] == ["input_1", "weight", "bias", "linear", "output"]
