"""Costs in symbolic sizes as people read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from fxcount import GraphCost, InputError, count_graph
from tests.views.test_plot import drawn, texts
from tests.views.tower import body

MODEL = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(2), nn.Linear(64, 4))


def counted(backward: bool = False) -> GraphCost:
    model = nn.Sequential(nn.Linear(8, 16), nn.Sequential(nn.Linear(16, 4), nn.Tanh()))
    return count_graph(model, torch.ones(3, 8), dynamic_shapes=({0: "batch"},), backward=backward)


def attention(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(x, x, x).softmax(-1) @ torch.ones(8, 32)


def of_attention() -> GraphCost:
    return count_graph(attention, torch.ones(2, 4, 16, 8), dynamic_shapes=({0: "batch", 2: "length"},))


def test_a_table_of_expressions() -> None:
    lines = body(counted().table("module")).splitlines()
    assert [line.split() for line in lines[2:6]] == [
        ["(model)", "Sequential", "1", "212", "192*batch", "192*batch", "100.0%"],
        ["0", "Linear", "1", "144", "128*batch", "128*batch", "66.7%"],
        ["1", "Sequential", "1", "68", "64*batch", "64*batch", "33.3%"],
        ["0", "Linear", "1", "68", "64*batch", "64*batch", "33.3%"],
    ]
    assert "FLOPs here are multiplications (macs + mul): 192*batch in all." in lines
    assert "Sizes: batch; shares, ratios and the order of rows are those at batch=3." in lines


def test_what_does_not_fit_is_numbers_of_the_example() -> None:
    model = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    shapes = ({0: "batch_of_images", 2: "height", 3: "width"},)
    cost = count_graph(model, torch.ones(2, 3, 9, 9), dynamic_shapes=shapes)
    text = cost.table("module", width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "10.8 K" in text  # 216 * 2 * 5 * 5
    assert "numbers of the example" in text
    assert "216*batch_of_images*ceiling(height/2)*ceiling(width/2)" in cost.table("module")


def test_rows_are_sorted_as_in_the_example() -> None:
    first = [line.split()[0] for line in body(counted().table("node", sort="macs")).splitlines()[2:4]]
    assert first == ["_0", "_1_0"]


def test_bytes() -> None:
    text = counted().table("module", columns=["name", "read", "written", "intensity"])
    assert "32*batch + 576 B" in text
    assert "64*batch B" in text


def test_an_equation_with_expressions_put_in() -> None:
    text = counted().explain("0")
    assert "input: [batch, 8] = 8*batch elements" in text
    assert "macs = outputs * contracted = 16*batch * 8 = 128*batch multiply-accumulates" in text
    assert "multiplications: macs + mul = 128*batch + 0 = 128*batch" in text


def test_two_sizes_side_by_side() -> None:
    text = counted().compare(counted().at(batch=7))
    assert "+1,344 - 192*batch" in text
    assert "+133.3%" in text


@pytest.mark.parametrize("backward", [False, True])
def test_json_is_read_back(backward: bool) -> None:
    cost = counted(backward)
    again = GraphCost.from_json(cost.to_json())
    assert again.total == cost.total
    assert again.nodes == cost.nodes
    assert (again.traffic, again.backward_traffic) == (cost.traffic, cost.backward_traffic)
    assert (again.sizes, again.conditions) == (cost.sizes, cost.conditions)
    assert again.at(batch=7).total == cost.at(batch=7).total
    assert again.at(batch=7).traffic == cost.at(batch=7).traffic
    assert json.loads(cost.to_json())["total"]["macs"] == "192*batch"


def test_conditions_are_read_back() -> None:
    def table(x: torch.Tensor, of: torch.Tensor = torch.ones(32, 8)) -> torch.Tensor:  # noqa: B008
        return x + of[: x.shape[0]]

    cost = count_graph(table, torch.ones(4, 8), dynamic_shapes=({0: "n"},))
    again = GraphCost.from_json(cost.to_json())
    assert again.conditions == cost.conditions
    with pytest.raises(InputError, match="n <= 32"):
        again.at(n=33)


def test_csv_has_texts() -> None:
    lines = counted().to_csv("operator").splitlines()
    assert lines[1].startswith("aten.linear,2,192*batch,0,20*batch,")


def test_a_page_has_expressions(tmp_path: Path) -> None:
    counted().to_html(tmp_path / "page.html")
    assert "192*batch" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_repr_of_a_count() -> None:
    assert repr(counted()).startswith("GraphCost(flops=192*batch (multiplications), macs=192*batch, params=212, ")


def test_a_picture_over_a_size() -> None:
    strips = texts(drawn(counted().plot(over="batch", value="macs")), "strip")
    assert strips[0] == "batch=1: 192 MACs\n1 64\n0 128"
    with pytest.raises(InputError, match="unknown size: 'length'; the known ones are batch"):
        counted().plot(over="length")


def test_a_picture_of_boxes_is_as_large_as_in_the_example() -> None:
    assert f'[{192 * 3},"192*batch"]' in counted().plot(value="macs").page


def test_how_a_cost_grows() -> None:
    """Of 4 heads of width 8: a score is 16 macs, and one is scaled; the product after it 8 x 32 macs a row."""
    assert of_attention().scaling().splitlines() == [
        "FLOPs (macs + mul): 68*batch*length**2 + 1,024*batch*length",
        "batch: linear",
        "length: quadratic",
        "  linear part: 1,024*batch*length",
        "  quadratic part: 68*batch*length**2",
        "  the quadratic part is larger than the linear one from length=16 on",
    ]


def test_the_size_from_which_a_part_is_larger() -> None:
    """68 n > 1024 from n = 15.06 on."""
    assert 68 * 15 < 1024 < 68 * 16
    assert "from length=16 on" in of_attention().scaling()


def test_numbers_do_not_grow() -> None:
    assert count_graph(nn.Linear(2, 2), torch.ones(2, 2)).scaling().startswith("No size is a symbol")
