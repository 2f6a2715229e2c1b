"""The backward pass where a model asks autograd meanwhile, and where what it returns or uses is not plain."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts, set_checkpoint_early_stop

from fxcount import Cost, DataNeededError, InputError, TracingError, count_graph
from tests.tracing.graphs import TRACERS

RECORDED = ("recorded", "executed")
FIRST, SECOND = nn.Linear(4, 4), nn.Linear(4, 4)
"""On [5, 4]: 80 macs each; a backward pass has 80 for the weight and 80 for the input."""


def macs(model: Any, *inputs: Tensor, tracer: str = "auto") -> int:
    cost = count_graph(model, inputs, tracer=tracer, backward=True)
    assert cost.backward is not None
    return cost.backward.macs


def rows(*, requires_grad: bool = True) -> Tensor:
    return torch.randn(5, 4, requires_grad=requires_grad)


@pytest.mark.parametrize("tracer", RECORDED)
def test_reentrant_checkpoints_in_a_row(tracer: str) -> None:
    """Such a checkpoint asks whether its input requires a gradient. Each runs its layer again."""

    def model(x: Tensor) -> Any:
        for layer in (FIRST, SECOND):
            x = checkpoint(layer, x, use_reentrant=True)
        return x

    assert macs(model, rows(), tracer=tracer) == 2 * (80 + 160)


@pytest.mark.parametrize("tracer", RECORDED)
def test_a_reentrant_checkpoint_of_a_parameter(tracer: str) -> None:
    """5 * 4 * 4 for the weight, which is computed again."""
    weight = nn.Parameter(torch.randn(4, 4))

    def model(x: Tensor) -> Any:
        return F.linear(x, checkpoint(torch.tanh, weight, use_reentrant=True))

    cost = count_graph(model, rows(requires_grad=False), tracer=tracer, backward=True)
    assert cost.backward == Cost(macs=80, mul=2 * 16, add=16, special=16)


@pytest.mark.parametrize("tracer", RECORDED)
def test_sizes_in_reentrant_checkpoints(tracer: str) -> None:
    def model(x: Tensor) -> Any:
        for _ in range(2):
            x = checkpoint(lambda y: y.exp().view(y.shape), FIRST(x)[:, :4], use_reentrant=True)
        return x

    cost = count_graph(model, rows(), tracer=tracer, backward=True)
    assert cost.backward is not None
    assert cost.backward.special == 2 * 20


@pytest.mark.parametrize("tracer", RECORDED)
def test_a_question_inside_a_checkpoint(tracer: str) -> None:
    """All but the second layer, whose result no gradient asks for, runs again, wherever the question came."""

    def part(x: Tensor) -> Tensor:
        y = FIRST(x)
        assert y.requires_grad
        return SECOND(y.tanh())

    def model(x: Tensor) -> Any:
        return checkpoint(part, x, use_reentrant=False)

    assert macs(model, rows(), tracer=tracer) == 2 * 160 + 80


def test_a_checkpoint_that_chooses_what_to_keep() -> None:
    """Without data it is not known what it chooses: the model is run on data, or that is said."""

    def model(x: Tensor) -> Any:
        return checkpoint(
            lambda x: SECOND(FIRST(x).tanh()),
            x,
            use_reentrant=False,
            context_fn=lambda: create_selective_checkpoint_contexts([torch.ops.aten.addmm.default]),
        )

    with pytest.raises(DataNeededError, match="chooses what to keep"):
        macs(model, rows(), tracer="recorded")


@pytest.mark.parametrize("tracer", RECORDED)
def test_a_checkpoint_that_computes_all_again(tracer: str) -> None:
    def model(x: Tensor) -> Any:
        with set_checkpoint_early_stop(False):
            return checkpoint(lambda x: SECOND(FIRST(x).tanh()), x, use_reentrant=False)

    assert macs(model, rows(), tracer=tracer) == 2 * 160 + 2 * 80


@pytest.mark.parametrize("tracer", RECORDED)
def test_what_leaves_a_reentrant_checkpoint_on_another_way(tracer: str) -> None:
    """What it returns in a dict, or somebody keeps, has no gradient: both layers run again, and the first has its
    gradients alone."""
    kept = []

    def part(x: Tensor) -> Any:
        y = FIRST(x)
        kept.append(SECOND(x))
        return y, {"other": SECOND(y)}

    def model(x: Tensor) -> Any:
        y, others = checkpoint(part, x, use_reentrant=True)
        return y + others["other"] + kept[-1]

    assert macs(model, rows(), tracer=tracer) == 160 + 3 * 80


def nothing_inside(x: Tensor) -> Tensor:
    with torch.no_grad():
        x = SECOND(x)
    return FIRST(x)


def another_inside(x: Tensor) -> Any:
    return checkpoint(FIRST, x, use_reentrant=False)


@pytest.mark.parametrize("part", [nothing_inside, another_inside])
def test_what_is_not_seen_inside_a_reentrant_checkpoint(part: Any) -> None:
    """The model is run on data, or it is said; without a gradient it counts as ever."""

    def model(x: Tensor) -> Any:
        return checkpoint(part, x, use_reentrant=True)

    assert count_graph(model, rows(), backward=True).tracer == "executed"
    assert count_graph(model, rows()).tracer == "recorded"
    with pytest.raises(DataNeededError, match="a reentrant checkpoint in which"):
        macs(model, rows(), tracer="recorded")


@dataclasses.dataclass
class Returned:
    """What no library knows as a container."""

    value: Tensor


@pytest.mark.parametrize("tracer", RECORDED)
def test_what_is_returned_in_an_object(tracer: str) -> None:
    def model(x: Tensor) -> Any:
        return FIRST(x), Returned(SECOND(x))

    assert macs(model, rows(requires_grad=False), tracer=tracer) == 160


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("outside", [torch.inference_mode, torch.no_grad, contextlib.nullcontext])
def test_where_it_is_asked_for(tracer: str, outside: Any) -> None:
    x = rows(requires_grad=False)
    with outside():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert macs(FIRST, x, tracer=tracer) == 80
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_hook_on_an_input(tracer: str) -> None:
    x = rows()
    x.register_hook(lambda gradient: gradient * 3)
    cost = count_graph(FIRST, x, backward=True, tracer=tracer)
    assert cost.backward is not None
    assert cost.backward.mul == 20


@pytest.mark.parametrize("tracer", TRACERS)
def test_an_input_that_is_no_leaf_may_be_written_to(tracer: str) -> None:
    def model(x: Tensor) -> Tensor:
        return FIRST(x.mul_(2))

    assert macs(model, rows() * 1, tracer=tracer) == 160


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_gradient_that_an_input_has_already(tracer: str) -> None:
    x = rows()
    x.grad = torch.ones(5, 4)
    cost = count_graph(FIRST, x, backward=True, tracer=tracer)
    assert cost.backward == Cost(macs=160, add=16)
    assert torch.equal(x.grad, torch.ones(5, 4))


def test_what_was_computed_before_the_call() -> None:
    """On data the gradients would go on into a graph that is somebody else's."""
    base = torch.randn(4, 4, requires_grad=True)
    weight = base.exp()
    for tracer in ("symbolic", "recorded"):
        assert macs(lambda x: x @ weight, rows(), tracer=tracer) == 160
    with pytest.raises(TracingError, match="what was computed before the model was called"):
        macs(lambda x: x @ weight, rows(), tracer="executed")
    assert base.grad is None
    weight.sum().backward()
    assert base.grad is not None


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("tracer", RECORDED)
def test_hooks_that_the_model_registers_do_not_stay(tracer: str, backward: bool) -> None:
    layer = nn.Linear(4, 4)

    def model(x: Tensor) -> Tensor:
        layer.weight.register_hook(lambda gradient: gradient * 2)
        return layer(x)

    cost = count_graph(model, rows(), tracer=tracer, backward=backward)
    assert not layer.weight._backward_hooks
    assert not backward or (cost.backward or Cost()).mul == 16


def test_a_hook_that_gets_the_parameter() -> None:
    """It may hand it to an optimizer, which knows no stand-in: the model is run on data."""
    layer = nn.Linear(4, 4, bias=False)
    optimizer = torch.optim.SGD(layer.parameters())
    layer.weight.register_post_accumulate_grad_hook(lambda _: optimizer.step())
    before = layer.weight.clone()
    cost = count_graph(layer, rows(), backward=True)
    assert (cost.tracer, cost.backward) == ("executed", Cost(macs=160, mul=16, add=16))
    assert torch.equal(layer.weight, before)
    with pytest.raises(DataNeededError, match="a hook that gets a parameter"):
        count_graph(layer, rows(), backward=True, tracer="recorded")


def test_nothing_to_optimize() -> None:
    with pytest.raises(InputError, match="no parameter of the model requires a gradient"):
        count_graph(nn.Linear(4, 4).requires_grad_(False), rows(), optimizer=torch.optim.SGD)
