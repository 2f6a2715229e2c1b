"""The rules, held to the tools themselves on small models; ``python -m tests.other_tools`` does so on large ones."""

from __future__ import annotations

import functools
import importlib.util

import pytest
import torch
import torch.nn.functional as F

from tests.other_tools.held import HeldModel, held
from tests.other_tools.models import HEADLINES, MODELS
from tests.other_tools.tools import TOOLS, printed

SMALL = (
    *("a GRU in both directions, and a cell", "an RNN in both directions, and a cell", "a small U-Net"),
    *("an LSTM in both directions, and a cell", "attention of torch.nn"),
)


@functools.cache
def small(name: str) -> HeldModel:
    return held(name)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("tool", TOOLS)
def test_the_rule_says_what_the_tool_prints(name: str, tool: str) -> None:
    if importlib.util.find_spec(TOOLS[tool].package) is None:
        pytest.skip(f"{TOOLS[tool].package} is not installed; fxcount[bench] brings it")
    found = small(name).tools[tool]
    assert found.count is not None, found.unstated
    assert found.printed is not None, found.error
    assert found.count.total == found.printed


def test_the_functions_of_torch_are_put_back() -> None:
    before = (F.relu, torch.matmul, vars(torch.Tensor).get("matmul"))
    for tool in TOOLS:
        if importlib.util.find_spec(TOOLS[tool].package) is not None:
            printed(tool, torch.nn.Sequential(torch.nn.Linear(2, 2)), torch.ones(1, 2))
    with pytest.raises(Exception, match=r".+"):
        printed("torch", torch.nn.Linear(2, 2), torch.ones(1, 3))
    assert before == (F.relu, torch.matmul, vars(torch.Tensor).get("matmul"))


def test_there_are_models_enough() -> None:
    assert len(MODELS) >= 30
    assert set(HEADLINES) <= set(MODELS)
