"""Exports: exact, stable in their names, and all the way back from JSON."""

import csv
import io
import json
import sys

import pandas
import pytest
import torch
from torch import nn

import fxcount
from fxcount import FxcountError, GraphCost, count_graph
from tests.views import tower
from tests.views.tower import Tower, tower_cost

FIELDS = ["macs", "mul", "add", "div", "cmp", "special"]


def test_column_names() -> None:
    """They are an interface: a change needs a new schema version."""
    header = {by: next(csv.reader(io.StringIO(tower_cost().to_csv(by)))) for by in ("node", "module", "operator")}
    costs = [*FIELDS, "flops", "read", "written"]
    counts = ["params", "trainable", *costs]
    assert header == {
        "node": ["name", "op", "target", "module", "input_shapes", "output_shapes", *counts, "convention"],
        "module": ["name", "kind", "calls", "nodes", *counts, *(f"own_{name}" for name in counts), "convention"],
        "operator": ["name", "calls", *costs, "convention"],
    }


def test_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(tower_cost().to_csv())))
    assert [rows[2][name] for name in ("name", "module", "input_shapes", "params", "macs", "add", "convention")] == [
        "layers_0_linear", "layers.0", "[2, 4]", "20", "32", "8", "multiplications",
    ]  # fmt: skip
    assert sum(int(row["params"]) for row in rows) == tower.PARAMS
    assert sum(int(row["flops"]) for row in rows) == tower.FLOPS
    assert {row["convention"] for row in csv.DictReader(io.StringIO(tower_cost().under({"macs": 3}).to_csv()))} == {
        "3 macs"
    }


def test_data_frame() -> None:
    frame = tower_cost().to_dataframe("module")
    assert isinstance(frame, pandas.DataFrame)
    assert frame.own_flops.sum() == frame.flops[0] == tower.FLOPS
    assert frame.set_index("name").loc["layers.1", ["kind", "calls", "params", "mul"]].tolist() == ["Block", 1, 24, 8]
    assert tower_cost().to_dataframe().output_shapes[1] == ((2, 4),)


def test_data_frame_of_numbers_beyond_64_bits_is_exact() -> None:
    huge = count_graph(torch.matmul, tuple(torch.empty(2**22, 2**22, device="meta") for _ in range(2)))
    assert huge.to_dataframe("operator").macs[0] == 2**66


def test_what_an_earlier_version_saved_is_read_without_what_it_lacks() -> None:
    saved = tower_cost().to_dict()
    del saved["call"]
    restored = GraphCost.from_json(json.dumps({**saved, "schema": 1}))
    assert restored.call is None
    assert restored.total == tower_cost().total
    assert restored.table().startswith("name ")
    assert restored.explain("").startswith("the model: Tower")


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(FxcountError, match="needs pandas: pip install pandas"):
        tower_cost().to_dataframe()


def test_dict() -> None:
    found = tower_cost().to_dict()
    assert found["schema"] == 2
    assert found["call"] == {
        "model": "Tower", "mode": "train", "dtypes": {"x": "float32"}, "mesh": "", "splits": {},
        "is_default": False,
        "versions": {"fxcount": fxcount.__version__, "torch": torch.__version__.partition("+")[0]},
    }  # fmt: skip
    assert found["convention"] == {"name": "multiplications", "weights": {"macs": 1, "mul": 1}}
    assert found["total"] == {
        "params": tower.PARAMS, "trainable": tower.PARAMS, "macs": tower.MACS, "mul": 24, "add": 24, "div": 0,
        "cmp": 0, "special": 0, "flops": tower.FLOPS, "read": tower.READ, "written": tower.WRITTEN,
    }  # fmt: skip
    assert found["unused_params"] == tower.UNUSED_PARAMS
    assert found["parameters"]["layers.0.linear.weight"] == [4, 4]
    assert found["nodes"][1]["operators"] == [
        {
            "name": "aten.linear", "macs": 24, "mul": 0, "add": 0, "div": 0, "cmp": 0, "special": 0,
            "equation": "macs = outputs * contracted, add = biases",
            "quantities": {"outputs": 8, "contracted": 3, "biases": 0},
            "uncounted": "", "phase": "forward", "written": [], "unread": [],
            "inputs": [
                {"shape": [2, 3], "dtype": "float32", "stride": [3, 1], "storage": 1, "offset": 0},
                {"shape": [4, 3], "dtype": "float32", "stride": [3, 1], "storage": 0, "offset": 0},
            ],
            "outputs": [{"shape": [2, 4], "dtype": "float32", "stride": [4, 1], "storage": 2, "offset": 0}],
        }
    ]  # fmt: skip
    assert json.loads(tower_cost().to_json(indent=2)) == found


@pytest.mark.parametrize("convention", ["torch", {"macs": 2, "special": 5}])
def test_everything_but_the_graph_comes_back(convention: str | dict[str, int]) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GELU())
    cost = count_graph(model, torch.empty(1, 1, 5, 5), convention=convention)
    restored = GraphCost.from_json(cost.to_json())
    assert isinstance(restored, GraphCost)
    assert restored.nodes == cost.nodes
    assert (restored.parameters, restored.shared, restored.modules) == (cost.parameters, cost.shared, cost.modules)
    assert (restored.total, restored.params, restored.tracer) == (cost.total, cost.params, cost.tracer)
    assert (str(restored), restored.explain("")) == (str(cost), cost.explain(""))
    assert restored.to_dict() == cost.to_dict()
    with pytest.raises(FxcountError, match="restored from JSON has no graph"):
        _ = restored.graph


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 3}', "no json"])
def test_what_is_not_a_count(text: str) -> None:
    with pytest.raises(FxcountError, match=r"JSON of a count"):
        GraphCost.from_json(text)


def test_an_unknown_view() -> None:
    with pytest.raises(FxcountError, match="unknown view 'layer'"):
        count_graph(Tower(), torch.empty(2, 3)).to_csv("layer")
