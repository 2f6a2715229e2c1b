"""The drawing has a box for every node, with what the node costs."""

import sys
from pathlib import Path

import pydot
import pytest
import torch
from torch import nn

from fxcount import FxcountError, GraphCost, InputError, count_graph
from fxcount.cli.worked_example import worked_example, worked_example_input


def worked_example_cost() -> GraphCost:
    return count_graph(worked_example(), worked_example_input())


def drawn(cost: GraphCost, path: Path) -> pydot.Dot:
    cost.draw(path)
    (graph,) = pydot.graph_from_dot_data(path.read_text())
    return graph


def labels(graph: pydot.Dot) -> list[str]:
    return [node.get_label().strip('"') for node in graph.get_nodes()]


def test_the_worked_example(tmp_path: Path) -> None:
    graph = drawn(worked_example_cost(), tmp_path / "graph.dot")
    assert labels(graph) == [
        "{input_1|placeholder|[1, 1, 130, 40]}",
        "{_0|Conv2d|[1, 32, 64, 4]|327,680 FLOPs|1,280 parameters}",
        "{_1|BatchNorm2d|[1, 32, 64, 4]|16,384 FLOPs|64 parameters}",
        "{_2|Hardtanh|[1, 32, 64, 4]}",
        "{output|[1, 32, 64, 4]}",
    ]
    assert [(edge.get_source(), edge.get_destination()) for edge in graph.get_edges()] == [
        ("input_1", "_0"),
        ("_0", "_1"),
        ("_1", "_2"),
        ("_2", "output"),
    ]
    title = "Sequential: 344,064 FLOPs (multiplications: macs + mul), 1,344 parameters"
    assert graph.get_label().strip('"') == title


class Message(nn.Module):
    """Names that mean something else to dot, and a result that is no tensor alone."""

    def forward(self, node: torch.Tensor, edge: torch.Tensor) -> tuple[torch.Tensor, dict[str, object]]:
        return node + edge, {"edge": edge * 2, "count": 3, "none": None}


def test_names_that_dot_knows_and_nested_results(tmp_path: Path) -> None:
    graph = drawn(count_graph(Message(), (torch.randn(2), torch.randn(2))), tmp_path / "graph.dot")
    assert [node.get_name().strip('"') for node in graph.get_nodes()] == ["node", "edge", "add", "mul", "output"]
    assert labels(graph)[:3] == ["{node|placeholder|[2]}", "{edge|placeholder|[2]}", "{add|[2]}"]
    assert len(graph.get_edges()) == 5


def test_signs_that_draw_lines_are_escaped(tmp_path: Path) -> None:
    odd = type("A|<B>", (nn.ReLU,), {"__module__": "torch.nn.odd"})
    graph = drawn(count_graph(nn.Sequential(odd()), torch.randn(2)), tmp_path / "graph.dot")
    assert labels(graph)[1] == r"{_0|A\|\<B\>|[2]}"


def test_a_function(tmp_path: Path) -> None:
    graph = drawn(count_graph(lambda x: x * 2, torch.randn(2)), tmp_path / "graph.dot")
    assert graph.get_label().strip('"').startswith("model: 2 FLOPs")


def fake_dot(directory: Path) -> None:
    """A program called dot that prints how it is called; what graphviz draws is graphviz's."""
    program = directory / "dot"
    program.write_text('#!/bin/sh\necho "drawn as $1"\n')
    program.chmod(0o755)


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_a_picture_is_drawn_by_dot(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_dot(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    worked_example_cost().draw(tmp_path / f"graph.{ending}")
    assert (tmp_path / f"graph.{ending}").read_text() == f"drawn as -T{ending}\n"


def test_without_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FxcountError, match=r"install graphviz, or write a \.dot"):
        worked_example_cost().draw(tmp_path / "graph.svg")


def test_without_pydot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(FxcountError, match=r"pip install 'fxcount\[draw\]'"):
        worked_example_cost().draw(tmp_path / "graph.svg")


def test_an_unknown_ending() -> None:
    with pytest.raises(InputError, match=r"ends in \.svg, \.png, \.pdf, \.dot, not 'graph\.jpeg'"):
        worked_example_cost().draw("graph.jpeg")
