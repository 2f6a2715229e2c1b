"""The picture adds up: what its boxes stand for is what the model costs."""

import sys
from typing import Any

import pytest
import torch
from torch import nn

from fxcount import CONVENTIONS, FxcountError, InputError, count_graph
from fxcount.cli.worked_example import worked_example, worked_example_input
from tests.test_count import Residual


def boxes(figure: Any) -> dict[str, tuple[str, str, int]]:
    """Id to parent, label and own value of every box in the picture."""
    (trace,) = figure.data
    return dict(zip(trace.ids, zip(trace.parents, trace.labels, trace.values, strict=True), strict=True))


def test_the_worked_example() -> None:
    figure = count_graph(worked_example(), worked_example_input()).plot()
    assert boxes(figure) == {
        ".": ("", "(model)", 0),
        "0": (".", "0", 327_680),
        "1": (".", "1", 16_384),
        "2": (".", "2", 0),
    }
    assert figure.layout.title.text == "Sequential: 344,064 FLOPs (multiplications: macs + mul), by module"
    assert figure.data[0].text == ("100.0%", "95.2%", "4.8%", "0.0%")
    assert figure.data[0].hovertext[2] == (
        "<b>1 (BatchNorm2d)</b><br>16,384 FLOPs (multiplications: macs + mul)<br>4.8% of the model"
    )


def test_what_a_module_does_itself_is_its_own() -> None:
    cost = count_graph(Residual(), torch.randn(3, 4))
    # 3 x 4 for the sum of two branches; 4 outputs in the layer twice, 8 and 4 in the block.
    assert boxes(cost.plot(value="add")) == {
        ".": ("", "(model)", 0),
        "layer": (".", "layer", 2 * 12),
        "block": (".", "block", 0),
        "block.0": ("block", "0", 24),
        "block.1": ("block", "1", 0),
        "block.2": ("block", "2", 12),
        "(own)": (".", "(own)", 12),
    }
    assert [own for *_, own in boxes(cost.plot(value="params")).values()] == [0, 20, 0, 40, 0, 36, 0]
    assert boxes(cost.plot(by="operator", value="macs")) == {
        ".": ("", "(model)", 0),
        "aten.linear": (".", "aten.linear", 288),
        "aten.relu": (".", "aten.relu", 0),
        "aten.add": (".", "aten.add", 0),
    }


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("by", ["module", "operator"])
def test_boxes_add_up_under_every_convention(by: str, convention: str) -> None:
    cost = count_graph(Residual(), torch.randn(3, 4), convention=convention)
    assert sum(cost.plot(by).data[0].values) == cost.flops
    assert f"{cost.flops:,} FLOPs ({convention}: " in cost.plot(by).layout.title.text


def test_equal_modules_are_one_box() -> None:
    layers = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(3)))
    figure = count_graph(layers, torch.randn(2, 4)).plot()
    assert boxes(figure) == {
        ".": ("", "(model)", 0),
        "0": (".", "0-2  x3", 0),
        "0.0": ("0", "0", 3 * 2 * 4 * 4),
        "0.1": ("0", "1", 0),
    }
    assert figure.data[0].hovertext[2].startswith("<b>0 (Linear)</b>, 3 in all<br>96 FLOPs")


def test_one_kind_has_one_colour() -> None:
    model, layer, block, first, relu, last, own = (
        count_graph(Residual(), torch.randn(3, 4)).plot().data[0].marker.colors
    )
    assert layer == first == last
    assert len({model, layer, block, relu, own}) == 5


def test_a_treemap() -> None:
    cost = count_graph(nn.Linear(4, 3), torch.randn(2, 4))
    assert cost.plot(kind="treemap").data[0].type == "treemap"
    assert cost.plot().data[0].type == "icicle"


def test_numbers_that_no_browser_holds_exactly() -> None:
    """A browser's numbers are exact to 2^53: texts are exact, and no box is given as the sum of others."""
    weight = torch.empty(1).expand(2**20 - 1, 2**20 - 1)
    figure = count_graph(lambda x: nn.functional.linear(x, weight), torch.empty(1).expand(2**20 - 1, 2**20 - 1)).plot()
    assert f"{(2**20 - 1) ** 3:,} FLOPs" in figure.layout.title.text
    assert figure.data[0].branchvalues == "remainder"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "node"}, "unknown by: 'node'; the known ones are module, operator"),
        ({"value": "gflops"}, "unknown value by module: 'gflops'; the known ones are params, trainable, flops, macs"),
        ({"by": "operator", "value": "params"}, "unknown value by operator: 'params'"),
        ({"kind": "pie"}, "unknown kind: 'pie'; the known ones are icicle, treemap"),
    ],
)
def test_what_is_unknown_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        count_graph(nn.Linear(4, 3), torch.randn(2, 4)).plot(**options)


def test_without_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = count_graph(nn.Linear(4, 3), torch.randn(2, 4))
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(FxcountError, match=r"pip install 'fxcount\[plot\]'"):
        cost.plot()
    with pytest.raises(FxcountError, match=r"pip install 'fxcount\[plot\]'"):
        cost.to_html("never written")
