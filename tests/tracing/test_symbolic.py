"""The symbolic tracer: a graph of modules, functions and methods; what a proxy would answer wrongly, it refuses."""

from __future__ import annotations

import collections.abc
import contextlib
import functools
import gc
import operator
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from fxcount import Cost, TracingError, count_graph
from tests.tracing.graphs import checked_count

X = torch.randn(2, 4)
PRODUCT, EXPONENTIALS = Cost(macs=2 * 2 * 4), Cost(special=2 * 4)


class Attention(nn.Module):
    """Parameters of its own, modules, functions, methods, operators."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(4, 4, bias=False)
        self.heads = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(2))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.query(x), self.heads[0](x)
        scores = torch.softmax(q @ k.transpose(0, 1) * self.scale, -1)
        return scores.matmul(self.heads[1](x))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Attention(), nn.Sequential(Attention()))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x) + 1.0


def test_nodes_and_the_modules_that_make_them() -> None:
    cost = checked_count(Model(), X, tracer="symbolic")
    assert cost.tracer == "symbolic"
    first = [(node.op, node.target) for node in cost.nodes if node.module == "blocks.0"]
    assert first == [
        ("call_module", "blocks.0.query"),
        ("call_module", "blocks.0.heads.0"),
        ("call_method", "transpose"),
        ("call_function", "matmul"),
        ("get_attr", "blocks.0.scale"),
        ("call_function", "mul"),
        ("call_function", "softmax"),
        ("call_module", "blocks.0.heads.1"),
        ("call_method", "matmul"),
    ]
    assert [node.target for node in cost.nodes if node.module == ""] == ["x", "add", "output"]
    # Three layers of 2 rows, two products of 2 x 4 x 2, a scale and a softmax of 2 x 2; a sum at the end.
    block = Cost(macs=3 * 2 * 16 + 2 * 16, mul=4, cmp=2, add=4 + 2, special=4, div=4)
    assert cost.by_module()["blocks.0"].cost == cost.by_module()["blocks.1.0"].cost == block
    assert cost.total == 2 * block + Cost(add=8)
    assert cost.params == 2 * (3 * 16 + 1)


def test_a_graph_holds_for_every_input() -> None:
    model = Model()
    graph = count_graph(model, X, tracer="symbolic").graph
    other = torch.randn(5, 4)
    torch.testing.assert_close(graph(other), model(other))


class Kept(nn.Module):
    """Tensors in every place where a model may keep them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))
        self.tied = self.weight
        self.plain = torch.randn(4)
        self.register_buffer("shift", torch.randn(4))
        self.listed = [torch.randn(4)]
        self.own = {"bias": nn.Parameter(torch.randn(4))}
        self.parameters_ = nn.ParameterList([torch.randn(4)])
        self.untracked = [nn.Linear(4, 4, bias=False)]

    def forward(self, x: Tensor) -> Tensor:
        x = x @ self.weight + self.untracked[0](x) @ self.tied.T
        return x * self.plain + self.shift * self.listed[0] - self.own["bias"] / self.parameters_[0]


def test_tensors_that_a_model_keeps_anywhere() -> None:
    for tracer in ("symbolic", "recorded", "executed"):
        cost = checked_count(Kept(), X, tracer=tracer)
        assert cost.total == Cost(macs=3 * 2 * 16, mul=8 + 4, div=4, add=8 + 8 + 8)
        attributes = [node.target for node in cost.nodes if node.op == "get_attr"]
        assert {"weight", "plain", "shift", "parameters_.0"} < set(attributes)
        assert len(attributes) == 6  # each once; tied is weight, and the untracked layer is a module


def test_tensors_made_in_forward() -> None:
    def forward(x: Tensor) -> Tensor:
        positions = torch.arange(4, dtype=torch.float32) / 4
        return x * positions.sin() + torch.ones(4) * torch.full((4,), 0.5) + torch.zeros_like(x)

    for tracer in ("symbolic", "recorded", "executed"):
        expected = Cost(mul=8 + 4, div=4, special=4, add=8 + 8)
        assert checked_count(forward, X, tracer=tracer).total == expected


# What a model may ask of a traced value to choose its branch. The answer is the one that a tensor gives.
QUESTIONS: dict[str, Callable[[Tensor], Any]] = {
    "isinstance": lambda x: isinstance(x, torch.Tensor),
    "isinstance of a result": lambda x: isinstance(x.flatten(), torch.Tensor),
    "not a list": lambda x: not isinstance(x, (list, tuple)),
    "iterable": lambda x: isinstance(x, collections.abc.Iterable),
    "is_tensor": lambda x: torch.is_tensor(x),
    "type": lambda x: type(x) is torch.Tensor,
    "type name": lambda x: type(x).__name__ == "Tensor",
    "subclass": lambda x: issubclass(type(x), torch.Tensor),
    "class": lambda x: x.__class__ is torch.Tensor,
    "callable": lambda x: callable(x),
    "proxy": lambda x: not isinstance(x, torch.fx.Proxy),
    "proxy of a result": lambda x: not isinstance(x.flatten(), (fx.proxy.Proxy, int)),
    "attribute of proxies": lambda x: not hasattr(x, "node"),
    "mapping": lambda x: not hasattr(x, "keys"),
    "call": lambda x: not hasattr(x, "__call__"),  # noqa: B004  # the question is about the name
    "attributes": lambda x: not vars(x),
    "attributes by name": lambda x: not x.__dict__,
    "same": lambda x: x.contiguous() is x,
    "same after a cast": lambda x: x.to(torch.float32) is x,
    "same or none": lambda x, known=True: x.contiguous() is (x if known else None),
    "another": lambda x: x.clone() is not x,
    "same by a function": lambda x: operator.is_(x.contiguous(), x),
    "same by number": lambda x: id(x.float()) == id(x),
    "same in place": lambda x: id(x.detach_()) == id(x),
    "same among others": lambda x: x.contiguous() in [x],
    "fx is tracing": lambda x: torch.fx._symbolic_trace.is_fx_tracing(),
    "jit is tracing": lambda x: torch.jit.is_tracing(),
    "jit is scripting": lambda x: torch.jit.is_scripting(),
    "compiling": lambda x: torch.compiler.is_compiling(),
    "none": lambda x: x is None,
    "hasattr": lambda x: hasattr(x, "no_such_attribute"),
    "getattr": lambda x: getattr(x, "no_such_attribute", False),
    "gradient": lambda x: x.grad is not None,
    "gradient function": lambda x: x.grad_fn is not None,
    "requires grad": lambda x: x.requires_grad,
    "first size": lambda x: x.shape[0] > 1,
    "equal sizes": lambda x: x.shape == (2, 4),
    "size in a set": lambda x: x.shape[0] in {2, 3},
    "size as a key": lambda x: {2: True}.get(x.shape[0], False),
    "sizes as a key": lambda x: {(2, 4): True}.get(x.shape, False),
    "size is an int": lambda x: type(x.shape[0]) is int,
    "size as text": lambda x: f"{x.shape[0]}" == "2",
    "length": lambda x: len(x) == 2,
    "dimensions": lambda x: x.ndim == 2,
    "elements": lambda x: x.numel(),
    "dtype": lambda x: x.dtype == torch.float32,
    "dtype is": lambda x: x.dtype is torch.float32,
    "dtype is not": lambda x: x.dtype is not torch.float32,
    "dtype in a tuple": lambda x: x.dtype in (torch.float16, torch.float32),
    "dtype in a set": lambda x: x.dtype in {torch.float16, torch.float32},
    "dtype as text": lambda x: str(x.dtype) == "torch.float32",
    "dtype's kind": lambda x: x.dtype.is_floating_point,
    "kind": lambda x: x.is_floating_point(),
    "layout is": lambda x: x.layout is torch.strided,
    "contiguous": lambda x: x.is_contiguous(),
    "device type": lambda x: x.device.type == "cpu",
    "device": lambda x: x.device == torch.device("cpu"),
    "device as text": lambda x: str(x.device) == "cpu",
    "cuda": lambda x: x.is_cuda,
    "meta": lambda x: x.is_meta,
    "tensor type": lambda x: x.type() == "torch.FloatTensor",
    "representation": lambda x: repr(x).startswith("tensor"),
}


def answers(question: Callable[[Tensor], Any]) -> Callable[[Tensor], Tensor]:
    """A model that chooses its branch by a question."""
    return lambda x: x @ x.T if question(x) else x.exp()


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
@pytest.mark.parametrize("name", QUESTIONS)
def test_the_branch_that_a_tensor_takes(name: str, tracer: str) -> None:
    question = QUESTIONS[name]
    expected = PRODUCT if question(X) else EXPONENTIALS
    assert count_graph(answers(question), X, tracer=tracer).total == expected


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_symbolic_trace_is_right_or_refused(name: str) -> None:
    question = QUESTIONS[name]
    with contextlib.suppress(TracingError):
        total = count_graph(answers(question), X, tracer="symbolic").total
        assert total == (PRODUCT if question(X) else EXPONENTIALS)


@pytest.mark.parametrize(
    "question", [torch.is_grad_enabled, torch.is_inference_mode_enabled, lambda: torch.is_autocast_enabled("cpu")]
)
def test_all_tracers_run_in_the_same_mode(question: Callable[[], bool]) -> None:
    model = answers(lambda x: question())
    assert len({count_graph(model, X, tracer=tracer).total for tracer in ("symbolic", "recorded", "executed")}) == 1


class SharedWeight(nn.Module):
    """Chooses its branch by what its parameters are."""

    def __init__(self, question: Callable[[SharedWeight], bool]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))
        self.tied = self.weight
        self.register_buffer("kept", torch.randn(4))
        self.question = question

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight if self.question(self) else x.exp()


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
@pytest.mark.parametrize(
    "question",
    [
        lambda model: isinstance(model.weight, nn.Parameter),
        lambda model: isinstance(model.weight, Tensor),
        lambda model: model.weight is model.weight,
        lambda model: model.weight is model.tied,
        lambda model: model.kept is model.kept,
        lambda model: model.weight.dtype is torch.float32,
        lambda model: model.weight.device.type == "cpu",
        lambda model: not model.weight.is_meta,
        lambda model: len(model.weight) == 4,
        lambda model: model.weight.shape == (4, 4),
        lambda model: next(model.parameters()).device == model.kept.device,
        lambda model: model.weight is next(model.parameters()),
        lambda model: any(parameter is model.weight for parameter in model.parameters()),
        lambda model: operator.is_(model.weight, next(model.parameters())),
        lambda model: id(model.weight) == id(next(model.parameters())),
        lambda model: id(model.weight) in map(id, model.parameters()),
        lambda model: model.weight in set(model.parameters()),
        lambda model: model.weight in dict.fromkeys(model.parameters()),
        lambda model: model.weight in [next(model.parameters())],
        lambda model: [model.weight] == [next(model.parameters())],
        lambda model: model.state_dict(keep_vars=True)["weight"] is model.weight,
        lambda model: model.get_parameter("weight") is model.weight,
        lambda model: model.weight.data_ptr() == next(model.parameters()).data_ptr(),
        lambda model: not isinstance(model.weight, fx.Proxy),
    ],
)
def test_questions_about_parameters(question: Callable[[SharedWeight], bool], tracer: str) -> None:
    assert count_graph(SharedWeight(question), X, tracer=tracer).total == Cost(macs=2 * 16)


def is_a_tensor(x: Tensor) -> bool:
    return type(x) is Tensor


class Asks(nn.Module):
    """Asks in code that is not its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = is_a_tensor
        self.other_method = self.by_method

    @property
    def by_property(self) -> bool:
        return type(self.asked) is Tensor

    @classmethod
    def by_classmethod(cls, x: Tensor) -> bool:
        return type(x) is Tensor

    @staticmethod
    def by_staticmethod(x: Tensor) -> bool:
        return type(x) is Tensor

    def by_method(self, x: Tensor) -> bool:
        return type(x) is Tensor

    def forward(self, x: Tensor) -> Tensor:
        return x @ x.T if self.ask(x) else x.exp()

    def ask(self, x: Tensor) -> bool:
        raise NotImplementedError


class ByProperty(Asks):
    def ask(self, x: Tensor) -> bool:
        self.asked = x
        return self.by_property


class ByClassmethod(Asks):
    def ask(self, x: Tensor) -> bool:
        return self.by_classmethod(x)


class ByStaticmethod(Asks):
    def ask(self, x: Tensor) -> bool:
        return self.by_staticmethod(x)


class ByKeptFunction(Asks):
    def ask(self, x: Tensor) -> bool:
        return self.kept(x)


class ByKeptMethod(Asks):
    def ask(self, x: Tensor) -> bool:
        return self.other_method(x)


def test_questions_in_code_that_a_forward_only_names() -> None:
    models = [ByProperty(), ByClassmethod(), ByStaticmethod(), ByKeptFunction(), ByKeptMethod()]
    for model in models:
        cost = count_graph(model, X)
        assert (cost.total, cost.tracer) == (PRODUCT, "recorded"), type(model)


def test_questions_of_a_hook() -> None:
    model = nn.Sequential(nn.Identity())
    model.register_forward_hook(lambda module, inputs, out: out @ out.T if is_a_tensor(out) else out.exp())
    cost = count_graph(model, X)
    assert (cost.total, cost.tracer) == (PRODUCT, "recorded")


def test_questions_of_a_callable_object() -> None:
    class Calls:
        def __call__(self, x: Tensor) -> Tensor:
            return x @ x.T if type(x) is Tensor else x.exp()

    assert count_graph(Calls(), X).total == PRODUCT
    assert count_graph(functools.partial(lambda y, x: x @ x.T if is_a_tensor(x) else y, 1), X).total == PRODUCT


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_one_tensor_given_twice_is_one_tensor(tracer: str) -> None:
    def forward(query: Tensor, key: Tensor) -> Tensor:
        return query @ query.T if query is key else query.exp()

    assert count_graph(forward, (X, X), tracer=tracer).total == PRODUCT
    assert count_graph(forward, (X, X.clone()), tracer=tracer).total == EXPONENTIALS


def caught(question: Callable[[Tensor], Any]) -> Callable[[Tensor], Tensor]:
    """A model that lives with whatever error its question raises."""

    def forward(x: Tensor) -> Tensor:
        try:
            return x @ x.T if question(x) else x.exp()
        except Exception:
            return x.exp()

    return forward


@pytest.mark.parametrize(
    "question",
    [
        lambda x: x.shape[0] > 1,
        lambda x: isinstance(x, torch.Tensor),
        lambda x: len(x) == 2,
        lambda x: iter(x),
        lambda x: not hasattr(x, "no_such_attribute"),
    ],
)
def test_a_refusal_that_the_model_catches_stands(question: Callable[[Tensor], Any]) -> None:
    assert count_graph(caught(question), X).total == PRODUCT


def test_an_attribute_that_is_set_on_a_tensor() -> None:
    def replaced(x: Tensor) -> Tensor:
        y = x.clone()
        y.data = x[:1] + 0.0
        return y @ y.T

    def flagged(x: Tensor) -> Tensor:
        y = x + 0.0
        y.normalised = True
        return y @ y.T if getattr(y, "normalised", False) else y.exp()

    assert count_graph(replaced, X).total == Cost(macs=4, add=4)
    assert count_graph(flagged, X).total == PRODUCT + Cost(add=8)


def test_a_failed_attempt_leaves_no_trace_in_the_next() -> None:
    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Tensor] = []
            self.calls = 0

        def forward(self, x: Tensor, past: list[Tensor]) -> Tensor:
            self.calls += 1
            self.seen.append(x)
            past.append(x)
            y = torch.cat(past + self.seen)
            return y.exp() if len(x) == 2 else y

    # One tensor was there, one is added, and one is seen.
    assert count_graph(Grows(), (X, [X])).total == Cost(special=3 * 8)


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x[: int(x.shape[0] / 2)],
        lambda x: sum(row for row in x),
        lambda x: [x[i] * 2 for i in range(x.shape[0])],
        lambda x: torch.zeros(round(x.shape[0] / 3)) + x,
        lambda x: x * [1.0, 2.0, 3.0][x.shape[0]],
        lambda x: x * min(x.shape[0], 3),
        lambda x: x.exp() if x.sum() > 0 else x,
    ],
)
def test_what_has_no_place_in_a_graph_is_a_tracing_error(ask: Callable[[Tensor], Any]) -> None:
    with pytest.raises(TracingError, match="symbolically"):
        count_graph(ask, X, tracer="symbolic")


def test_item_assignment_and_dictionaries_of_results_go_to_the_recorder() -> None:
    def forward(x: Tensor) -> Tensor:
        y = x.clone()
        y[:, 0] = x[:, 1] * 2
        return y

    cost = count_graph(forward, X)
    assert cost.tracer == "recorded"
    assert cost.total == Cost(mul=2)


def test_operators_of_python() -> None:
    cost = checked_count(lambda x: -(x**2 - 1) / 3 + (2 - x) * (x > 0), X, tracer="symbolic")
    assert cost.total == Cost(mul=8 + 8, add=8 + 8 + 8, cmp=8 + 8, div=8)
    targets = [node.target for node in cost.graph.graph.nodes if node.op == "call_function"]
    assert operator.truediv in targets


def test_an_assertion_is_no_node() -> None:
    def asserts(x: Tensor) -> Tensor:
        torch._assert(x.ndim == 2, "a matrix is expected")
        return x.exp()

    cost = checked_count(asserts, X, tracer="symbolic")
    assert [node.target for node in cost.nodes] == ["x", "exp", "output"]


def test_a_comparison_of_an_attribute_that_is_used_is_a_node() -> None:
    def uses(x: Tensor) -> Tensor:
        is_matrix, is_image = x.ndim == 2, x.ndim >= 4
        return x * is_matrix + is_image

    cost = checked_count(uses, X, tracer="symbolic")
    assert [node.target for node in cost.nodes if node.op == "call_function"] == [
        "getattr",
        "eq",
        "mul",
        "getattr",
        "ge",
        "add",
    ]


PARAMETER_QUESTIONS: dict[str, Callable[[Tensor], Any]] = {
    "size": lambda w: w.size() == (3, 4) and w.size(0) == 3,
    "shape": lambda w: w.shape[1] == 4,
    "dimensions": lambda w: w.dim() == w.ndim == w.ndimension() == 2,
    "elements": lambda w: w.numel() == w.nelement() == 12,
    "length": lambda w: len(w) == 3,
    "strides": lambda w: w.stride() == (4, 1) and w.is_contiguous(),
    "dtype": lambda w: w.dtype is torch.float32 and w.is_floating_point() and not w.is_complex(),
    "gradient": lambda w: w.requires_grad and w.grad is None and w.is_leaf,
}


@pytest.mark.parametrize("name", PARAMETER_QUESTIONS)
def test_what_does_not_depend_on_values_is_known_of_parameters(name: str) -> None:
    class Asks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight.T if PARAMETER_QUESTIONS[name](self.weight) else x

    assert checked_count(Asks(), X, tracer="symbolic").total == Cost(macs=2 * 3 * 4)


@torch.jit.script
def scripted_exp(w: Tensor) -> Tensor:
    return w.exp()


@torch.jit.script
def scripted_exp_in_place(w: Tensor) -> Tensor:
    return w.exp_()


def unseen_exp(w: Tensor) -> Tensor:
    with torch._C.DisableTorchFunction():
        return w.exp()


class Holds(nn.Module):
    """Hands what belongs to it, and no input, to a function."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(4), requires_grad=False)
        self.register_buffer("average", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.function(self.average) + self.function(self.weight)


@pytest.mark.parametrize("function", [scripted_exp, scripted_exp_in_place, unseen_exp], ids=lambda each: each.__name__)
def test_nothing_runs_that_is_in_no_graph(function: Callable[[Tensor], Tensor]) -> None:
    model = Holds(function)
    with pytest.raises(TracingError, match=r"aten\.exp_?\.default would run outside of the graph"):
        count_graph(model, X, tracer="symbolic")
    cost = count_graph(model, X)
    assert cost.tracer == "recorded"
    assert cost.total == Cost(special=2 * 4, add=2 * 8)
    assert model.weight.tolist() == model.average.tolist() == [1.0] * 4


VALUES: dict[str, Callable[[Tensor], Any]] = {
    "truth": lambda w: bool(w.sum() > 0),
    "int": lambda w: int(w[0]),
    "float": lambda w: float(w[0]),
    "complex": lambda w: complex(w[0]),
    "element": lambda w: 1.0 in w,
}


@pytest.mark.parametrize("name", VALUES)
def test_the_values_of_parameters_and_buffers_are_not_asked_for(name: str) -> None:
    model = Holds(VALUES[name])
    with pytest.raises(TracingError):
        count_graph(model, X, tracer="symbolic")
    assert count_graph(model, X).tracer in ("recorded", "executed")


SIZES_OF_INPUTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "expand": lambda w, x: w.expand(x.shape[0], -1),
    "expand by size": lambda w, x: w.expand(x.size(0), -1),
    "expand by sizes": lambda w, x: w.expand((x.shape[0], 4)),
    "repeat": lambda w, x: w.repeat(x.shape[0], 1),
    "view": lambda w, x: w.view(1, x.shape[1]),
    "new": lambda w, x: w.new_zeros(x.shape[0], 4),
    "keyword": lambda w, x: w.narrow(dim=1, start=0, length=x.shape[1]),
    "slice": lambda w, x: w[:, : x.shape[1]],
    "axis": lambda w, x: w.sum(x.dim() - 1, keepdim=True),
    "axes": lambda w, x: w.transpose(0, x.dim() - 1).T,
    "of its kind": lambda w, x: w.to(x),
}


@pytest.mark.parametrize("name", SIZES_OF_INPUTS)
def test_a_parameter_takes_the_sizes_of_inputs(name: str) -> None:
    class Token(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.ones(1, 4))

        def forward(self, x: Tensor) -> Tensor:
            return x + SIZES_OF_INPUTS[name](self.token, x)

    model = Token()
    graph = checked_count(model, X, tracer="symbolic").graph
    other = torch.randn(5, 4)
    torch.testing.assert_close(graph(other), model(other))


class Owner(nn.Module):
    """Calls a function with a parameter, a buffer and the input."""

    def __init__(self, function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(3, 4))
        self.register_buffer("average", torch.ones(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.weight, self.average, x)


def test_methods_of_what_the_model_owns_are_methods_in_the_graph() -> None:
    model = Owner(lambda w, b, x: x @ w.view(4, 3) @ b.view(3, 4) @ w.sum(0))
    for tracer in ("symbolic", "recorded", "symbolic"):
        cost = checked_count(model, X, tracer=tracer)
        methods = [node.target for node in cost.nodes if node.op == "call_method"]
        assert (methods.count("view"), methods.count("sum")) == (2, 1)
    assert torch.overrides.resolve_name(torch.Tensor.view) == "torch.Tensor.view"
    counted = weakref.ref(model)
    del model, cost
    gc.collect()
    assert counted() is None


@pytest.mark.parametrize("tracer", ["symbolic", "recorded"])
def test_a_formula_for_a_method_of_what_the_model_owns(tracer: str) -> None:
    def formula(self: Tensor, *sizes: int, out: Tensor) -> Cost:
        return Cost(div=1000)

    model = Owner(lambda w, b, x: x * w.view(12)[:4] + b.view(12)[:4])
    cost = count_graph(model, X, tracer=tracer, formulas={torch.Tensor.view: formula})
    assert cost.total == Cost(mul=8, add=8, div=2000)


DEVICES: dict[str, Callable[[Tensor], bool]] = {
    "type": lambda w: w.device.type == "cpu",
    "device": lambda w: w.device == torch.device("cpu"),
    "text": lambda w: str(w.device) == "cpu",
    "is_cpu": lambda w: w.is_cpu,
    "is_meta": lambda w: not w.is_meta,
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("name", DEVICES)
def test_a_model_without_data_goes_the_way_of_one_with_data(name: str, device: str) -> None:
    for kept in (lambda w, b, x: x * 2 if DEVICES[name](w) else x, lambda w, b, x: x * 2 if DEVICES[name](b) else x):
        assert count_graph(Owner(kept).to(device), X.to(device)).total == Cost(mul=8)


RESHAPED: dict[str, Callable[[Tensor], Any]] = {
    "t_": lambda w: w.t_(),
    "transpose_": lambda w: w.transpose_(0, 1),
    "unsqueeze_": lambda w: w.unsqueeze_(0),
    "resize_": lambda w: w.resize_(5, 2),
}


@pytest.mark.parametrize("name", RESHAPED)
def test_the_rows_of_what_changes_its_shape(name: str) -> None:
    def rows(w: Tensor, b: Tensor, x: Tensor) -> Tensor:
        RESHAPED[name](b)
        for row in b:
            x = x + row.sum()
        return x

    before = torch.empty(3, 4)
    RESHAPED[name](before)
    sums = before.shape[0] * (before[0].numel() - 1)
    model = Owner(rows)
    with pytest.raises(TracingError, match="a change of what is known"):
        count_graph(model, X, tracer="symbolic")
    assert count_graph(model, X).total == Cost(add=sums + before.shape[0] * 8)
    assert model.average.shape == (3, 4)


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_a_question_after_its_answer_was_changed(tracer: str) -> None:
    model = Owner(lambda w, b, x: x * 2 if w.requires_grad_(False).requires_grad or w.requires_grad else x.exp())
    with pytest.raises(TracingError, match="a change of what is known"):
        count_graph(model, X, tracer="symbolic")
    assert count_graph(model, X, tracer=tracer).total == Cost(special=8)
    assert model.weight.requires_grad


@pytest.mark.parametrize("text", [str, repr, lambda w: f"{w}", lambda w: "weight: " + repr(w)])
def test_the_text_of_what_the_model_owns_is_not_asked_for(text: Callable[[Tensor], str]) -> None:
    for kept in (lambda w, b, x: x * 2 if "tensor(" in text(w) else x, lambda w, b, x: x * 2 if "(" in text(b) else x):
        with pytest.raises(TracingError, match="the text"):
            count_graph(Owner(kept), X, tracer="symbolic")
        assert count_graph(Owner(kept), X).total == Cost(mul=8)


class Doubled(nn.Parameter):
    def expand(self, *sizes: Any) -> Tensor:
        return super().expand(*sizes) * 2


def test_a_method_that_a_class_of_parameters_overrides() -> None:
    model = Owner(lambda w, b, x: x + w.expand(x.shape[0], -1))
    model.weight = Doubled(torch.ones(1, 4))
    assert count_graph(model, X).total == Cost(mul=8, add=8)


@pytest.mark.parametrize("tracer", ["auto", "symbolic", "recorded"])
def test_a_leaf_with_other_parameters_of_the_model(tracer: str) -> None:
    class Swaps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.wide, self.bias = nn.Parameter(torch.ones(8, 4)), nn.Parameter(torch.ones(8))
            self.like = nn.Parameter(torch.randn(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            wide = torch.func.functional_call(self.layer, {"weight": self.wide, "bias": self.bias}, (x,))
            return torch.func.functional_call(self.layer, {"weight": self.like}, (self.layer(x) + wide[:, 4:],))

    model = Swaps()
    cost = checked_count(model, X, tracer=tracer)
    assert cost.total == Cost(macs=2 * 32 + 32 + 32, add=2 * 8 + 8 + 8 + 8)
    with torch.no_grad():
        torch.testing.assert_close(cost.graph(X), model(X))


def test_a_parameter_is_unpacked_and_shown() -> None:
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 4))
            self.register_buffer("average", torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            first, second, third = self.weight
            f"{self.weight} {self.average} {self.average!r}"
            for each in self.average:
                x = x + each
            return x * first + second * third

    assert checked_count(Parts(), X, tracer="symbolic").total == Cost(mul=2 * 4 + 4, add=5 * 2 * 4)


def test_an_array_is_a_constant() -> None:
    array = torch.ones(4).numpy()
    assert checked_count(lambda x: x + torch.from_numpy(array), X, tracer="symbolic").total == Cost(add=8)
