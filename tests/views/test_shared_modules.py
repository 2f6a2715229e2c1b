"""A module in several others: its work stands under the one that called it, its parameters under the first."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fxcount import Cost, GraphCost, count_graph
from tests.tracing.graphs import TRACERS, checked_count
from tests.views.test_totals import check
from tests.views.tower import rows_of

X = torch.randn(3, 4)


class Head(nn.Module):
    def __init__(self, encoder: nn.Module, outputs: int) -> None:
        super().__init__()
        self.encoder, self.out = encoder, nn.Linear(4, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.encoder(x))


class Heads(nn.Module):
    """On [3, 4], with an encoder of c macs: c + 24 in a, c + 36 in b."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.a, self.b = Head(encoder, 2), Head(encoder, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.a(x), self.b(x)


class Layers(nn.Module):
    """Two blocks in a list, each of 48 macs and, in its own forward, 12 multiplications."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x) * 2
        return x


def amounts(cost: GraphCost, *paths: str) -> list[tuple[int, int, int]]:
    modules = cost.by_module()
    return [(modules[path].calls, modules[path].params, modules[path].flops) for path in paths]


@pytest.mark.parametrize("tracer", TRACERS)
def test_each_parent_is_what_it_ran(tracer: str) -> None:
    model = Heads(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    cost = checked_count(model, X, tracer=tracer)
    assert cost.total == Cost(macs=156, add=2 * 12, cmp=2 * 12)
    assert amounts(cost, "a", "b") == [(1, 20 + 8, 48 + 24), (1, 12, 48 + 36)]
    assert amounts(cost, "a.encoder", "a.encoder.0", "b.encoder", "b.encoder.0") == [(1, 20, 48)] * 2 + [(1, 0, 48)] * 2
    check(model, cost)


@pytest.mark.parametrize("tracer", TRACERS)
def test_what_lies_inside_it_stands_there_too(tracer: str) -> None:
    model = Heads(Layers())
    cost = checked_count(model, X, tracer=tracer)
    assert amounts(cost, "a.encoder", "b.encoder") == [(1, 40, 2 * 60), (1, 0, 2 * 60)]
    assert amounts(cost, "b.encoder.layers.1", "b.encoder.layers.1.0") == [(1, 0, 48), (1, 0, 48)]
    assert cost.modules["b.encoder.layers"].kind == "ModuleList"
    assert {node.module for node in cost.nodes if node.target == "mul"} == {"a.encoder", "b.encoder"}
    check(model, cost)


class Tied(nn.Module):
    """The model has the embedding itself too, and does not call it, as in models of translation."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Embedding(7, 4)
        self.encoder, self.decoder = Head(self.shared, 4), Head(self.shared, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x) + self.decoder(x)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_node_names_the_first_path_and_where_it_was_called(tracer: str) -> None:
    cost = checked_count(Tied(), torch.tensor([1, 2]), tracer=tracer)
    calls = [(node.name, node.target, node.called_as) for node in cost.nodes if node.op == "call_module"]
    assert calls == [
        ("shared", "shared", "encoder.encoder"),
        ("encoder_out", "encoder.out", ""),
        ("shared_1", "shared", "decoder.encoder"),
        ("decoder_out", "decoder.out", ""),
    ]
    assert amounts(cost, "shared", "encoder.encoder", "decoder.encoder") == [(0, 28, 0), (1, 0, 0), (1, 0, 0)]
    restored = GraphCost.from_json(cost.to_json())
    assert [node.owner for node in restored.nodes] == [node.owner for node in cost.nodes]
    assert "shared_1: module decoder.encoder, which is shared, Embedding\n" in cost.explain("decoder.encoder")


def test_one_that_is_called_by_its_second_path_alone(tmp_path: Path) -> None:
    model = Heads(nn.ReLU())
    model.a.forward = model.a.out.forward  # type: ignore[method-assign]
    cost = count_graph(model, X)
    assert amounts(cost, "b.encoder") == [(1, 0, 0)]
    assert "a.encoder" not in cost.modules
    cost.draw(tmp_path / "graph.dot")
    assert "ReLU" in (tmp_path / "graph.dot").read_text()


class Chain(nn.Module):
    """Each link has the next one, and the layer that all of them call."""

    def __init__(self, depth: int, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.next = Chain(depth - 1, layer) if depth else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        return x if self.next is None else self.next(x)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_layer_that_every_link_of_a_chain_has(tracer: str) -> None:
    """A link is what it and those inside it ran."""
    cost = checked_count(nn.Sequential(Chain(3, nn.Linear(4, 4))), X, tracer=tracer)
    links = ["0", "0.next", "0.next.next", "0.next.next.next"]
    assert amounts(cost, *links) == [(1, 20, 4 * 48), (1, 0, 3 * 48), (1, 0, 2 * 48), (1, 0, 48)]
    assert amounts(cost, *(f"{path}.layer" for path in links)) == [(1, 20, 48), *[(1, 0, 48)] * 3]


@pytest.mark.parametrize("tracer", TRACERS)
def test_one_that_the_caller_does_not_have_stands_under_its_first_path(tracer: str) -> None:
    model = Heads(nn.Linear(4, 4))
    model.a.forward = lambda x: model.b.out(x)  # type: ignore[method-assign]
    cost = count_graph(model, X, tracer=tracer)
    assert amounts(cost, "a", "b", "b.out") == [(1, 28, 0), (1, 12, 48 + 2 * 36), (2, 12, 72)]


def test_the_tree_shows_both() -> None:
    rows = rows_of(count_graph(Heads(nn.Linear(4, 4)), X).table("module"))
    assert [row[0] for row in rows] == ["(model)", "  a", "    encoder", "    out", "  b", "    encoder", "    out"]
