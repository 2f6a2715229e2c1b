"""Which calls of functions of torch other tools see: those that look where the tools have replaced them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.functional import gelu
from torch.nn.utils import prune

from fxcount import GraphCost, InputError, count_graph

TOOLS = ("ptflops", "calflops")
TRACERS = pytest.mark.parametrize("tracer", ["symbolic", "recorded"])
ACTIVATIONS = {"relu": F.relu}
X = torch.randn(2, 8)


class Calls(nn.Module):
    """Calls a function with itself and its argument."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor], **attributes: Any) -> None:
        super().__init__()
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def counted(model: nn.Module, x: Tensor = X, tracer: str = "auto") -> GraphCost:
    return count_graph(model.eval(), (x,), tracer=tracer)


def of_both(cost: GraphCost) -> list[int]:
    return [int(cost.as_counted_by(tool)) for tool in TOOLS]


def of_default(module: nn.Module, x: Tensor, act: Any = F.relu) -> Tensor:
    return act(x)


def of_closure() -> Callable[[nn.Module, Tensor], Tensor]:
    act = F.relu
    return lambda module, x: act(x)


UNTOLD = [
    lambda module, x: ACTIVATIONS["relu"](x),
    lambda module, x: module.kept["relu"](x),
    of_default,
    of_closure(),
    lambda module, x: sum(map(F.relu, [x])),
    lambda module, x: reduce(torch.add, [x, x]),
    lambda module, x: [F.upsample][0](x[None], scale_factor=2),
]


@TRACERS
@pytest.mark.parametrize("function", UNTOLD)
@pytest.mark.parametrize("tool", TOOLS)
def test_a_function_that_was_looked_up_elsewhere_is_refused(function: Any, tool: str, tracer: str) -> None:
    cost = counted(Calls(function, kept=ACTIVATIONS), tracer=tracer)
    with pytest.raises(InputError, match=r"whether \w+, which replaces (relu|add|upsample) in torch, sees its call"):
        cost.as_counted_by(tool)


@TRACERS
def test_a_function_that_was_looked_up_in_torch_is_counted(tracer: str) -> None:
    cost = counted(
        Calls(
            lambda module, x: sum(
                F.relu(
                    nn.functional.gelu(F.relu(y, inplace=False))  # each of 16 elements, in the two tools alike
                    + torch.nn.functional.elu(*(y,))
                )
                for y in [x]
            )
        ),
        tracer=tracer,
    )
    assert of_both(cost) == [64, 64]


PARTIAL = partial(F.gelu, approximate="tanh")


@TRACERS
def test_a_function_under_a_name_of_its_own_is_not_replaced(tracer: str) -> None:
    assert of_both(counted(Calls(lambda module, x: F.relu(PARTIAL(gelu(x)))), tracer=tracer)) == [16, 16]


@TRACERS
def test_a_function_that_a_module_keeps_is_not_replaced(tracer: str) -> None:
    for kept in (F.gelu, PARTIAL):
        cost = counted(Calls(lambda module, x: module.gelu(F.gelu(x)), gelu=kept), tracer=tracer)
        assert of_both(cost) == [16, 16]


@TRACERS
def test_a_pool_that_returns_indices_is_the_pool(tracer: str) -> None:
    cost = counted(Calls(lambda module, x: F.max_pool2d(x, 2, return_indices=True)[0]), X[None], tracer)
    assert of_both(cost) == [16, 16]


@TRACERS
def test_an_upsampling_calls_an_interpolation(tracer: str) -> None:
    """Of 8 elements to 32: ptflops counts results and calflops arguments, each for both functions."""
    x = torch.randn(1, 2, 2, 2)
    assert of_both(counted(Calls(lambda module, x: F.upsample(x, scale_factor=2)), x, tracer)) == [64, 16]
    assert of_both(counted(Calls(lambda module, x: F.upsample_nearest(x, scale_factor=2)), x, tracer)) == [32, 8]


def test_a_graph_calls_by_name() -> None:
    model = fx.symbolic_trace(Calls(lambda module, x: F.relu(torch.add(x, 1).add(2))))
    assert of_both(counted(model)) == [48, 48]


@TRACERS
def test_what_hooks_of_a_layer_call(tracer: str) -> None:
    """A linear layer of 2 * 64 MACs and 16 biases, half of which ptflops counts, and a function of 16 elements."""
    before, after, method = (nn.Sequential(nn.Linear(8, 8)) for _ in range(3))
    before[0].register_forward_pre_hook(lambda module, args: (F.relu(args[0]),))
    after[0].register_forward_hook(lambda module, args, result: F.relu(result))
    method[0].register_forward_hook(lambda module, args, result: result.mul(2))
    for model in (before, after, method):
        cost = counted(model, tracer=tracer)
        assert of_both(cost) == [72 + 16, 256 + 16]
        assert int(cost.as_counted_by("thop")) == 128


@TRACERS
def test_a_hook_that_returns_something_else_is_refused(tracer: str) -> None:
    hooks: list[Callable[..., Any]] = [lambda module, args, result: result[0], lambda module, args, result: args[0]]
    for hook in hooks:
        model = nn.Sequential(nn.Linear(8, 8))
        model[0].register_forward_hook(hook)
        for tool in ("ptflops", "thop"):
            with pytest.raises(InputError, match="a hook of the layer '0' returns something else"):
                counted(model, tracer=tracer).as_counted_by(tool)


def test_a_hook_before_the_model_is_refused_for_calflops() -> None:
    model = Calls(lambda module, x: F.relu(x))
    model.register_forward_pre_hook(lambda module, args: (F.relu(args[0]),))
    assert int(counted(model).as_counted_by("ptflops")) == 32
    with pytest.raises(InputError, match="hooks before the call of the model"):
        counted(model).as_counted_by("calflops")


def test_hooks_of_torch_that_compute_a_weight() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    torch.nn.utils.spectral_norm(model[0])
    for tool in ("ptflops", "thop", "calflops"):
        with pytest.raises(InputError, match=r"the layer '0' \(Linear\) has hooks of torch"):
            counted(model).as_counted_by(tool)
    assert int(counted(model).as_counted_by("torchinfo")) == 2 * (64 * 8 + 8)  # once a step is 2 * 8 times to it
    pruned = nn.Sequential(nn.Linear(8, 8))
    prune.identity(pruned[0], "weight")
    with pytest.raises(InputError, match="is pruned"):
        counted(pruned).as_counted_by("torchinfo")


class Attention(nn.Module):
    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


def test_attention_to_more_than_the_keys() -> None:
    """2 steps of a batch of 1, 2 heads of 4 features: the keys that the layer adds ptflops does not see in it."""
    of_layer = 16 + 3 * 128 + 48 + 2 * (16 + 4 + 16) + 2 * 8 * 9
    x = torch.randn(2, 1, 8)
    for training in (False, True):
        counts = [
            count_graph(Attention(**options).train(training), (x,)).as_counted_by("ptflops")
            for options in ({}, {"add_bias_kv": True}, {"add_zero_attn": True})
        ]
        assert [int(count) for count in counts] == [
            of_layer // 2 + 2 * 2 * columns * (4 + 1 + 4) for columns in (2, 3, 3)
        ]


def test_functions_that_fvcore_sees_as_one_operator() -> None:
    functions: list[Callable[[nn.Module, Tensor], Tensor]] = [
        lambda module, x: torch.linalg.multi_dot([x, x, x]),
        lambda module, x: torch.chain_matmul(x, x),
        lambda module, x: torch.chain_matmul(x, x, x),
        lambda module, x: torch.linalg.matrix_power(x, 3),
        lambda module, x: x.matrix_power(3),
        lambda module, x: torch.tensordot(x, x, 1),
        lambda module, x: torch.cov(x),
        lambda module, x: torch.corrcoef(x),
        lambda module, x: x.clone().addmm_(x, x),
    ]
    for function in functions:
        assert int(counted(Calls(function), torch.randn(4, 4)).as_counted_by("fvcore")) == 0
    assert (
        int(counted(Calls(lambda module, x: torch.linalg.matmul(x, x)), torch.randn(4, 4)).as_counted_by("fvcore"))
        == 64
    )
    assert int(counted(Calls(functions[-1]), torch.randn(4, 4)).as_counted_by("torch")) == 0


def test_a_convolution_that_pads_before_it() -> None:
    for mode, expected in (("reflect", 100 * 18 * 9), ("zeros", 0)):
        model = nn.Sequential(nn.Conv2d(3, 6, 3, padding="same", padding_mode=mode))
        assert int(counted(model, torch.randn(1, 3, 10, 10)).as_counted_by("fvcore")) == expected


@fx.wrap
def softened(x: Tensor) -> Tensor:
    return F.softmax(x, dim=-1)


class Wrapped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return softened(x)


def test_a_function_that_is_one_node_is_refused() -> None:
    with pytest.raises(InputError, match="the function softened is one node"):
        counted(Wrapped(), torch.randn(3, 3), tracer="symbolic").as_counted_by("ptflops")
    assert int(counted(Wrapped(), torch.randn(3, 3), tracer="recorded").as_counted_by("ptflops")) == 9
