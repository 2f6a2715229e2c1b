"""A fault of our own is raised as such and hidden by no other tracer; a model's own errors are no such fault."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fxcount import GraphCost, TracingError, count_graph
from fxcount.cli.main import main
from fxcount.engine import without_data
from fxcount.engine.repeated_calls import repeats_of
from fxcount.faults import REPORT, for_the_model, is_own_fault
from fxcount.formulas.formula import Formula
from fxcount.tracing import graph_builder
from fxcount.tracing.attribute_paths import Attributes
from fxcount.tracing.new_nodes import NewNodes
from fxcount.tracing.symbolic import SymbolicTracer

X = torch.randn(2, 4)
TRACERS = ("auto", "symbolic", "recorded", "executed")


class Block(nn.Module):
    """A layer whose result a function is called on; ``wrong`` is called on it too."""

    def __init__(self, wrong: Callable[[Tensor], Any] = lambda y: y) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.wrong = wrong

    def forward(self, x: Tensor) -> Any:
        return self.wrong(self.layer(x).relu())


class SwallowsErrors(Block):
    """Makes an error of its own of every other."""

    def forward(self, x: Tensor) -> Any:
        try:
            return super().forward(x)
        except AttributeError as error:
            raise ValueError("no such thing") from error


def faulty_in(module: Any) -> Callable[..., Any]:
    """A function that fails as if it stood in one of our files."""
    scope: dict[str, Any] = {"__name__": module}
    exec("def fails(*args, **kwargs):\n    return args[0].no_such_attribute", scope)
    return scope["fails"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("owner", "name", "tracers"),
    [
        (Attributes, "use", TRACERS),
        (NewNodes, "add", TRACERS),
        (Formula, "apply", TRACERS),
        (SymbolicTracer, "create_arg", ("auto", "symbolic")),
        (graph_builder, "parts_of", ("recorded",)),
        (without_data, "key_of", ("auto", "recorded")),
    ],
)
@pytest.mark.parametrize("model", [Block, SwallowsErrors])
def test_a_fault_of_ours_is_raised(
    monkeypatch: pytest.MonkeyPatch, model: type[nn.Module], owner: Any, name: str, tracers: tuple[str, ...]
) -> None:
    repeats_of.cache_clear()  # or a call that was made before would not be made
    monkeypatch.setattr(owner, name, faulty_in("fxcount.tracing.somewhere"))
    for tracer in tracers:
        with pytest.raises((AttributeError, ValueError)) as raised:
            count_graph(model(lambda y: y.split(2, 1)), torch.randn(3, 2, 4), tracer=tracer)
        assert REPORT in raised.value.__notes__
        assert "no_such_attribute" in "".join(traceback.format_exception(raised.value))


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        return y @ y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients


def raises(y: Tensor) -> Tensor:
    raise AttributeError("of the model's own")


@torch.jit.script
def scripted(y: Tensor) -> Tensor:
    return y @ y


@pytest.mark.parametrize(
    "wrong",
    [
        lambda y: y @ y,
        lambda y: y.reshape(3, 3),
        lambda y: torch.cat([y, y[0]]),
        lambda y: y.no_such_attribute,
        lambda y: y.split(2, 7),
        lambda y: nn.functional.scaled_dot_product_attention(y, y[:, :1], y),
        lambda y: nn.functional.conv2d(y, y),
        lambda y: nn.Linear(3, 3)(y),
        lambda y: torch.vmap(lambda row: row @ row.reshape(2, 2))(y),
        lambda y: torch.zeros(3)[torch.tensor([7])] + y.undefined,
        lambda y: nn.functional.layer_norm(y, (3,)),
        lambda y: nn.functional.batch_norm(y, torch.zeros(3), torch.ones(3)),
        lambda y: torch.func.grad(lambda z: z)(y),
        lambda y: {}["missing"],
        lambda y: y.to("nowhere"),
        lambda y: y[5:6, 9],
        raises,
        Wrong.apply,
        scripted,
    ],
)
@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_a_models_own_error_is_none_of_ours(wrong: Callable[[Tensor], Any], tracer: str) -> None:
    model = Block(wrong)
    with pytest.raises(Exception) as expected:  # noqa: PT011  # each has another
        model(X)
    with pytest.raises(type(expected.value)) as raised:
        count_graph(model, X, tracer=tracer)
    assert REPORT not in getattr(raised.value, "__notes__", ())


def test_the_result_says_which_tracers_gave_up_and_why() -> None:
    def by_shape(x: Tensor) -> Tensor:
        return x.exp() if len(x) > 1 else x

    def by_value(x: Tensor) -> Tensor:
        return x.exp() if x.sum() > 0 else x

    assert count_graph(nn.Linear(4, 4), X).gave_up == {}
    assert count_graph(by_shape, X, tracer="recorded").gave_up == {}
    recorded = count_graph(by_shape, X)
    assert list(recorded.gave_up) == ["symbolic"]
    assert "the value of a traced value was asked for" in recorded.gave_up["symbolic"]
    executed = count_graph(by_value, X)
    assert list(executed.gave_up) == ["symbolic", "recorded"]
    assert executed.gave_up["recorded"].startswith("DataNeededError: aten._local_scalar_dense needs the values")
    assert GraphCost.from_json(executed.to_json()).gave_up == executed.gave_up
    with pytest.raises(TracingError, match=r"^cannot be traced symbolically: the value of a traced value"):
        count_graph(by_shape, X, tracer="symbolic")


def test_whose_fault_an_error_is() -> None:
    def caught(function: Callable[..., Any], *args: Any) -> Exception:
        with pytest.raises(Exception) as raised:  # noqa: PT011  # each has another
            function(*args)
        return raised.value

    ours = faulty_in("fxcount.views.table")
    assert is_own_fault(caught(ours, X))
    assert not is_own_fault(caught(raises, X))
    assert not is_own_fault(caught(for_the_model, torch.matmul, X, X))
    assert not is_own_fault(caught(for_the_model, raises, X))
    assert is_own_fault(caught(for_the_model, ours, X))


def test_the_command_shows_the_traceback_of_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    repeats_of.cache_clear()
    monkeypatch.setattr(Formula, "apply", faulty_in("fxcount.formulas.somewhere"))
    with pytest.raises(AttributeError, match="no_such_attribute"):
        main(["torch.nn:Linear(4, 3)", "--input", "2,4"])
