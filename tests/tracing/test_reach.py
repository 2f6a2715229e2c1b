"""A count puts back what a model changes outside of itself: in its arguments, in variables around it, in scripts."""

from __future__ import annotations

import functools
import queue
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fxcount import Cost, count_graph
from fxcount.tracing.reach import Reach

TRACERS = ("auto", "recorded", "executed")

X, T = torch.randn(3, 4), torch.randn(3, 2)


def train(model: nn.Module, x: Tensor, t: Tensor) -> Tensor:
    """Changes the model in every way that a step of training does."""
    loss = F.mse_loss(model(x), t)
    loss.backward()
    model.last = loss.detach()
    model.register_buffer("steps", torch.ones(1))
    model.register_forward_hook(lambda *call: None)
    model.bias.requires_grad_(False)
    model.eval()
    return loss


GLOBAL_MODEL = nn.Linear(4, 2)


@dataclass(slots=True)
class Batch:
    x: Tensor
    model: nn.Module


class Trainer:
    def __init__(self, model: nn.Module) -> None:
        self.model, self.steps = model, 0

    def step(self, x: Tensor, t: Tensor) -> Tensor:
        self.steps += 1
        return train(self.model, x, t)


def in_a_closure(model: nn.Module) -> Callable[..., Any]:
    return lambda x, t: train(model, x, t)


STEPS: dict[str, Callable[[nn.Module], tuple[Callable[..., Any], tuple[Any, ...]]]] = {
    "an argument": lambda model: (train, (model, X, T)),
    "in a list": lambda model: (lambda models, x, t: train(models[0], x, t), ([model], X, T)),
    "in a dict": lambda model: (lambda held, x, t: train(held["model"], x, t), ({"model": model}, X, T)),
    "in slots": lambda model: (lambda batch, t: train(batch.model, batch.x, t), (Batch(X, model), T)),
    "a closure": lambda model: (in_a_closure(model), (X, T)),
    "a method": lambda model: (Trainer(model).step, (X, T)),
    "a partial": lambda model: (functools.partial(train, model), (X, T)),
    "a global": lambda model: (lambda x, t: train(GLOBAL_MODEL, x, t), (X, T)),
    "a weak reference": lambda model: (lambda link, x, t: train(link(), x, t), (weakref.ref(model), X, T)),
    "a default": lambda model: (lambda x, t, model=model: train(model, x, t), (X, T)),
}


@pytest.mark.parametrize("tracer", ["auto", "executed"])
@pytest.mark.parametrize("where", STEPS)
def test_a_model_that_a_step_trains(where: str, tracer: str) -> None:
    model = GLOBAL_MODEL if where == "a global" else nn.Linear(4, 2)
    before, names = {name: value.clone() for name, value in model.state_dict().items()}, list(vars(model))
    step, arguments = STEPS[where](model)
    assert count_graph(step, arguments, tracer=tracer).macs == 2 * 3 * 4 * 2
    assert [parameter.grad for parameter in model.parameters()] == [None, None]
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.training
    assert not model._forward_hooks
    assert list(vars(model)) == names
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("place", ["closure", "argument"])
def test_an_optimizer(place: str) -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)

    def step(x: Tensor, t: Tensor, given: Any = None) -> Tensor:
        chosen = optimizer if given is None else given
        loss = F.mse_loss(model(x), t)
        loss.backward()
        chosen.step()
        chosen.param_groups[0]["lr"] = 0.25
        return loss

    weight = model.weight.clone()
    count_graph(step, (X, T) if place == "closure" else (X, T, optimizer), tracer="executed")
    assert torch.equal(model.weight, weight)
    assert not optimizer.state
    assert optimizer.param_groups[0]["lr"] == 0.5


STORE: dict[str, Any] = {}
SEEN: list[Any] = []
SET: set[Any] = set()
LATEST: Any = None


class Registry:
    kept: dict[str, Any] = {}
    latest: Any = None

    @classmethod
    def put(cls, value: Any) -> None:
        cls.kept["value"] = cls.latest = value


@functools.cache
def half(size: int) -> Tensor:
    return torch.ones(size) / 2


def in_a_global(x: Any) -> Any:
    global LATEST
    STORE["x"], LATEST = x, x
    SEEN.append(x)
    SET.add("x")


def in_a_class(x: Any) -> Any:
    Registry.put(x)


def on_a_function(x: Any) -> Any:
    on_a_function.kept = x


def in_a_default(x: Any, kept: list[Any] = []) -> Any:  # noqa: B006  # it is where it is kept
    kept.append(x)


def in_a_cache(x: Any) -> Any:
    return half(3)


def around() -> Callable[[Any], Any]:
    kept, latest = {}, None

    def keep(x: Any) -> Any:
        nonlocal latest
        kept["x"] = latest = x
        return kept, latest

    return keep


def kept_outside() -> list[Any]:
    return [
        dict(STORE), list(SEEN), set(SET), LATEST, dict(Registry.kept), Registry.latest, vars(on_a_function).copy(),
        list(in_a_default.__defaults__[0]), half.cache_info().currsize,
    ]  # fmt: skip


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("tracer", ["symbolic", *TRACERS])
@pytest.mark.parametrize("keep", [in_a_global, in_a_class, on_a_function, in_a_default, in_a_cache, around()])
def test_what_is_kept_outside_of_a_model(keep: Callable[[Any], Any], tracer: str, fails: bool) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.layer(x)
            keep(x)
            return x @ torch.zeros(5, 5) if fails else x

    before = kept_outside()
    if fails:
        with pytest.raises(RuntimeError):
            count_graph(Model(), X, tracer=tracer)
    else:
        assert count_graph(Model(), X, tracer=tracer).macs >= 3 * 4 * 4
    assert kept_outside() == before
    assert (
        keep is in_a_cache
        or (cells := keep.__closure__) is None
        or [each.cell_contents for each in cells] == [{}, None]
    )


def test_a_later_attempt_does_not_meet_what_an_earlier_one_kept() -> None:
    """The first attempt keeps a value of its own, and is refused when it notes something on it."""
    store: dict[str, Any] = {}

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            if "weight" not in store:
                store["weight"] = self.weight.detach().clone()
            store["weight"].note = "kept"
            return x @ store["weight"]

    model = Model()
    cost = count_graph(model, X)
    assert (cost.tracer, cost.macs) == ("recorded", 3 * 4 * 4)
    assert store == {}
    model(X)


def test_the_order_of_a_cache() -> None:
    recent = OrderedDict(a=1, b=2)

    def model(x: Tensor) -> Tensor:
        recent.move_to_end("a")
        return x * recent["a"]

    count_graph(model, X)
    assert list(recent) == ["a", "b"]


def test_random_generators_that_the_model_is_given() -> None:
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    count_graph(lambda x, g: x + torch.rand(4, generator=g), (X, generator), tracer="executed")
    assert torch.equal(generator.get_state(), before)


def test_what_is_reached_is_what_a_model_can_name() -> None:
    """Not all that stands in the modules of Python and torch, or in lists of functions of installed libraries."""
    reach = Reach()
    reach.follow([lambda x: F.relu(torch.sin(x))])
    assert (reach.cells, reach.classes, reach.others) == ([], [], [])
    assert len(reach.containers) == 1  # the attributes of the function


def test_what_another_thread_changes_stays() -> None:
    """A logger hands lines to a thread, which has taken them when the count ends."""
    lines: queue.Queue[str] = queue.Queue()
    lines.put("before")
    taken: list[str] = []

    def model(x: Tensor) -> Tensor:
        if lines.qsize():
            thread = threading.Thread(target=lambda: taken.append(lines.get()))
            thread.start()
            thread.join()
        return x.exp()

    count_graph(model, X, tracer="recorded")
    assert lines.empty()


def test_an_assertion_of_a_test_reaches_no_test_runner(request: pytest.FixtureRequest) -> None:
    """Pytest has put its own functions into it, and these hold all that it is about to run."""

    def model(x: Tensor) -> Tensor:
        assert x.shape == (3, 4)
        return x.exp()

    reach = Reach()
    reach.follow([model])
    assert not any(each is vars(request.config) for each in reach.containers)
    assert len(reach.containers) == 1  # the attributes of the function


def test_a_class_is_as_before() -> None:
    class Counter(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            type(self).calls += 1
            type(self).found = x
            return x.exp()

    assert count_graph(Counter(), X, tracer="recorded").total == Cost(special=12)
    assert Counter.calls == 0
    assert not hasattr(Counter, "found")
