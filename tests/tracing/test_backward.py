"""The backward pass, node by node: figures worked out by hand, with every tracer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fxcount import Cost, DataNeededError, GraphCost, InputError, TracingError, UncountedError, count_graph
from fxcount.cli.worked_example import worked_example
from tests.tracing.graphs import TRACERS

RECORDED = ("recorded", "executed")
"""Those that see a run: functions with a gradient of their own, checkpoints and hooks are no part of a trace."""


def backward_of(cost: GraphCost) -> Cost:
    assert cost.backward is not None
    assert cost.backward == sum((node.backward or Cost() for node in cost.nodes), Cost())
    assert cost.by_module()[""].backward == cost.backward
    assert sum((each.backward or Cost() for each in cost.by_operator().values()), Cost()) == cost.backward
    assert all(call.phase == "backward" for node in cost.nodes for call in node.backward_operators or ())
    return cost.backward


def count(model: Any, *inputs: Tensor, tracer: str = "auto") -> Cost:
    cost = count_graph(model, inputs, tracer=tracer, backward=True)
    assert cost.uncounted == {}
    assert cost.total == count_graph(model, inputs, tracer=tracer).total
    return backward_of(cost)


def frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False)


@pytest.mark.parametrize("tracer", TRACERS)
def test_worked_example(tracer: str) -> None:
    """The input requires no gradient, so the convolution has one product, of its weight: 8,192 outputs of 40 taps.

    A batch norm in training, n = 8,192 elements in 32 channels. x^ = (x - mean) rstd: n add, n mul. h = g weight: n
    mul. grad_bias and grad_weight, the sums of g and of g x^: n mul, 2 (n - 32) add. The means of h and of h x^ for
    each channel: n mul, 2 (n - 32) add, 2 * 32 div. grad_x = rstd (h - mean(h) - x^ mean(h x^)): 2 n mul, 2 n add.
    Together 6 n mul and 7 n - 128 add. A Hardtanh compares with both ends.
    """
    cost = count_graph(worked_example(), torch.randn(1, 1, 130, 40), tracer=tracer, backward=True)
    conv, norm, act = (node.backward for node in cost.nodes if node.op == "call_module")
    assert conv == Cost(macs=8192 * 40)
    assert norm == Cost(mul=6 * 8192, add=7 * 8192 - 128, div=64)
    assert act == Cost(cmp=2 * 8192)
    assert backward_of(cost).macs == 327_680
    assert cost.flops == 344_064


TWO = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
"""On [5, 3]: 5 * 12 and 5 * 8 macs."""


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        # The weight of the first; the weight and the input of the second; biases add up 5 rows.
        ((True, True), Cost(macs=60 + 40 + 40, add=4 * 4 + 4 * 2)),
        ((False, True), Cost(macs=40, add=4 * 2)),
        ((True, False), Cost(macs=60 + 40, add=4 * 4)),
        ((False, False), Cost()),
    ],
)
def test_frozen_layers(tracer: str, trainable: tuple[bool, bool], expected: Cost) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    for layer, trains in zip(model, trainable, strict=True):
        layer.requires_grad_(trains)
    cost = count_graph(model, torch.randn(5, 3), tracer=tracer, backward=True)
    assert backward_of(cost) == expected
    assert cost.trainable == 16 * trainable[0] + 10 * trainable[1]
    assert [cost.by_module()[path].trainable for path in ("0", "1")] == [16 * trainable[0], 10 * trainable[1]]


@pytest.mark.parametrize("tracer", TRACERS)
def test_an_input_that_requires_a_gradient(tracer: str) -> None:
    assert count(TWO, torch.randn(5, 3, requires_grad=True), tracer=tracer).macs == 2 * (60 + 40)


class LoRA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16, bias=False).requires_grad_(False)
        self.down, self.up = nn.Linear(16, 2, bias=False), nn.Linear(2, 16, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.up(self.down(x))


@pytest.mark.parametrize("tracer", TRACERS)
def test_lora(tracer: str) -> None:
    """The weights of both adapters, and what lies between them; nothing of the frozen layer."""
    cost = count_graph(LoRA(), torch.randn(5, 16), tracer=tracer, backward=True)
    assert backward_of(cost) == Cost(macs=3 * 5 * 16 * 2)
    assert (cost.params, cost.trainable) == (16 * 16 + 64, 64)
    assert cost.by_module()["layer"].backward == Cost()


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_depthwise_convolution(tracer: str) -> None:
    """[1, 6, 4, 4] with 9 taps each: input and weight, each as large as the forward."""
    model = nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)
    x = torch.randn(1, 6, 4, 4, requires_grad=True)
    assert count(model, x, tracer=tracer) == Cost(macs=2 * 6 * 16 * 9)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_layer_that_is_used_twice(tracer: str) -> None:
    """Three products of 5 * 16; two sums of biases, and both gradients of weight and bias meet: 16 + 4 additions."""
    layer = nn.Linear(4, 4)
    cost = count(lambda x: layer(layer(x)), torch.randn(5, 4), tracer=tracer)
    assert cost == Cost(macs=3 * 80, add=2 * 16 + 16 + 4)


class Kept(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        with nn.utils.parametrize.cached():
            return self.layer(self.layer(x))  # type: ignore[no-any-return]


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_weight_that_is_computed_once(tracer: str) -> None:
    """v (m / |v|) of 16 elements in 4 rows for both calls, 2 * 16 mul, 12 add, 4 div, 4 roots, and once its gradient:
    grad_m = (sum of g v) / |v|, grad_v = (m / |v|) (g - v (grad_m / |v|)): 3 * 16 mul, 12 + 16 add, 3 * 4 div."""
    cost = count_graph(Kept(), torch.randn(3, 4), tracer=tracer, backward=True)
    assert cost.total == Cost(macs=2 * 48, mul=32, add=2 * 12 + 12, div=4, special=4)
    assert backward_of(cost) == Cost(macs=3 * 48, mul=48, add=2 * 8 + 16 + 4 + 28, div=12)


@pytest.mark.parametrize("tracer", TRACERS)
def test_attention_with_grouped_keys_and_values_of_another_width(tracer: str) -> None:
    """4 heads on 2 of keys, 5 queries, 7 keys of width 8 and values of width 6: the gradients of the probabilities and
    of the values are as large as probabilities times values, those of queries and keys as large as the scores. Every
    query and repeated key is scaled once more, and each pair of a group's keys and values is added. The softmax of 140
    scores in 20 rows: 2 mul each, and its sums and differences."""
    q, k, v = (torch.randn(1, *shape, requires_grad=True) for shape in ((4, 5, 8), (2, 7, 8), (2, 7, 6)))
    cost = count(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True), q, k, v, tracer=tracer)
    assert cost == Cost(
        macs=2 * (4 * 5 * 7 * 6) + 2 * (4 * 5 * 7 * 8),
        mul=2 * 140 + 4 * 5 * 8 + 4 * 7 * 8,
        add=2 * 140 - 20 + 2 * 7 * (8 + 6),
    )


@pytest.mark.parametrize("tracer", RECORDED)
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint(tracer: str, reentrant: bool) -> None:
    """What is kept is computed again: the first layer and the ReLU; a reentrant one computes all again."""
    first, second = nn.Linear(3, 4), nn.Linear(4, 2)

    def model(x: Tensor) -> Any:
        return checkpoint(lambda x: second(F.relu(first(x))), x, use_reentrant=reentrant)

    # Weight and input of both, with the biases; the gradient of the ReLU; what is computed again.
    expected = Cost(macs=2 * 60 + 2 * 40, add=16 + 8, cmp=20) + Cost(macs=60, add=20, cmp=20)
    if reentrant:
        expected += Cost(macs=40, add=10)
    assert count(model, torch.randn(5, 3, requires_grad=True), tracer=tracer) == expected


@pytest.mark.parametrize(("tracer", "apart"), [("recorded", True), ("executed", False)])
def test_lstm(tracer: str, apart: bool) -> None:
    """Two steps of 4 units, each with gates i, f, g, o, where c' = f c + i g and h = o tanh(c').

    Both steps have a product with 16 * 3 weights of the input and one with 16 * 4 of the state, for the gradients of
    these weights; the second step also one for the state before it. With the gradient d, a unit takes d tanh(c'), d o,
    d c, d f, d i and d g, but at the first step, whose state requires no gradient, no d f; for each of 3 sigmoids and 2
    tanhs 2 mul and 1 add; and where gradients meet 1 add for h, which is a result and the next or last state, and 1 for
    c'. The gradients of the state's weights, of its bias and of the input's bias are added over the steps. Those of the
    input's weights are one product over both steps where the gates are computed at once, as on a CPU, and two, which
    are added, where they are not, as on the meta device.
    """
    cost = count(nn.LSTM(3, 4), torch.randn(2, 1, 3), tracer=tracer)
    units = 2 * 4
    over_steps = 16 * 4 + 16 + 16 + apart * 16 * 3
    assert cost == Cost(
        macs=2 * (16 * 3 + 16 * 4) + 16 * 4, mul=(6 + 2 * 5) * units - 4, add=(5 + 2) * units + over_steps
    )


@pytest.mark.parametrize("tracer", TRACERS)
def test_embedding(tracer: str) -> None:
    """Every gradient of a row is added to it."""
    assert count(nn.Embedding(10, 3), torch.randint(0, 10, (2, 4)), tracer=tracer) == Cost(add=8 * 3)


@pytest.mark.parametrize("tracer", TRACERS)
def test_cross_entropy(tracer: str) -> None:
    """On [2, 5]: the gradient of the mean divides once and selects at 2 targets; g - softmax(x) sum(g): 10 exp, 10 mul,
    10 additions and 2 sums of 5."""
    x, target = torch.randn(2, 5, requires_grad=True), torch.tensor([1, 2])
    cost = count(F.cross_entropy, x, target, tracer=tracer)
    assert cost == Cost(mul=10, add=10 + 2 * 4, div=1, cmp=2, special=10)


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(
    ("training", "expected"),
    [(True, Cost(mul=6 * 24, add=3 * 24 + 4 * 21, div=6)), (False, Cost(mul=4 * 24, add=24 + 2 * 21 + 3, special=3))],
)
def test_batch_norm(tracer: str, training: bool, expected: Cost) -> None:
    """On [2, 3, 4], 24 elements in 3 channels, whose sums take 21 additions. x^ = (x - mean) rstd: 24 add, 24 mul;
    h = g weight: 24 mul; the gradient of the weight, the sum of g x^: 24 mul, 21 add; of the bias, the sum of g: 21
    add.

    The gradient of x in training is rstd (h - mean(h) - x^ mean(h x^)): 3 * 24 mul, 2 * 24 add, and two means of 21 add
    and 3 div. In evaluation it is rstd h: 24 mul, with rstd of 3 add and 3 roots.
    """
    model = nn.Sequential(nn.BatchNorm1d(3)).train(training)
    assert count(model, torch.randn(2, 3, 4, requires_grad=True), tracer=tracer) == expected


@pytest.mark.parametrize("tracer", TRACERS)
def test_in_place(tracer: str) -> None:
    layer = nn.Linear(3, 4)
    cost = count(lambda x: layer(x).relu_(), torch.randn(5, 3), tracer=tracer)
    assert cost == Cost(macs=60, add=16, cmp=20)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_tensor_that_is_unpacked(tracer: str) -> None:
    """a + b c of the three parts of 4 * 2, whose gradients are stacked: 2 * 8 products, and none are added."""

    def model(x: Tensor) -> Tensor:
        a, b, c = x
        return a + b * c

    assert count(model, torch.randn(3, 4, 2, requires_grad=True), tracer=tracer) == Cost(mul=16)


@pytest.mark.parametrize("tracer", RECORDED)
def test_item_assignment(tracer: str) -> None:
    """The column that was overwritten has no gradient: a copy of zeros, which is no arithmetic."""
    layer = nn.Linear(3, 4)

    def model(x: Tensor) -> Tensor:
        y = layer(x)
        y[:, 0] = 0
        return y

    assert count(model, torch.randn(5, 3), tracer=tracer) == Cost(macs=60, add=16)


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * x * 2


@pytest.mark.parametrize("tracer", RECORDED)
def test_a_function_with_a_gradient_of_its_own(tracer: str) -> None:
    x = torch.randn(5, 3, requires_grad=True)
    assert count(lambda x: Square.apply(x), x, tracer=tracer) == Cost(mul=30)


def test_a_trace_has_no_gradient_of_such_a_function() -> None:
    x = torch.randn(5, 3, requires_grad=True)
    with pytest.raises(TracingError, match="Square has a gradient of its own"):
        count(lambda x: Square.apply(x), x, tracer="symbolic")


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("stop", ["no_grad", "detach"])
def test_what_lies_before_a_stop_costs_nothing(tracer: str, stop: str) -> None:
    def model(x: Tensor) -> Tensor:
        if stop == "no_grad":
            with torch.no_grad():
                return TWO[1](TWO[0](x).sin() if stop == "never" else TWO[0](x))
        return TWO[1](TWO[0](x).detach())

    expected = Cost() if stop == "no_grad" else Cost(macs=40, add=8)
    assert count(model, torch.randn(5, 3), tracer=tracer) == expected


@pytest.mark.parametrize("tracer", TRACERS)
def test_what_no_output_depends_on_costs_nothing(tracer: str) -> None:
    def model(x: Tensor) -> Tensor:
        TWO(x)
        return TWO[0](x)

    assert count(model, torch.randn(5, 3), tracer=tracer) == Cost(macs=60, add=16)


@pytest.mark.parametrize("tracer", TRACERS)
def test_all_outputs_have_a_gradient(tracer: str) -> None:
    """Those of both layers meet at the output of the first: 5 * 4 additions."""

    def model(x: Tensor) -> Any:
        between = TWO[0](x)
        return {"first": between, "second": [TWO[1](between)], "again": between}

    assert count(model, torch.randn(5, 3), tracer=tracer) == Cost(macs=60 + 40 + 40, add=16 + 8 + 20)


@pytest.mark.parametrize("tracer", TRACERS)
def test_hooks_on_parameters(tracer: str) -> None:
    weight = nn.Parameter(torch.randn(3))
    weight.register_hook(lambda gradient: gradient * 2)
    assert count(lambda x: x * weight, torch.randn(5, 3), tracer=tracer) == Cost(mul=15 + 3, add=12)


@pytest.mark.parametrize("tracer", RECORDED)
def test_hooks_in_the_model(tracer: str) -> None:
    layer = nn.Linear(3, 4)

    def model(x: Tensor) -> Tensor:
        y = layer(x)
        y.register_hook(lambda gradient: gradient * 3)
        return y

    assert count(model, torch.randn(5, 3), tracer=tracer) == Cost(macs=60, mul=20, add=16)


@pytest.mark.parametrize("tracer", RECORDED)
def test_a_gradient_of_a_gradient(tracer: str) -> None:
    """A penalty: the model takes g = 2 x w itself, a node of the forward; its own gradient is another."""
    weight = nn.Parameter(torch.randn(4))

    def model(x: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad((x * x * weight).sum(), x, create_graph=True)
        return gradient.square().sum()

    x = torch.randn(4, requires_grad=True)
    cost = count_graph(model, x, backward=True, tracer=tracer)
    assert backward_of(cost).mul > 0
    assert [node.name for node in cost.nodes if node.target == "grad" and node.backward != Cost()]


@pytest.mark.parametrize("tracer", TRACERS)
def test_where_autograd_is_off_outside(tracer: str) -> None:
    with torch.no_grad():
        assert count(TWO, torch.randn(5, 3), tracer=tracer).macs == 140
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize("tracer", TRACERS)
def test_gradients_and_state_are_as_before(tracer: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model(torch.randn(5, 3)).sum().backward()
    state = {name: each.clone() for name, each in model.state_dict().items()}
    gradients = [(each.grad, each.grad.clone()) for each in model.parameters() if each.grad is not None]
    # What was there before is no part of the count: nothing is added to it.
    assert count(model, torch.randn(5, 3), tracer=tracer).macs == 60
    assert all(torch.equal(each, state[name]) for name, each in model.state_dict().items())
    for parameter, (gradient, values) in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is gradient
        assert torch.equal(gradient, values)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_gradient_from_before_is_none_that_an_optimizer_steps_on(tracer: str) -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x).detach()

    model = Detached()
    model.layer(torch.randn(5, 3)).sum().backward()
    cost = count_graph(model, torch.randn(5, 3), optimizer=torch.optim.SGD, tracer=tracer)
    assert cost.optimizer is not None
    assert cost.optimizer.cost == Cost()


def test_where_settings_of_torch_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its own tests do: a setting can only be changed for a time."""
    monkeypatch.setattr(torch.backends, "__allow_nonbracketed_mutation_flag", False)
    cost = count(nn.Linear(3, 4, bias=False), torch.randn(5, 3), tracer="recorded")
    assert (cost, torch.backends.mkldnn.enabled) == (Cost(macs=60), True)


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("tracer", TRACERS)
def test_where_autograd_looks_for_anomalies(tracer: str) -> None:
    with torch.autograd.set_detect_anomaly(True):
        assert count(nn.Linear(3, 4, bias=False), torch.randn(5, 3), tracer=tracer) == Cost(macs=60)
        assert torch.is_anomaly_enabled()


def test_without_data() -> None:
    with torch.device("meta"):
        model, x = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), torch.empty(5, 3)
    assert count(model, x).macs == 140


def test_values_that_are_known_without_data() -> None:
    """The lengths are asked for, on the device that the model is told."""

    def model(x: Tensor) -> Tensor:
        lengths = torch.tensor([1, 1, 2], device=x.device).unique_consecutive()
        return x[: int(lengths.sum())] * 2

    assert count(model, torch.empty(5, 3, device="meta", requires_grad=True)) == Cost(mul=9)


def test_mixed_precision() -> None:
    """A weight that is cast has a gradient that is cast back: the products are the same."""

    def model(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return TWO(x)

    assert {tracer: count(model, torch.randn(5, 3), tracer=tracer).macs for tracer in TRACERS} == dict.fromkeys(
        TRACERS, 140
    )


def test_vmap() -> None:
    weight = nn.Parameter(torch.randn(4, 3))
    for tracer in RECORDED:
        assert count(lambda x: torch.vmap(lambda row: weight @ row)(x), torch.randn(5, 3), tracer=tracer).macs == 60


@pytest.mark.parametrize("tracer", ["auto", "executed"])
def test_a_product_that_the_model_takes_with_a_jacobian(tracer: str) -> None:
    """With z = W x, the model returns W^T (cos(z) sin(z)): the gradient of W there, of what it multiplies, and of W in
    z are 12 macs each."""
    layer = nn.Linear(3, 4, bias=False)

    def model(x: Tensor) -> Tensor:
        out, product = torch.func.vjp(lambda x: layer(x).sin(), x)
        return product(out)[0]  # type: ignore[no-any-return]

    assert count(model, torch.randn(3), tracer=tracer).macs == 3 * 12
    with pytest.raises(DataNeededError):
        count(model, torch.randn(3), tracer="recorded")


def test_a_sparse_result() -> None:
    """Its gradient has an element for each that it stores, and so 12 are multiplied by 2."""
    cost = count(lambda x: (x * 2).to_sparse(), torch.rand(3, 4).add(1).requires_grad_())
    assert cost == Cost(mul=12)


def test_an_error_of_autograd_is_its_own() -> None:
    def model(x: Tensor) -> Tensor:
        y = TWO[0](x).sigmoid()
        y.mul_(2)
        return y

    for tracer in TRACERS:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            count(model, torch.randn(5, 3), tracer=tracer)


def test_it_is_not_there_unless_asked_for() -> None:
    cost = count_graph(TWO, torch.randn(5, 3))
    assert cost.backward is None
    assert cost.backward_flops is None
    assert cost.by_module()["0"].backward is None
    assert {node.backward for node in cost.nodes} == {None}
    assert {total.backward for total in cost.by_operator().values()} == {None}
    with pytest.raises(InputError, match=r"backward_\.\.\. are there after count_graph\(\.\.\., backward=True\)"):
        cost.table(columns=["name", "backward_flops"])


@torch.library.custom_op("fxcount_test::unknown_gradient", mutates_args=())
def unknown_gradient(g: Tensor) -> Tensor:
    return g * 2


@unknown_gradient.register_fake
def _(g: Tensor) -> Tensor:
    return torch.empty_like(g)


class Opaque(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return unknown_gradient(gradient)


@pytest.mark.parametrize("tracer", RECORDED)
def test_what_is_not_counted_is_said(tracer: str) -> None:
    x = torch.randn(5, 3, requires_grad=True)

    def model(x: Tensor) -> Any:
        return Opaque.apply(x)

    assert count_graph(model, x, backward=True, tracer=tracer).uncounted == {"fxcount_test.unknown_gradient": 1}
    with pytest.raises(UncountedError, match="unknown_gradient"):
        count_graph(model, x, backward=True, tracer=tracer, strict=True)


OPTIMIZERS: list[tuple[Callable[..., Any], dict[str, int]]] = [
    # p -= lr g
    (torch.optim.SGD, {"mul": 1, "add": 1}),
    # b = momentum b + g; p -= lr b
    (lambda ps: torch.optim.SGD(ps, momentum=0.9), {"mul": 2, "add": 2}),
    # m += (1 - b1) (g - m); v = b2 v + (1 - b2) g g; p -= step m / (sqrt(v) / c + eps)
    (torch.optim.Adam, {"mul": 5, "add": 5, "div": 2, "special": 1}),
    # and p *= 1 - lr wd
    (torch.optim.AdamW, {"mul": 6, "add": 5, "div": 2, "special": 1}),
    # s += g g; p -= lr g / (sqrt(s) + eps)
    (torch.optim.Adagrad, {"mul": 2, "add": 3, "div": 1, "special": 1}),
    # v = a v + (1 - a) g g; p -= lr g / (sqrt(v) + eps)
    (torch.optim.RMSprop, {"mul": 4, "add": 3, "div": 1, "special": 1}),
]


@pytest.mark.parametrize(("optimizer", "each"), OPTIMIZERS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_optimizer(optimizer: Callable[..., Any], each: dict[str, int], device: str) -> None:
    """Per element of the parameters that are trained: 10, those of the second layer."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).to(device)
    model[0].requires_grad_(False)
    cost = count_graph(model, torch.randn(5, 3, device=device), optimizer=optimizer)
    assert cost.optimizer_step == Cost(**{field: 10 * number for field, number in each.items()})
    assert backward_of(cost) == Cost(macs=40, add=8)


@pytest.mark.parametrize("name", ["Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD", "Adafactor"])
def test_other_optimizers(name: str) -> None:
    cost = count_graph(TWO, torch.randn(5, 3), optimizer=getattr(torch.optim, name))
    assert cost.optimizer is not None
    assert cost.optimizer.optimizer == name
    assert cost.optimizer_step != Cost()
    assert cost.uncounted == {}


def test_an_optimizer_that_asks_for_values() -> None:
    """Adafactor compares with the root mean square of its update: of parameters without data that is not known."""
    model = nn.Linear(3, 4, device="meta")
    with pytest.raises(DataNeededError):
        count_graph(model, torch.empty(5, 3), optimizer=torch.optim.Adafactor)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_an_error_of_an_optimizer_is_its_own(device: str) -> None:
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        count_graph(nn.Linear(3, 4, device=device), torch.empty(5, 3, device=device), optimizer=torch.optim.SparseAdam)


def test_a_step_in_inference_mode() -> None:
    model = nn.Linear(3, 4)
    with torch.inference_mode():
        assert count_graph(model, torch.zeros(5, 3), optimizer=torch.optim.SGD).optimizer_step == Cost(mul=16, add=16)


def test_muon() -> None:
    """Five steps of Newton and Schulz on [4, 3], taken as [3, 4]: X X^T, its square, and that times X."""
    cost = count_graph(
        nn.Linear(3, 4, bias=False), torch.randn(5, 3), optimizer=lambda ps: torch.optim.Muon(ps)
    ).optimizer_step
    assert cost is not None
    assert cost.macs == 5 * (3 * 3 * 4 + 3 * 3 * 3 + 3 * 3 * 4)


def test_sparse_gradients() -> None:
    """How many rows there are is known where the model runs on data."""
    model, x = nn.Embedding(10, 3, sparse=True), torch.randint(0, 10, (4,))
    with pytest.raises(DataNeededError, match="sparse gradients"):
        count_graph(model, x, optimizer=torch.optim.SparseAdam, tracer="recorded")
    steps = []
    for tracer in ("auto", "executed"):
        cost = count_graph(model, x, optimizer=torch.optim.SparseAdam, tracer=tracer)
        assert cost.tracer == "executed"
        steps.append(cost.optimizer_step)
    assert steps[0] == steps[1] != Cost()


def test_what_is_no_optimizer_is_refused() -> None:
    with pytest.raises(TracingError, match="LBFGS runs the model inside its step"):
        count_graph(TWO, torch.randn(5, 3), optimizer=torch.optim.LBFGS)
    with pytest.raises(InputError, match=r"must return a torch\.optim\.Optimizer, not list"):
        count_graph(TWO, torch.randn(5, 3), optimizer=list)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"a function of parameters, such as torch\.optim\.AdamW, not SGD"):
        count_graph(TWO, torch.randn(5, 3), optimizer=torch.optim.SGD(TWO.parameters()))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one of the parameters that it is given"):
        count_graph(TWO, torch.randn(5, 3), optimizer=lambda given: torch.optim.AdamW(TWO.parameters()))


def test_random_numbers_of_an_optimizer_are_its_own() -> None:
    before = torch.get_rng_state()
    count_graph(TWO, torch.randn(5, 3), optimizer=lambda given: (torch.randn(3), torch.optim.SGD(given))[1])
    torch.set_rng_state(before)
    torch.randn(5, 3)
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    count_graph(TWO, torch.randn(5, 3), optimizer=lambda given: (torch.randn(3), torch.optim.SGD(given))[1])
    assert torch.equal(torch.get_rng_state(), after)


def test_known_integers_beside_others() -> None:
    """``meshgrid`` wants all on one device; the first is known here, the other is made of floating-point numbers."""

    def model(x: Tensor) -> Tensor:
        rows, columns = torch.meshgrid(torch.arange(2), torch.linspace(0, 3, 3).long(), indexing="ij")
        return x[rows, columns] * 2

    # What is selected, 2 * 3 gradients, is added to where it was.
    assert count(model, torch.empty(5, 4, device="meta", requires_grad=True), tracer="recorded").mul == 6
