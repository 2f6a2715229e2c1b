"""Scripted modules keep state in C++, which a count puts back."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fxcount import count_graph

TRACERS = ("auto", "recorded", "executed")

X = torch.randn(3, 4)


class Scripted(nn.Module):
    names: list[str]
    seen: list[Tensor]
    by_name: dict[str, list[Tensor]]
    last: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.state, self.calls = nn.Linear(4, 4), torch.zeros(1, 4), 0
        self.names, self.seen, self.by_name, self.last = ["a"], [], {"a": []}, None
        self.pair = (0, torch.zeros(2))
        self.register_buffer("average", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.state = torch.tanh(self.cell(x) + self.state)
        self.calls += 1
        self.names.append("b")
        self.seen.append(x)
        self.by_name["a"].append(x)
        self.last = x
        self.pair = (self.calls, x)
        self.average = self.average + x.mean(0)
        return self.state


class HoldsScript(nn.Module):
    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.script = script

    def forward(self, x: Tensor) -> Tensor:
        return self.script(x)


SCRIPTS: dict[str, Callable[[Any], Any]] = {
    "the model": lambda script: script,
    "a module": HoldsScript,
    "inside a script": lambda script: torch.jit.script(nn.Sequential(script)),
    "a closure": lambda script: lambda x: script(x),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("where", SCRIPTS)
def test_the_state_of_a_script(where: str, tracer: str) -> None:
    script = torch.jit.script(Scripted())
    tensors = (script.state, script.average, script.pair[1])
    model = SCRIPTS[where](script)
    assert count_graph(model, X, tracer=tracer).macs == 3 * 4 * 4
    assert (script.calls, script.names, script.seen, script.by_name, script.last) == (0, ["a"], [], {"a": []}, None)
    assert all(
        now is before for now, before in zip((script.state, script.average, script.pair[1]), tensors, strict=True)
    )
    assert script.pair[0] == 0
    assert not any(tensor.any() or tensor.is_meta for tensor in tensors)
    model(X)
    assert (script.calls, script.names) == (1, ["a", "b"])
