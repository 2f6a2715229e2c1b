"""What the page on other tools is made of."""

import torch
from torch import nn

from fxcount import count_graph
from tests.other_tools.held import Held, HeldModel
from tests.other_tools.models import HEADLINES
from tests.other_tools.page import page
from tests.other_tools.tools import TOOLS

COST = count_graph(nn.Sequential(nn.Linear(3, 5)).eval(), torch.randn(2, 3))


def _model(name: str, prints: dict[str, int]) -> HeldModel:
    tools = {
        tool: Held(tool, prints.get(tool, int(COST.as_counted_by(tool))), count=COST.as_counted_by(tool))
        for tool in TOOLS
    }
    return HeldModel(name, COST, tools)


def test_the_page_takes_differences_apart() -> None:
    text = page([_model(HEADLINES[0], {}), _model("other", {})], "torch 2")
    assert "| fxcount, macs | 30 |" in text
    assert "| torchinfo | 40 |" in text  # 15 weights and 5 biases for each of 2 examples
    assert "|  | `aten.linear` | 1 | 10 | 0 | +10 | its bias, once an example |" in text
    assert "Of 2 models the two numbers are equal to the last integer for fvcore 2, ptflops 2" in text
    assert "Not equal" not in text


def test_the_page_names_what_is_not_equal() -> None:
    model = _model("other", {"thop": 31})
    model.tools["fvcore"] = Held("fvcore", error="ValueError: no")
    model.tools["ptflops"] = Held("ptflops", 40, unstated="one is one node")
    text = page([model], "torch 2")
    assert "- other, thop: it prints 31, and the rule says 30." in text
    assert "- other, fvcore: the tool fails: ValueError: no." in text
    assert "- other, ptflops: it prints 40, and the rule is not stated: one is one node." in text
    assert "| other | the tool fails | not stated | differs | equal | equal | equal |" in text
