"""A count leaves the model, its state and torch as they were, also when it fails."""

import copy
import random
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

import fxcount
from fxcount import TracingError, count_graph

TRACERS = ("auto", "symbolic", "recorded", "executed")


class Stateful(nn.Module):
    """Keeps state in every way a module can, and changes it in forward."""

    def __init__(self, fail: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.layer = nn.Linear(4, 4)
        self.drop = nn.Dropout()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("average", torch.zeros(4))
        self.calls = 0
        self.seen: list[Any] = []
        self.cache: dict[str, Any] = {"kept": 1}
        self.fail = fail

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen.append(x)
        self.cache["new"] = x
        self.last = x
        self.steps += 1
        self.average.mul_(0.9)
        x = self.drop(self.layer(self.norm(x))) * random.random() + torch.rand(4)
        self.average = self.average + x.mean(0)
        if self.fail:
            x = x @ torch.zeros(5, 5)
        return x


def snapshot(model: Stateful) -> dict[str, Any]:
    return {
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "identities": {name: id(value) for name, value in model.state_dict(keep_vars=True).items()},
        "attributes": {name: (sorted(vars(module)), module.training) for name, module in model.named_modules()},
        "python": (model.calls, list(model.seen), dict(model.cache), model.fail),
        "hooks": [
            (len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
            for module in model.modules()
        ],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "random": (random.getstate(), torch.get_rng_state()),
        "torch": (
            nn.Module.__call__, nn.Module.__getattr__, torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
            torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled(), torch.nn.functional.linear,
            dict(vars(torch.Tensor)), dict(vars(nn.Parameter)), dict(vars(nn.Module)),
        ),
    }  # fmt: skip


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fail", [False, True])
def test_the_model_is_as_before(training: bool, fail: bool) -> None:
    model = Stateful(fail).train(training)
    x = torch.randn(2, 4)
    before, x_before = snapshot(model), x.clone()
    if fail:
        with pytest.raises(RuntimeError):
            count_graph(model, x)
    else:
        count_graph(model, x)
    after = snapshot(model)
    assert {key for key in before if not same(before[key], after[key])} == set()
    assert torch.equal(x, x_before)


def test_no_weight_is_copied_and_nothing_runs_on_data() -> None:
    """A count of a 4 GB layer would need its memory, and seconds, if it touched the weights."""
    weight = torch.empty(1).expand(2**15, 2**15)
    assert count_graph(lambda x: torch.nn.functional.linear(x, weight), torch.empty(2**15, 2**15)).macs == 2**45


@pytest.mark.parametrize("tracer", ["auto", "symbolic", "recorded"])
def test_a_mode_around_the_count_does_not_change_the_weights(tracer: str) -> None:
    """Under such a mode ``weight.data`` is another tensor, without data."""
    model = nn.Linear(4, 3)
    before = {name: (value.data_ptr(), value.clone()) for name, value in model.state_dict().items()}
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert count_graph(model, torch.ones(2, 4), tracer=tracer).macs == 24
    after = model.state_dict()
    assert all(after[name].data_ptr() == address for name, (address, _) in before.items())
    assert all(torch.equal(after[name], value) for name, (_, value) in before.items())


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_graph_result_does_not_change_the_model(device: str) -> None:
    with torch.device(device):
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = copy.deepcopy([sorted(vars(module)) for module in model.modules()])
    graph: Callable[..., Any] = count_graph(model, torch.empty(1, 1, 5, 5)).graph
    assert graph is not None
    assert [sorted(vars(module)) for module in model.modules()] == before


class Hook:
    """An object that a module calls, with a state of its own."""

    calls = 0

    def __call__(self, *call: Any) -> None:
        self.calls += 1


class Link:
    """One of a long chain of objects."""

    def __init__(self, after: "Link | None") -> None:
        self.after, self.seen = after, 0


class Restless(nn.Module):
    """Changes what is not seen by comparing names and sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4, 4))
        self.register_buffer("square", torch.rand(4, 4))
        self.plain = torch.rand(4)
        self.members = {1}
        self.recent = deque([1, 2], maxlen=2)
        self.by_tensor = {self.plain: 1}
        self.chain = None
        for _ in range(5000):
            self.chain = Link(self.chain)
        self.hook = Hook()
        self.register_forward_pre_hook(self.hook)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.members.discard(1)
        self.members.add(2)
        self.recent.append(3)
        self.by_tensor[self.square] = self.by_tensor.pop(self.plain)
        self.chain.seen += 1
        self.weight.requires_grad_(False)
        self.weight.cached = x
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        self.square.t_()
        self.plain.unsqueeze_(0)
        return x @ self.weight


def facts(model: Restless) -> list[Any]:
    return [
        model.members, list(model.recent), list(map(id, model.by_tensor)), model.chain.seen, model.hook.calls,
        model.weight.requires_grad, vars(model.weight), model.square.stride(), model.plain.shape,
        torch.is_grad_enabled(), torch.get_default_dtype(),
    ]  # fmt: skip


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_restless_model(tracer: str) -> None:
    model = Restless()
    before = copy.deepcopy(facts(model))
    try:
        count_graph(model, torch.rand(2, 4), tracer=tracer)
    except TracingError:
        assert tracer == "symbolic"
    assert facts(model) == before


def test_gradients_that_the_model_computes() -> None:
    class Learns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.layer(x).sum().backward()
            return x

    model = Learns()
    count_graph(model, torch.rand(2, 4), tracer="executed")
    assert [parameter.grad for parameter in model.parameters()] == [None, None]


@pytest.mark.parametrize("tracer", TRACERS)
def test_hooks_that_the_model_takes_away(tracer: str) -> None:
    model = nn.Linear(4, 4)
    hook = lambda gradient: None  # noqa: E731
    handle = model.weight.register_hook(hook)
    of_module = model.register_forward_hook(lambda module, args, out: (handle.remove(), of_module.remove())[0])
    count_graph(model, torch.rand(2, 4), tracer=tracer)
    assert [*model.weight._backward_hooks.values()] == [hook]
    assert len(model._forward_hooks) == 1


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_setting_of_torch(tracer: str) -> None:
    def model(x: torch.Tensor) -> torch.Tensor:
        torch.use_deterministic_algorithms(True, warn_only=True)
        return x.exp()

    count_graph(model, torch.rand(2, 4), tracer=tracer)
    assert not torch.are_deterministic_algorithms_enabled()


def test_counts_in_threads_take_turns() -> None:
    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(0.1)
            return self.layer(x)

    before = (nn.Module.__call__, nn.Module.__getattr__, torch.backends.mha.get_fastpath_enabled())
    with ThreadPoolExecutor(4) as pool:
        costs = pool.map(lambda tracer: count_graph(Slow(), torch.rand(2, 4), tracer=tracer), TRACERS)
        assert [cost.macs for cost in costs] == [2 * 4 * 4] * 4
    assert (nn.Module.__call__, nn.Module.__getattr__, torch.backends.mha.get_fastpath_enabled()) == before


@pytest.mark.parametrize("tracer", TRACERS)
def test_weights_that_are_kept_around_a_count(tracer: str) -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    with nn.utils.parametrize.cached():
        count_graph(model, torch.rand(2, 4), tracer=tracer)
        assert type(model[0].weight) is torch.Tensor
        assert not model[0].weight.is_meta


class Window(deque[int]):
    """A queue that is made in another way than others."""

    def __init__(self, *, size: int) -> None:
        super().__init__(maxlen=size)


def test_a_container_with_a_constructor_of_its_own() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.window = Window(size=2)
            self.window.append(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.window.append(2)
            return x.exp()

    model = Model()
    assert count_graph(model, torch.rand(3)).total == fxcount.Cost(special=3)
    assert list(model.window) == [1]
