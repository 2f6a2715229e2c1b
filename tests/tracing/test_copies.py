"""Copies of modules that a model makes while it runs, and modules that it makes."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fxcount import DataNeededError, count_graph

X = torch.randn(3, 4)


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))


class Copies(nn.Module):
    def __init__(self, make: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        self.layers, self.make = layers(), make

    def forward(self, x: Tensor) -> Tensor:
        return self.make(self.layers)(x)


def loaded(module: nn.Module) -> nn.Module:
    made = layers()
    made.load_state_dict(module.state_dict())
    return made


def with_copied_state(module: nn.Module) -> Any:
    state = copy.deepcopy(module.state_dict())
    return lambda x: torch.func.functional_call(module, state, (x,))


COPIES: dict[str, Callable[[nn.Module], Any]] = {
    "deep": copy.deepcopy,
    "shallow": copy.copy,
    "inside a dict": lambda module: copy.deepcopy({"module": module})["module"],
    "several": lambda module: nn.Sequential(*(copy.deepcopy(each) for each in module)),
    "of its state": with_copied_state,
    "in another format": lambda module: copy.deepcopy(module).double().float(),
    "new": lambda module: layers(),
    "loaded": loaded,
}


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_counted_as_the_module_is(name: str, tracer: str) -> None:
    model = Copies(COPIES[name])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    cost = count_graph(model, X, tracer=tracer)
    assert (cost.macs, cost.params) == (3 * 4 * 4, 4 * 4 + 4 + 4 + 4)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def saved(module: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [saved, lambda module: pickle.loads(pickle.dumps(module))])
def test_what_is_written_to_a_file_needs_data(make: Callable[[nn.Module], nn.Module]) -> None:
    cost = count_graph(Copies(make), X)
    assert (cost.tracer, cost.macs) == ("executed", 3 * 4 * 4)
    with pytest.raises(DataNeededError):
        count_graph(Copies(make), X, tracer="recorded")


def test_the_graph_of_a_copied_tensor() -> None:
    graph = count_graph(lambda x: copy.deepcopy(x.detach()) + 1, X, tracer="recorded").graph
    assert torch.equal(graph(X), X + 1)
