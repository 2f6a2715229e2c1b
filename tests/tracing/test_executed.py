"""The executed tracer: one run on data, for control flow on values; everything is put back."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcount import Cost, DataNeededError, count_graph
from tests.tracing.graphs import checked_count

X = torch.tensor([[1.0, -2.0, 3.0, -4.0], [5.0, 6.0, 7.0, 8.0]])


class EarlyExit(nn.Module):
    """Stops after the layer whose output is large enough: the weights multiply by two each time."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(10))
        for layer in self.layers:
            layer.weight.data = 2 * torch.eye(4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
            if x.max() > 50:  # 8 * 2 ** 3
                break
        return x


def test_control_flow_on_data_runs_on_data() -> None:
    cost = checked_count(EarlyExit(), X)
    assert cost.tracer == "executed"
    assert cost.total == 3 * Cost(macs=2 * 16, cmp=7 + 1)
    assert [node.target for node in cost.nodes if node.op == "call_module"] == ["layers.0", "layers.1", "layers.2"]


def test_sizes_that_depend_on_data() -> None:
    class Experts(nn.Module):
        """Each row goes to the expert that its largest element names."""

        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.ModuleList(nn.Linear(4, width, bias=False) for width in (1, 2, 3, 5))

        def forward(self, x: Tensor) -> list[Tensor]:
            chosen = x.argmax(-1)
            return [
                expert(x[chosen == number]) for number, expert in enumerate(self.experts) if (chosen == number).any()
            ]

    # The rows of X go to the experts of width 3 and 5.
    cost = checked_count(Experts(), X)
    assert cost.tracer == "executed"
    assert cost.total == Cost(macs=4 * 3 + 4 * 5, cmp=2 * 3)

    positive = checked_count(lambda x: x[x > 0].exp(), X)
    assert positive.total == Cost(cmp=8, special=6)


def test_a_model_may_pickle_its_tensors() -> None:
    layer = nn.Linear(4, 4)

    def run(x: Tensor) -> tuple[Tensor, int]:
        return layer(x), len(pickle.dumps((x, layer)))

    cost = count_graph(run, X)
    assert cost.tracer == "executed"
    assert cost.total == Cost(macs=2 * 4 * 4, add=2 * 4)
    assert cost.graph(X)[1] == len(pickle.dumps((X, layer)))


@pytest.mark.parametrize("where", ["model", "input"])
def test_without_data_it_is_refused(where: str) -> None:
    model = EarlyExit()
    if where == "model":
        model = model.to("meta")
    with pytest.raises(DataNeededError):
        count_graph(model, X if where == "model" else X.to("meta"))
    with pytest.raises(DataNeededError):
        count_graph(model, X if where == "model" else X.to("meta"), tracer="executed")


class Inner:
    """A plain object that a module keeps, as rotary tables and caches are kept."""

    def __init__(self) -> None:
        self.table: Tensor | None = None
        self.history: dict[str, list[Tensor]] = {"rows": []}


class Stateful(nn.Module):
    """Asks for data, and changes everything within reach."""

    def __init__(self, fail: bool = False) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.layer = nn.utils.spectral_norm(nn.Linear(4, 4))
        self.drop = nn.Dropout()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("average", torch.zeros(4))
        self.register_buffer("memory", torch.zeros(3, 4))
        self.plain = torch.zeros(4)
        self.view = self.memory[1]
        self.inner = Inner()
        self.nested: dict[str, Any] = {"levels": [{"deep": []}]}
        self.calls = 0
        self.fail = fail

    def forward(self, x: Tensor, batch: dict[str, Any]) -> Tensor:
        self.calls += 1
        self.steps += 1
        self.average.mul_(0.9).add_(x.mean(0))
        self.memory[0] = x[0]
        self.memory.view(-1)[5:7].fill_(1.0)
        self.view.add_(1)
        self.plain += 1
        self.inner.table = x.sum(0)
        self.inner.history["rows"].append(x)
        self.nested["levels"][0]["deep"].append(x)
        self.nested["new"] = x
        self.last = x
        torch.add(self.plain, 1, out=self.plain)
        x = self.drop(self.layer(self.norm(x))) + torch.rand(4) + random.random() + np.random.rand()
        self.average = self.average + x.mean(0)
        batch["x"].mul_(0)
        batch["x"][0] = 7.0
        batch["ids"].zero_()
        batch["more"].append(x)
        batch.pop("mask")
        if x.sum() > -1e9:
            x = x @ (torch.zeros(5, 5) if self.fail else torch.zeros(4, 4))
        return x


def example() -> tuple[Tensor, dict[str, Any]]:
    return X.clone(), {"x": torch.randn(2, 3), "ids": torch.arange(3), "mask": torch.ones(2), "more": [torch.ones(1)]}


def frozen(value: Any, seen: dict[int, Any] | None = None) -> Any:
    """All that can be reached from a value, by identity and content, in a form that compares."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return id(value)
    seen[id(value)] = value
    if isinstance(value, Tensor):
        return (id(value), value.data_ptr(), value._version if not value.is_inference() else -1, value.tolist())
    if isinstance(value, dict):
        return [(key, frozen(item, seen)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [frozen(item, seen) for item in value]
    if isinstance(value, nn.Module | Inner):
        return (id(value), frozen(vars(value), seen))
    return value if isinstance(value, int | float | str | bool | None) else id(value)


def without_versions(state: Any) -> Any:
    """A copy that was made and put back counts as a write for autograd; values are what is promised."""
    if isinstance(state, tuple) and len(state) == 4:
        return (*state[:2], state[3])
    if isinstance(state, list | tuple):
        return [without_versions(item) for item in state]
    return state


@pytest.mark.parametrize("tracer", ["auto", "symbolic", "recorded", "executed"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fail", [False, True])
def test_everything_is_put_back(fail: bool, training: bool, tracer: str) -> None:
    model, arguments = Stateful(fail).train(training), example()
    random_states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    before = without_versions(frozen([model, arguments]))
    try:
        count_graph(model, arguments, tracer=tracer)
    except Exception:
        assert fail or tracer in ("symbolic", "recorded")
    else:
        assert not fail
    assert without_versions(frozen([model, arguments])) == before
    assert random_states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


def test_a_count_does_not_change_what_comes_after() -> None:
    """Two copies, one counted: both train alike afterwards."""
    counted, other = Stateful(), Stateful()
    other.load_state_dict(counted.state_dict())
    count_graph(counted, example())
    for model in (counted, other):
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        model(*example()).sum().backward()
    for name, value in other.state_dict().items():
        torch.testing.assert_close(counted.state_dict()[name], value)
    for one, two in zip(counted.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def test_inputs_that_need_gradients_and_are_views() -> None:
    def forward(x: Tensor) -> Tensor:
        y = x * 2
        y[y > 0] = 0.0
        return y

    base = torch.randn(4, 4)
    for x in (base[1:3], base.t()[:2], torch.randn(2, 4, requires_grad=True), base[:, ::2]):
        before = x.detach().clone()
        cost = count_graph(forward, x, tracer="executed")
        assert cost.total == Cost(mul=x.numel(), cmp=x.numel())
        assert torch.equal(x.detach(), before)
        assert x.grad is None


def test_expanded_and_overlapping_memory() -> None:
    memory = torch.zeros(4)

    class Shares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("whole", memory)
            self.register_buffer("part", memory[1:3])

        def forward(self, x: Tensor) -> Tensor:
            self.part.add_(1)
            self.whole.add_(1)
            return x * self.whole if self.whole[1] == 2 else x

    cost = count_graph(Shares(), X)
    assert cost.total == Cost(add=2 + 4, cmp=1, mul=8)
    assert memory.tolist() == [0, 0, 0, 0]


def test_integers_are_written_to_once() -> None:
    """Above autograd a call is costed on shapes besides, whatever lay before where its tensors lie now."""

    def model(x: Tensor) -> Tensor:
        assert x.grad_fn is None
        for number in range(120):
            places = torch.arange(64) * 2
            places += torch.where(places < number, places, -places)
            assert int(places.max()) == max(0, 4 * ((number - 1) // 2))
        return x + 1

    x = torch.ones(3)
    model(x)
    assert count_graph(model, x, tracer="executed").total == Cost(add=3)


def test_memory_that_grows() -> None:
    """4 * 4 * 4 macs on a buffer that had room for 2 * 2."""

    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("state", torch.zeros(2, 2))

        def forward(self, x: Tensor) -> Tensor:
            self.state.resize_(4, 4).fill_(1)
            return x @ self.state

    model = Grows()
    assert count_graph(model, torch.randn(4, 4), tracer="executed").macs == 64
    assert model.state.tolist() == [[0, 0], [0, 0]]
    assert model.state.untyped_storage().nbytes() == 16


def test_a_buffer_that_counts_steps() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("steps", torch.tensor(0))

        def forward(self, x: Tensor) -> Tensor:
            self.steps += 1
            return x.exp() if self.steps == 1 else x

    for _ in range(3):
        assert count_graph(Steps(), X).total == Cost(special=8)
    model = Steps()
    for _ in range(3):
        assert count_graph(model, X).total == Cost(special=8)


def test_the_graph_of_an_executed_run_is_as_the_others() -> None:
    cost = checked_count(EarlyExit(), X)
    node = next(node for node in cost.graph.graph.nodes if node.target == "layers.1")
    assert (node.meta["tensor_meta"].shape, node.meta["module"]) == ((2, 4), "")
    assert cost.by_module()["layers.2"].cost == Cost(macs=32)
    assert cost.params == 10 * 16


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: torch.from_numpy(x.numpy() * 2) + 1, Cost(add=8)),  # numpy's work is not torch's
        (lambda x: x * float(x.max()), Cost(cmp=7, mul=8)),
        (lambda x: F.one_hot(x.argmax(1)).float() @ torch.ones(4, 3), Cost(cmp=2 * 3, macs=2 * 4 * 3)),
        (lambda x: torch.unique((x > 0).int()).numel() * x, Cost(cmp=8, mul=8)),
    ],
)
def test_functions_of_data(function: Callable[[Tensor], Tensor], expected: Cost) -> None:
    x = X.clone()
    cost = count_graph(function, x)
    assert cost.tracer == "executed"
    assert cost.total == expected
    assert torch.equal(x, X)


def test_detection_by_score() -> None:
    from torchvision.ops import nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    cost = checked_count(lambda boxes, scores: boxes[nms(boxes, scores, 0.5)] * 2, (boxes, scores))
    assert cost.nodes[-1].output_shapes == ((2, 4),)
    assert copy.deepcopy(cost.total).mul >= 8


def test_a_model_may_ask_its_own_tensor_without_data_for_its_memory() -> None:
    """As in a real run, where only its values are missing."""

    def model(x: Tensor) -> Tensor:
        return x * torch.zeros(3, device="meta").untyped_storage().nbytes()

    assert count_graph(model, torch.ones(5), tracer="executed").total == Cost(mul=5)
