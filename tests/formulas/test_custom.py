"""Formulas of one's own: for a module class, a function, an operator; registered or for one count."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fxcount import Cost, FormulaError, count_graph, register_formula
from fxcount.formulas import custom

TRACERS = ("symbolic", "recorded", "executed")
aten = torch.ops.aten


@pytest.fixture(autouse=True)
def _nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(custom, "_REGISTERED", custom.CustomFormulas())
    return


class Router(nn.Module):
    """Its forward would cost 2 * 4 exponentials."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: torch.Tensor, *, experts: int = 2) -> torch.Tensor:
        return x.exp()


class SpecialRouter(Router):
    pass


def scaled(x: torch.Tensor, by: float, times: int = 1) -> torch.Tensor:
    return x * by


def handed_on(*args: Any, **kwargs: Any) -> torch.Tensor:
    return scaled(*args, **kwargs)


@torch.library.custom_op("fxcount_test::gather_rows", mutates_args=())
def gather_rows(table: torch.Tensor, rows: int) -> torch.Tensor:
    return table[:rows].clone()


@gather_rows.register_fake
def _(table: torch.Tensor, rows: int) -> torch.Tensor:
    return table.new_empty(rows, *table.shape[1:])


X = torch.randn(2, 4)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_module_class_is_one_node(tracer: str) -> None:
    @register_formula(Router, "macs = outputs * features, cmp = outputs * experts")
    def router(module: Router, x: Any, *, experts: int, out: Any) -> dict[str, int]:
        return {"outputs": out.numel(), "features": module.features, "experts": experts}

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Router(3), SpecialRouter(5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x), experts=7) + 1

    cost = count_graph(Model(), X, tracer=tracer)
    assert cost.total == Cost(macs=8 * (3 + 5), cmp=8 * (2 + 7), add=8)
    nodes = {node.target: node for node in cost.nodes}
    assert nodes["first"].op == "call_module"
    assert [call.equation for call in nodes["second"].operators] == [
        "macs = outputs * features, cmp = outputs * experts"
    ]
    assert nodes["second"].operators[0].quantities == {"outputs": 8, "features": 5, "experts": 7}


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_function_is_one_node(tracer: str) -> None:
    @register_formula(scaled)
    def scaled_cost(x: Any, *, times: int, out: Any) -> Cost:
        return Cost(mul=x.numel() * times, special=out.numel())

    cost = count_graph(lambda x: scaled(scaled(x, 2.0), by=3.0, times=10), X, tracer=tracer)
    assert cost.total == Cost(mul=8 + 80, special=16)
    assert scaled.__name__ == "scaled"
    assert torch.equal(scaled(X, 2.0), X * 2.0)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_function_of_torch(tracer: str) -> None:
    cost = count_graph(
        lambda x: torch.nn.functional.softplus(x), X, tracer=tracer,
        formulas={torch.nn.functional.softplus: lambda x: x.numel()},
    )  # fmt: skip
    assert cost.total == Cost(macs=8)


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(
    "target", [gather_rows, torch.ops.fxcount_test.gather_rows, torch.ops.fxcount_test.gather_rows.default]
)
def test_a_custom_operator(tracer: str, target: Any) -> None:
    assert count_graph(lambda x: gather_rows(x, 1), X, tracer=tracer).uncounted == {"fxcount_test.gather_rows": 1}
    for_one_count = count_graph(lambda x: gather_rows(x, 1), X, tracer=tracer, formulas={target: lambda x, n: n * 100})
    assert for_one_count.total == Cost(macs=100)
    register_formula(target)(lambda x, n, *, out: Cost(add=out.numel()))
    assert count_graph(lambda x: gather_rows(x, 1), X, tracer=tracer).total == Cost(add=4)


@torch.library.custom_op("fxcount_test::weighted", mutates_args=())
def weighted(x: torch.Tensor, by: int, *, times: int = 3) -> torch.Tensor:
    return x * by


@weighted.register_fake
def _(x: torch.Tensor, by: int, *, times: int = 3) -> torch.Tensor:
    return torch.empty_like(x)


def weighted_in_python(x: torch.Tensor, by: int, *, times: int = 3) -> torch.Tensor:
    return x * by


OF_THE_REST = {
    "all": lambda *args, **kwargs: 100 * args[1] + 10 * kwargs["times"] + kwargs["out"].dim(),
    "the rest": lambda x, *args, **kwargs: 100 * args[0] + 10 * kwargs["times"] + kwargs["out"].dim(),
    "the rest by name": lambda x, **kwargs: 100 * kwargs["by"] + 10 * kwargs["times"] + kwargs["out"].dim(),
    "all by name": lambda **kwargs: 100 * kwargs["by"] + 10 * kwargs["times"] + kwargs["x"].dim(),
    "what is not named": lambda x, *args, times, **kwargs: 100 * args[0] + 10 * times + 2 * len(kwargs),
    "what is left": lambda x, by, *args, out, **kwargs: 100 * by + 10 * kwargs["times"] + out.dim() + len(args),
}


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("formula", OF_THE_REST.values(), ids=OF_THE_REST)
def test_a_formula_may_take_the_rest_of_the_arguments(formula: Any, tracer: str) -> None:
    calls = {weighted: lambda x: weighted(x, 7), weighted_in_python: lambda x: weighted_in_python(x, 7)}
    for target, call in calls.items():
        cost = count_graph(call, X, tracer=tracer, formulas={target: formula})
        assert cost.total == Cost(macs=100 * 7 + 10 * 3 + 2)


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(
    "formula",
    [
        lambda *args, **kwargs: 10 * args[0].features + kwargs["experts"],
        lambda module, *args, experts, **kwargs: 10 * module.features + experts,
        lambda module, **kwargs: 10 * module.features + kwargs["experts"],
    ],
)
def test_a_formula_of_a_module_may_take_the_rest_of_the_arguments(formula: Any, tracer: str) -> None:
    cost = count_graph(nn.Sequential(Router(3)), X, tracer=tracer, formulas={Router: formula})
    assert cost.total == Cost(macs=10 * 3 + 2)


def test_a_wrapper_hands_on_what_its_arguments_are_called() -> None:
    def formula(*, by: float) -> int:
        return int(10 * by)

    cost = count_graph(lambda x: handed_on(x, by=2.5), X, formulas={handed_on: formula})
    assert cost.total == Cost(macs=25)


def test_a_formula_of_one_count_comes_first_and_goes() -> None:
    register_formula(Router)(lambda module, x: 1)
    formulas = {Router: lambda module, x: 2, torch.ops.aten.add: lambda x: 10}
    assert count_graph(Router(3), X).total == Cost(macs=1)
    model = nn.Sequential(Router(3))
    assert count_graph(lambda x: model(x) + 1, X, formulas=formulas).total == Cost(macs=2 + 10)
    assert count_graph(lambda x: model(x) + 1, X).total == Cost(macs=1, add=8)


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(
    ("operator", "model", "whole"),
    [
        (aten.addmm, nn.Linear(4, 3), "linear"),
        (aten.mm, nn.Linear(4, 3, bias=False), "linear"),
        (aten.convolution, nn.Sequential(nn.Unflatten(0, (1, 2)), nn.Conv1d(2, 1, 1)), "conv1d"),
        # in what it is made of
        (
            aten.bmm,
            lambda x: nn.functional.scaled_dot_product_attention(*[x[None, None]] * 3),
            "scaled_dot_product_attention",
        ),
        # one of the layers has no such part
        (aten.addmm, nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3, bias=False)), "linear"),
        (aten.addmm, nn.Sequential(nn.Linear(4, 3, bias=False), nn.Linear(3, 3)), "linear"),
    ],
)
def test_a_formula_of_what_is_counted_within_another_operator_is_warned_of(
    operator: Any, model: Any, whole: str, tracer: str
) -> None:
    without = count_graph(model, X, tracer=tracer)
    name = str(operator).replace(".", r"\.")
    message = rf"the formula for {name} was not used: it is a part of aten\.{whole}, which is counted as a whole"
    with pytest.warns(UserWarning, match=message) as warned:
        cost = count_graph(model, X, tracer=tracer, formulas={operator: lambda: 1})
    assert cost.total == without.total
    assert [Path(warning.filename) for warning in warned] == [Path(__file__)]


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(
    "model",
    [
        lambda x: torch.addmm(x, x, x.new_ones(4, 4)),
        # in one place of two
        lambda x: nn.functional.linear(torch.addmm(x, x, x.new_ones(4, 4)), x, x[0, :2]),
        # nowhere
        nn.ReLU(),
        lambda x: x * 2,
    ],
)
@pytest.mark.filterwarnings("error")
def test_no_other_formula_is_warned_of(model: Any, tracer: str) -> None:
    count_graph(model, X, tracer=tracer, formulas={aten.addmm: lambda: 1})


def test_twice_is_an_error() -> None:
    for target in (Router, scaled, gather_rows):
        register_formula(target)(lambda *args: 0)
        with pytest.raises(FormulaError, match="has a formula already"):
            register_formula(target)(lambda *args: 0)
    with pytest.raises(FormulaError, match=r"aten\.relu has a formula already"):
        register_formula(torch.ops.aten.relu)(lambda x: 0)


@pytest.mark.parametrize("target", [3, "aten.relu", Router(3), int, torch.Tensor])
def test_a_target_of_the_wrong_kind_is_an_error(target: object) -> None:
    with pytest.raises(FormulaError, match="a formula is for"):
        register_formula(target)(lambda *args: 0)
    with pytest.raises(FormulaError, match="a formula is for"):
        count_graph(Router(3), X, formulas={target: lambda *args: 0})


@pytest.mark.parametrize("tracer", [*TRACERS, "auto"])
@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (lambda module, x, *, heads: 0, "reads 'heads'"),
        (lambda module, x: 0.5, "returned float"),
        (lambda module, x: {"outputs": 1}, "states no equation"),
        (max, "max does not say what its parameters are"),
    ],
)
def test_a_formula_that_does_not_fit_is_an_error(tracer: str, formula: Any, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        count_graph(nn.Sequential(Router(3)), X, tracer=tracer, formulas={Router: formula})


def test_a_function_that_no_module_refers_to_is_an_error() -> None:
    def nested(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    def model(x: torch.Tensor) -> torch.Tensor:
        return nested(x)

    for function in (nested, Router.forward, Router(3).forward):
        message = f"a formula for .*{function.__name__} would never be used: .* refers to it by name, and none does"
        with pytest.raises(FormulaError, match=message):
            register_formula(function)(lambda x: 0)
        with pytest.raises(FormulaError, match=message):
            count_graph(model, X, formulas={function: lambda x: 0})


def test_a_function_whose_module_is_gone_disturbs_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("a_module_that_goes")
    exec("def twice(x):\n    return x * 2", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    register_formula(module.twice)(lambda x: x.numel())
    assert count_graph(lambda x: module.twice(x), X).total == Cost(macs=8)
    monkeypatch.delitem(sys.modules, module.__name__)
    assert count_graph(lambda x: x * 3, X).total == Cost(mul=8)
