"""Two counts side by side."""

import pytest
import torch
from torch import nn

from fxcount import FxcountError, count_graph
from tests.views.tower import rows_of, tower_cost

FLOPS_3, FLOPS_4 = 24 + 3 * 40 + 24, 24 + 4 * 40 + 24
PARAMS_3, PARAMS_4 = 12 + 3 * 24 + 12 + 25, 12 + 4 * 24 + 12 + 25


def test_two_models() -> None:
    (model, embed, layers, three, fourth, *rest) = rows_of(tower_cost(3).compare(tower_cost(4)))
    assert model == [
        "(model)", "Tower", f"{FLOPS_3}", f"{FLOPS_4}", "+40", "+23.8%", f"{PARAMS_3}", f"{PARAMS_4}", "+24",
    ]  # fmt: skip
    assert embed == ["  embed", "Linear", "24", "24", "0", "0.0%", "12", "12", "0"]
    assert layers == ["  layers", "ModuleList", "120", "160", "+40", "+33.3%", "72", "96", "+24"]
    assert three == ["    0-2 x3", "Block", "120", "120", "0", "0.0%", "72", "72", "0"]
    assert fourth == ["    3", "Block", "-", "40", "+40", "only in other", "-", "24", "+24"]
    assert [row[0] for row in rest] == ["  head", "  unused"]


def test_the_other_way_round() -> None:
    rows = rows_of(tower_cost(4).compare(tower_cost(3)))
    assert rows[0][4:6] == ["-40", "-19.2%"]
    assert rows[4] == ["    3", "Block", "40", "-", "-40", "only here", "24", "-", "-24"]


def test_one_model_on_two_inputs() -> None:
    rows = rows_of(tower_cost(batch=2).compare(tower_cost(batch=6)))
    assert rows[0][2:6] == ["168", f"{3 * 168}", f"+{2 * 168}", "+200.0%"]
    assert rows[2] == ["  layers.0-2 x3", "Block", "120", "360", "+240", "+200.0%", "72", "72", "0"]
    assert rows[4] == ["    (own)", "24", "72", "+48", "+200.0%", "12", "12", "0"]


def test_equal_modules_are_not_opened() -> None:
    assert len(rows_of(tower_cost().compare(tower_cost()))) == 1
    assert [row[0].strip() for row in rows_of(tower_cost(3).compare(tower_cost(4), depth=1))] == [
        "(model)", "embed", "layers", "head", "unused",
    ]  # fmt: skip


def test_another_class_in_the_same_place() -> None:
    first, second = nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Sequential(nn.Linear(3, 3), nn.GELU())
    costs = [count_graph(model, torch.empty(2, 3)) for model in (first, second)]
    row = rows_of(costs[0].compare(costs[1]))[-1]
    # a gelu multiplies three times per element
    assert row == ["  1", "ReLU -> GELU", "0", "18", "+18", "from 0", "0", "0", "0"]


def test_both_are_read_under_one_convention() -> None:
    text = tower_cost().under("torch").compare(tower_cost().under("macs"))
    assert rows_of(text)[0][2:6] == ["288", "288", "0", "0.0%"]
    assert "FLOPs here are torch (2 macs): 288 here and 288 in the other." in text


def test_in_80_columns() -> None:
    text = tower_cost(3).compare(tower_cost(4), width=80)
    assert max(map(len, text.split("\n"))) <= 80
    assert "Left out to fit 80 columns: params change, params, params of other" in text


def test_with_something_else() -> None:
    with pytest.raises(FxcountError, match="compared with another count, not with int"):
        tower_cost().compare(168)
