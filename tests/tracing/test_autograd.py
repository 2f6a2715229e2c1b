"""What a model asks of autograd while it runs is answered as in a real run, and its gradients are counted as those."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import flop_registry

from fxcount import Cost, count_graph

ALL = ("auto", "recorded", "executed")
X = torch.linspace(-1, 1, 24).reshape(8, 3)


class Double(torch.autograd.Function):
    """Keeps what it was told its inputs need."""

    needed: tuple[bool, ...] = ()

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        Double.needed = ctx.needs_input_grad
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 2


def changed(x: Tensor, change: Callable[[Tensor], Any]) -> Tensor:
    change(x)
    return x


def without_gradient(function: Callable[..., Tensor], *args: Tensor) -> Tensor:
    with torch.no_grad():
        return function(*args)


def in_inference(function: Callable[..., Tensor], *args: Tensor) -> Tensor:
    with torch.inference_mode():
        return function(*args)


def told(x: Tensor) -> bool:
    Double.apply(x)
    return Double.needed[0]


QUESTIONS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "an input": lambda w, x: x.requires_grad,
    "an input is a leaf": lambda w, x: x.is_leaf,
    "a function of an input": lambda w, x: (x * 2).requires_grad,
    "a product with a weight": lambda w, x: (x @ w).requires_grad,
    "whether it is a leaf": lambda w, x: (x @ w).is_leaf,
    "whether it has a function": lambda w, x: (x @ w).grad_fn is not None,
    "the name of its function": lambda w, x: "Mm" in getattr((x @ w).grad_fn, "name", str)(),
    "the functions before it": lambda w, x: len((x @ w).sin().grad_fn.next_functions) == 1,
    "detached": lambda w, x: (x @ w).detach().requires_grad,
    "its data": lambda w, x: (x @ w).data.requires_grad,
    "a comparison": lambda w, x: ((x @ w) > 0).requires_grad,
    "what is like it": lambda w, x: torch.zeros_like(x @ w).requires_grad,
    "a position in it": lambda w, x: (x @ w).argmax().requires_grad,
    "its largest values": lambda w, x: (x @ w).max(0).values.requires_grad,
    "the second of its parts": lambda w, x: (x @ w).split(2)[1].requires_grad,
    "its first row": lambda w, x: (x @ w)[0].requires_grad,
    "what it was added to": lambda w, x: torch.zeros(3, 3).add_(w).requires_grad,
    "a row that was set": lambda w, x: changed(x * 1, lambda y: y.__setitem__(0, w[0])).requires_grad,
    "a view of what was changed": lambda w, x: changed(x * 1, lambda y: y[0].mul_(w[0])).requires_grad,
    "made without gradients": lambda w, x: without_gradient(torch.matmul, x, w).requires_grad,
    "made for inference": lambda w, x: in_inference(torch.matmul, x, w).requires_grad,
    "after asking for one": lambda w, x: ((x * 2).requires_grad_() * 3).requires_grad,
    "after setting it": lambda w, x: changed(x * 2, lambda y: setattr(y, "requires_grad", True)).sin().requires_grad,
    "a hook": lambda w, x: (x @ w).register_hook(lambda gradient: None) is not None,
    "a gradient to be kept": lambda w, x: changed(x @ w, Tensor.retain_grad).retains_grad,
    "a function of its own": lambda w, x: Double.apply(x @ w).requires_grad,
    "what such a function is told": lambda w, x: told(x @ w),
    "what it is told of an input": lambda w, x: told(x),
    "a checkpoint": lambda w, x: checkpoint(torch.matmul, x, w, use_reentrant=False).requires_grad,
    "a frozen weight": lambda w, x: (x @ changed(w, lambda w: w.requires_grad_(False))).requires_grad,
    "whether gradients are on": lambda w, x: torch.is_grad_enabled(),
    "no gradient yet": lambda w, x: w.grad is None,
    "the shape of a gradient": lambda w, x: torch.autograd.grad((x @ w).sum(), w)[0].shape == w.shape,
}


class Asks(nn.Module):
    def __init__(self, question: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 3))
        self.question = question

    def forward(self, x: Tensor) -> Tensor:
        return x.sinh() if self.question(self.weight, x) else x.cosh()


@pytest.mark.parametrize("tracer", ALL)
@pytest.mark.parametrize("needs", [False, True])
@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_are_answered_as_in_a_real_run(question: str, needs: bool, tracer: str) -> None:
    x, model = X[:3].clone().requires_grad_(needs), Asks(QUESTIONS[question])
    with torch.enable_grad():
        try:
            expected = "sinh" if torch.equal(model(x), x.sinh()) else "cosh"
        except Exception as error:
            with pytest.raises(type(error)):
                count_graph(model, x, tracer=tracer)
            return
    model.weight.requires_grad_()
    cost = count_graph(model, x, tracer=tracer)
    assert cost.nodes[-2].target == expected
    assert model.weight.grad is None
    assert model.weight.requires_grad


class Network(nn.Module):
    """A function of a network of three layers and an input."""

    def __init__(self, function: Callable[[Network, Tensor], Any]) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)

    def backward_of(self, loss: Tensor) -> Tensor:
        loss.sum().backward()
        return loss


def force(model: Network, x: Tensor) -> Any:
    x = x.detach().requires_grad_()
    return -torch.autograd.grad(model.net(x).sum(), x, create_graph=True)[0]


def penalty(model: Network, x: Tensor) -> Any:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.net(x).sum(), x, create_graph=True)
    return model.backward_of((gradient.norm(dim=1) - 1) ** 2)


def two_steps(model: Network, x: Tensor) -> Any:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        loss = model.backward_of(model.net(x))
        optimizer.step()
    return loss


def changed_in_place(model: Network, x: Tensor) -> Any:
    hidden = model.net[0](x)
    hidden.mul_(2)
    rows = torch.zeros(8, 4)
    rows[0] = hidden[0]
    return torch.autograd.grad((rows @ model.net[2].weight.T).sum(), [*model.net[0].parameters()])


def partly_frozen(model: Network, x: Tensor) -> Any:
    model.net[0].requires_grad_(False)
    return model.backward_of(model.net(x))


def partly_without(model: Network, x: Tensor) -> Any:
    with torch.no_grad():
        hidden = model.net[0](x)
    return model.backward_of(model.net[2](hidden))


def hooked(model: Network, x: Tensor) -> Any:
    hidden = model.net[0](x)
    hidden.register_hook(lambda gradient: gradient @ torch.ones(4, 4))
    hidden.retain_grad()
    model.backward_of(model.net[2](hidden))
    return hidden.grad @ torch.ones(4, 4)


def checkpointed(model: Network, x: Tensor, reentrant: bool = False) -> Any:
    hidden = model.net[0](x)
    return model.backward_of(
        checkpoint(lambda h: model.net[2](torch.tanh(h @ h.T @ h)), hidden, use_reentrant=reentrant)
    )


def checkpoint_in_a_checkpoint(model: Network, x: Tensor) -> Any:
    def outer(x: Tensor) -> Tensor:
        return model.net[2](checkpoint(lambda x: torch.tanh(model.net[0](x)), x, use_reentrant=False) * 2)

    return model.backward_of(checkpoint(outer, x, use_reentrant=False))


class Product(torch.autograd.Function):
    """Its gradient has a product more than it needs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return gradient @ weight.T, x.T @ gradient @ torch.ones(4, 4)


class Runs(torch.autograd.Function):
    """Runs a module that it is given, forward and back."""

    @staticmethod
    def forward(ctx: Any, layer: nn.Linear, x: Tensor) -> Tensor:
        ctx.layer = layer
        return layer(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient @ ctx.layer.weight


def forward_mode(model: Network, x: Tensor) -> Any:
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(model.net(forward_ad.make_dual(x, torch.ones_like(x)))).tangent


class RealRun(TorchDispatchMode):
    """The flops of all operators, by torch's own formulas. (`FlopCounterMode` refuses modules that take gradients.)"""

    flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


PROGRAMS: dict[str, Callable[[Network, Tensor], Any]] = {
    "a force": force,
    "the penalty of a gradient": penalty,
    "two steps of an optimizer": two_steps,
    "in place": changed_in_place,
    "a frozen layer": partly_frozen,
    "a layer without gradients": partly_without,
    "hooks that compute": hooked,
    "a checkpoint": checkpointed,
    "a reentrant checkpoint": lambda model, x: checkpointed(model, x, reentrant=True),
    "a checkpoint in a checkpoint": checkpoint_in_a_checkpoint,
    "a function of its own": lambda model, x: model.backward_of(Product.apply(x, model.net[0].weight.T)),
    "a function that runs a module": lambda model, x: model.backward_of(Runs.apply(model.net[2], model.net[0](x))),
    "a gradient of torch.func": lambda model, x: torch.func.grad(lambda x: model.net(x).sum())(x),
    "a Jacobian for each row": lambda model, x: torch.func.vmap(torch.func.jacrev(model.net))(x),
    "a Jacobian forward": lambda model, x: torch.func.vmap(torch.func.jacfwd(model.net))(x),
    "a Jacobian": lambda model, x: torch.autograd.functional.jacobian(model.net, x),
    "a Jacobian at once": lambda model, x: torch.autograd.functional.jacobian(model.net, x, vectorize=True),
    "a Hessian": lambda model, x: torch.autograd.functional.hessian(lambda x: model.net(x).sum(), x[:1]),
    "a product with a Jacobian": lambda model, x: torch.func.jvp(model.net, (x,), (torch.ones_like(x),)),
    "forward mode": forward_mode,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracer", [*ALL, "on meta"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_that_take_gradients_cost_what_they_run(program: str, tracer: str) -> None:
    model = Network(PROGRAMS[program])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = X.clone().requires_grad_(program == "a reentrant checkpoint")
    if tracer == "on meta":
        cost = count_graph(model.to("meta"), x.detach().to("meta").requires_grad_(x.requires_grad), tracer="recorded")
        model = Network(PROGRAMS[program])
    else:
        cost = count_graph(model, x, tracer=tracer)
        assert {name: torch.equal(value, before[name]) for name, value in model.state_dict().items()} == dict.fromkeys(
            before, True
        )
    assert [parameter.grad for parameter in model.parameters()] == [None] * 4
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert cost.uncounted == {}
    with RealRun() as real:
        model(x)
    assert 2 * cost.macs == real.flops > 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_gradient_costs_the_same_with_data_and_without(program: str) -> None:
    x = X.clone().requires_grad_(program == "a reentrant checkpoint")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        costs = [count_graph(Network(PROGRAMS[program]), x, tracer=tracer).total for tracer in ("recorded", "executed")]
    assert costs[0] == costs[1]


@pytest.mark.parametrize("tracer", ALL)
def test_hooks_on_what_is_saved_are_counted(tracer: str) -> None:
    def packed(x: Tensor) -> Tensor:
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t * 2, lambda t: t / 2):
            return x.exp()

    # The result is saved, 24 elements, if somebody may ask for a gradient.
    assert count_graph(packed, X.clone().requires_grad_(), tracer=tracer).total == Cost(special=24, mul=24)
    assert count_graph(packed, X, tracer=tracer).total == Cost(special=24)


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_a_graph_takes_the_gradients_that_the_model_takes(tracer: str) -> None:
    model = Network(force)
    cost = count_graph(model, X, tracer=tracer)
    torch.testing.assert_close(cost.graph(2 * X), model(2 * X))


def test_a_model_without_questions_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from fxcount.tracing.autograd_replay import AutogradReplay

    def fail(*args: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(AutogradReplay, "_catch_up", fail)
    count_graph(Network(lambda model, x: model.net(x)), X, tracer="recorded")


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_a_graph_leaves_grad_mode_alone(tracer: str) -> None:
    class Round(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            with torch.no_grad():
                return x.round()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient

    model = Network(lambda model, x: Round.apply(model.net(x)))
    graph = count_graph(model, X, tracer=tracer).graph
    result = graph(X)
    assert torch.is_grad_enabled()
    result.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_a_graph_of_a_reentrant_checkpoint_leaves_grad_mode_alone(tracer: str) -> None:
    model = Network(lambda model, x: checkpoint(model.net, x, use_reentrant=True) * 2)
    graph = count_graph(model, X, tracer=tracer).graph
    try:
        torch.testing.assert_close(graph(X), model(X))
        assert torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)


def test_a_question_may_be_asked_again_after_an_error() -> None:
    """Autograd refuses to write to a leaf that requires a gradient, which below autograd nobody refuses."""

    def asks_twice(x: Tensor) -> Tensor:
        y = x.clone().detach().requires_grad_()
        y.add_(1)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="leaf Variable"):
                (y * 2).requires_grad  # noqa: B018  # to ask is the test
        return y.exp()

    assert count_graph(asks_twice, X, tracer="recorded").total.special == 24


@pytest.mark.parametrize("tracer", ALL)
def test_a_backward_pass_of_several_tensors_that_the_model_takes(tracer: str) -> None:
    class Taking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 4, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            y = self.layer(x)
            torch.autograd.backward([y, y], [torch.ones_like(y), torch.ones_like(y)])
            assert self.layer.weight.grad is not None
            return self.layer.weight.grad @ x.t()

    # The layer, the gradient of its weight, and the product with it; its input requires none.
    assert count_graph(Taking(), X, tracer=tracer).macs == 8 * 4 * 3 + 4 * 3 * 8 + 4 * 8 * 3
