"""The backward pass in every view."""

from __future__ import annotations

import csv
import io

import pytest
import torch
from torch import nn

from fxcount import Cost, GraphCost, count_graph
from tests.views.tower import body


def two_layers(*, frozen: bool = True) -> GraphCost:
    """On [5, 3]: 60 and 40 macs; the first layer is frozen, so the second has the gradient of its weight alone."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(not frozen)
    return count_graph(model, torch.empty(5, 3), optimizer=torch.optim.SGD)


def test_table() -> None:
    text = body(str(two_layers()))
    header, _, *rows = text.splitlines()
    assert header.split()[5:] == ["params", "trainable", "MACs", "FLOPs", "backward", "FLOPs", "share"]
    assert rows[2].split()[-5:] == ["10", "40", "40", "40", "40.0%"]
    assert "(10 of 26 are trainable): 40 FLOPs, 0.40 times those of the forward." in text
    assert "Optimizer: one step of SGD is 10 FLOPs, after its first ones." in text
    assert "trainable" not in body(str(two_layers(frozen=False))).splitlines()[0]
    assert "(all are trainable): 140 FLOPs, 1.40 times" in str(two_layers(frozen=False))


@pytest.mark.parametrize("by", ["node", "module", "operator"])
def test_rows_add_up(by: str) -> None:
    cost = two_layers()
    rows = list(csv.DictReader(io.StringIO(cost.to_csv(by))))
    name = "own_backward_macs" if by == "module" else "backward_macs"
    assert sum(int(row[name]) for row in rows) == 40
    table = cost.table(by, columns=["name", "backward_macs", "backward_flops"])
    assert body(table).splitlines()[0].split()[-4:] == ["backward", "MACs", "backward", "FLOPs"]


def test_no_column_unless_asked_for() -> None:
    cost = count_graph(nn.Linear(3, 4), torch.empty(5, 3))
    assert not [name for by in ("node", "module", "operator") for name in csv_header(cost, by) if "backward" in name]
    assert "ackward" not in str(cost) + cost.explain("linear")


def csv_header(cost: GraphCost, by: str) -> list[str]:
    return cost.to_csv(by).splitlines()[0].split(",")


def test_json() -> None:
    cost = two_layers()
    again = GraphCost.from_json(cost.to_json())
    assert (again.backward, again.trainable, again.frozen) == (Cost(macs=40, add=8), 10, ("0.weight", "0.bias"))
    assert (again.optimizer, again.optimizer_step) == (cost.optimizer, Cost(mul=10, add=10))
    assert str(again) == str(cost)
    assert again.to_dict() == cost.to_dict()
    assert cost.to_dict()["total"]["backward_macs"] == 40


def test_explain() -> None:
    text = two_layers().explain("1")
    assert "in the backward pass" in text
    assert "macs = outputs * contracted = 8 * 5 = 40 multiply-accumulates" in text
    assert "backward FLOPs, here multiplications" in text


def test_compare() -> None:
    text = two_layers().compare(two_layers(frozen=False))
    rows = [line.split() for line in text.splitlines()]
    assert next(row for row in rows if row[:1] == ["(model)"])[-2:] == ["40", "140"]
    assert "Backward of the other" in text
    with_one = two_layers().compare(count_graph(nn.Linear(3, 4), torch.empty(5, 3)))
    assert next(line.split() for line in with_one.splitlines() if line.startswith("(model)"))[-1] == "-"


def test_picture() -> None:
    assert '"measure":"backward_flops"' in two_layers().plot(value="backward_flops").page


def test_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("page") / "cost.html"
    two_layers().to_html(path)
    assert '"label":"backward FLOPs"' in path.read_text()


def test_under_another_convention() -> None:
    cost = two_layers()
    assert (cost.backward_flops, cost.under("torch").backward_flops) == (40, 80)
    assert cost.under("torch").backward == cost.backward
