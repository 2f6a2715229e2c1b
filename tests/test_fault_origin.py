"""A fault of our own is raised as such and hidden by no other tracer; a model's own errors are no such fault."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fxcount import GraphCost, TracingError, count_graph
from fxcount.cli.main import main
from fxcount.engine import node_calls
from fxcount.engine.repeated_calls import repeats_of
from fxcount.fault_origin import REPORT, for_the_model, origin_of_fault
from fxcount.formulas.formula import Formula
from fxcount.tracing import graph_builder
from fxcount.tracing.attribute_paths import Attributes
from fxcount.tracing.node_creation import NewNodes
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
        (node_calls, "key_of", ("auto", "recorded")),
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
    assert executed.gave_up["recorded"].startswith(
        "fxcount.errors.DataNeededError: aten._local_scalar_dense needs the values"
    )
    assert GraphCost.from_json(executed.to_json()).gave_up == executed.gave_up
    with pytest.raises(TracingError, match=r"^cannot be traced symbolically: the value of a traced value"):
        count_graph(by_shape, X, tracer="symbolic")


def caught(function: Callable[..., Any], *args: Any) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011  # each has another
        function(*args)
    return raised.value


def test_whose_fault_an_error_is() -> None:
    ours = faulty_in("fxcount.views.table")
    assert origin_of_fault(caught(ours, X)) == "fxcount.views.table"
    assert origin_of_fault(caught(for_the_model, ours, X)) == "fxcount.views.table"
    assert not origin_of_fault(caught(raises, X))
    assert not origin_of_fault(caught(for_the_model, torch.matmul, X, X))
    assert not origin_of_fault(caught(for_the_model, raises, X))


def test_what_an_error_came_of() -> None:
    ours, other = caught(faulty_in("fxcount.views.table"), X), ValueError("the model's")
    other.__context__ = ours
    assert origin_of_fault(other) == "fxcount.views.table"
    assert not origin_of_fault(other, before=ours)  # it was being handled before the count
    other.__suppress_context__ = True  # raised from None
    assert not origin_of_fault(other)
    other.__cause__ = other
    assert not origin_of_fault(other)


def of_generator(x: Tensor) -> Tensor:
    return x * torch.rand(4, generator=torch.Generator())


def of_compressed_rows(x: Tensor) -> Tensor:
    values = torch.sparse_csr_tensor(torch.tensor([0, 1, 2, 2, 2]), torch.tensor([0, 1]), x[:, 0], (4, 4))
    return values @ torch.ones(4, 3)


def of_another_pair(x: Tensor) -> Tensor:
    return torch.cat(Pair(x, x))


class Pair(tuple[Tensor, Tensor]):
    def __new__(cls, one: Tensor, two: Tensor) -> Pair:
        return super().__new__(cls, (one, two))


def of_a_caught_error(x: Tensor) -> Tensor:
    try:
        return x.softmax(3)
    except IndexError:
        return x.exp()


def of_an_error_that_has_no_text(x: Tensor) -> Tensor:
    if "Guarded" in f"{x}":
        raise WordlessError
    return x.exp()


class WordlessError(Exception):
    def __str__(self) -> str:
        return 7  # type: ignore[return-value]


def of_an_error_of_itself(x: Tensor) -> Tensor:
    if "Guarded" in f"{x}":
        try:
            raise ValueError("no")
        except ValueError as error:
            raise error from error
    return x.exp()


halved = functools.partial(nn.functional.leaky_relu, negative_slope=0.5)
torch.fx.wrap("halved")


def of_a_wrapped_object(x: Tensor) -> Tensor:
    return halved(x)


@pytest.mark.parametrize(
    "model",
    [
        of_generator, of_compressed_rows, of_another_pair, of_a_caught_error, of_an_error_that_has_no_text,
        of_an_error_of_itself, of_a_wrapped_object,
    ],
)  # fmt: skip
def test_what_one_tracer_cannot_do_another_does(model: Callable[[Tensor], Tensor]) -> None:
    assert count_graph(model, X).gave_up


def test_what_a_library_wraps_and_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """It concerns every model of the process."""
    monkeypatch.setattr(torch.fx._symbolic_trace, "_wrapped_fns_to_patch", {(id(globals()), "missing"): globals()})
    assert "missing" in count_graph(torch.exp, X).gave_up["symbolic"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x.softmax(3),
        lambda x: x.sort(4)[0],
        lambda x: x.repeat_interleave(torch.tensor([1, 2, 3]), dim=0),
        lambda x: torch.geqrf(x[0])[0],
        lambda x: torch.lstm(x[None], [], [], True, 1, 0.0, False, False, False)[0],
    ],
)
def test_a_call_that_torch_refuses_on_data_is_no_fault(wrong: Callable[[Tensor], Any]) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011  # each has another
        wrong(X)
    with pytest.raises(type(expected.value)) as raised:
        count_graph(wrong, X)
    assert str(raised.value) == str(expected.value)
    assert REPORT not in getattr(raised.value, "__notes__", ())


def test_the_command_shows_the_traceback_of_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    repeats_of.cache_clear()
    monkeypatch.setattr(Formula, "apply", faulty_in("fxcount.formulas.somewhere"))
    with pytest.raises(AttributeError, match="no_such_attribute"):
        main(["torch.nn:Linear(4, 3)", "--input", "2,4"])
