"""Activations and their gradients against the cost model: so much per element."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of, formula_cost
from tests.formulas.operands import OPERANDS

meta = partial(torch.empty, device="meta")
aten = torch.ops.aten
mul, add, div, cmp, special = (Cost(**{field: 1}) for field in ("mul", "add", "div", "cmp", "special"))

PER_ELEMENT: list[tuple[Cost, list[Callable[[Any], Any]]]] = [
    (cmp, [torch.relu, lambda x: F.threshold(x, 1, 0)]),
    (2 * cmp, [F.hardtanh, F.relu6, F.hardshrink]),
    # x - l above l, x + l below -l
    (2 * cmp + add, [F.softshrink]),
    (special, [torch.tanh]),
    (special + add + div, [torch.sigmoid, F.sigmoid, torch.special.expit]),
    (special + add + div + mul, [F.silu]),
    (2 * special + add, [F.logsigmoid, F.softplus]),
    (3 * mul + add + special, [F.gelu]),
    (6 * mul + 2 * add + special, [lambda x: F.gelu(x, approximate="tanh")]),
    (cmp + mul, [F.leaky_relu, lambda x: F.prelu(x, x.new_empty(1))]),
    (cmp + special + add + mul, [F.elu, F.celu, F.selu]),
    (add + 2 * cmp + div, [F.hardsigmoid]),
    (add + 2 * cmp + div + mul, [F.hardswish]),
    (3 * special + add + mul, [F.mish]),
]


@pytest.mark.parametrize("x", OPERANDS.values(), ids=OPERANDS)
@pytest.mark.parametrize(("per_element", "functions"), PER_ELEMENT, ids=[str(cost) for cost, _ in PER_ELEMENT])
def test_per_element(per_element: Cost, functions: list[Callable[[Any], Any]], x: Tensor) -> None:
    assert [cost_of(function, x) for function in functions] == [per_element * x.numel()] * len(functions)


x, out = meta(3, 5), meta(3, 5)

FORMS: dict[str, tuple[Cost, list[Callable[[], Any]]]] = {
    "relu": (
        cmp,
        [
            lambda: F.relu(x),
            lambda: F.relu(x.clone(), inplace=True),
            lambda: x.relu(),
            lambda: x.clone().relu_(),
            partial(nn.ReLU(), x),
            lambda: nn.ReLU(inplace=True)(x.clone()),
            lambda: torch.ops.aten.relu.out(x, out=out),
        ],
    ),
    "hardtanh": (
        2 * cmp,
        [
            lambda: F.hardtanh(x),
            lambda: F.hardtanh(x.clone(), inplace=True),
            partial(nn.Hardtanh(), x),
            partial(nn.ReLU6(), x),
            lambda: x.clamp(0, 6),
            lambda: x.clone().clamp_(0, 6),
            lambda: torch.clamp(x, 0, 6, out=out),
        ],
    ),
    "sigmoid": (
        special + add + div,
        [
            lambda: torch.sigmoid(x),
            lambda: x.sigmoid(),
            lambda: x.clone().sigmoid_(),
            partial(nn.Sigmoid(), x),
            lambda: torch.sigmoid(x, out=out),
        ],
    ),
    "silu": (
        special + add + div + mul,
        [
            lambda: F.silu(x),
            lambda: F.silu(x.clone(), inplace=True),
            partial(nn.SiLU(), x),
            lambda: x * torch.sigmoid(x),
        ],
    ),
    "gelu": (3 * mul + add + special, [lambda: F.gelu(x), partial(nn.GELU(), x), lambda: torch.ops.aten.gelu_(out)]),
    "elu": (
        cmp + special + add + mul,
        [lambda: F.elu(x), lambda: F.elu(x.clone(), inplace=True), partial(nn.ELU(), x), partial(nn.SELU(), x)],
    ),
}


@pytest.mark.parametrize(("per_element", "forms"), FORMS.values(), ids=FORMS)
def test_every_form_costs_the_same(per_element: Cost, forms: list[Callable[[], Any]]) -> None:
    assert [cost_of(form) for form in forms] == [15 * per_element] * len(forms)


def test_a_slope_for_each_channel() -> None:
    assert cost_of(F.prelu, meta(2, 3, 5), meta(3)) == 30 * (cmp + mul)


@pytest.mark.parametrize("training", [True, False])
def test_leaky_relu_with_a_random_slope(training: bool) -> None:
    assert cost_of(F.rrelu, meta(3, 5), training=training) == 15 * Cost(cmp=1, mul=1)


# Gradients, 15 elements

X = meta(3, 5)
BOOL = meta(3, 5, dtype=torch.bool)


@pytest.mark.parametrize(
    ("operator", "args", "per_element"),
    [
        (aten.sigmoid_backward, (X,), Cost(mul=2, add=1)),
        (aten.tanh_backward, (X,), Cost(mul=2, add=1)),
        (aten.threshold_backward, (X, 0), Cost(cmp=1)),
        (aten.hardtanh_backward, (X, -1, 1), Cost(cmp=2)),
        (aten.hardshrink_backward, (X, 0.5), Cost(cmp=2)),
        (aten.softshrink_backward, (X, 0.5), Cost(cmp=2)),
        (aten.hardsigmoid_backward, (X,), Cost(cmp=2, div=1)),
        (aten.hardswish_backward, (X,), Cost(cmp=2, div=1, add=1, mul=1)),
        (aten.leaky_relu_backward, (X, 0.1, False), Cost(cmp=1, mul=1)),
        (aten._prelu_kernel_backward, (X, meta(1, 5)), Cost(cmp=1, mul=2)),
        (aten.softplus_backward, (X, 1, 20), Cost(special=1, add=1, div=1, mul=1)),
        (aten.log_sigmoid_backward, (X, X), Cost(special=1, add=1, div=1, mul=1)),
        # a sigmoid (special, add, div), then 1 - s, x *, 1 +, s *, g *
        (aten.silu_backward, (X,), Cost(special=1, add=3, div=1, mul=3)),
        # softplus (2 special, add), tanh, sigmoid (special, add, div), then t t, 1 -, x s, *, t +, g *
        (aten.mish_backward, (X,), Cost(special=4, add=4, div=1, mul=4)),
        # c exp(x) g, or (y + c) g; celu and others with an input scale multiply once more
        (aten.elu_backward, (1, 1, 1, False, X), Cost(cmp=1, special=1, mul=2)),
        (aten.elu_backward, (1, 1, 1, True, X), Cost(cmp=1, add=1, mul=1)),
        (aten.elu_backward, (2, 1, 0.5, False, X), Cost(cmp=1, special=1, mul=3)),
        (aten.elu_backward, (2, 1, 0.5, True, X), Cost(cmp=1, add=1, mul=2)),
        # k x, erf, 1 +, 0.5 *; x x, -0.5 *, exp, c *; x *, +; g *
        (aten.gelu_backward, (X,), Cost(mul=7, add=2, special=2)),
        (aten.infinitely_differentiable_gelu_backward, (X,), Cost(mul=7, add=2, special=2)),
        (aten.logit_backward, (X,), Cost(mul=1, add=1, div=1)),
        (aten.logit_backward, (X, 0.1), Cost(mul=1, add=1, div=1, cmp=2)),
        (aten.rrelu_with_noise_backward, (X, X, 0.1, 0.3, True, False), Cost(mul=1)),
        (aten.rrelu_with_noise_backward, (X, X, 0.1, 0.3, False, False), Cost(mul=1, cmp=1)),
        (aten.native_dropout_backward, (BOOL, 2.0), Cost(mul=1)),
        (aten.native_dropout_backward, (BOOL, 1.0), Cost()),
        (aten.fake_quantize_per_tensor_affine_cachemask_backward, (BOOL,), Cost(mul=1)),
        (aten.fake_quantize_per_channel_affine_cachemask_backward, (BOOL,), Cost(mul=1)),
    ],
)
def test_gradients(operator: Any, args: tuple[Any, ...], per_element: Cost) -> None:
    assert cost_of(operator, X, *args) == 15 * per_element


def test_gradient_of_gelu_with_tanh() -> None:
    # x x, x *, b *, +, a *, tanh; 0.5 x, 1 +, 0.5 *; t t, 1 -; 3 a b x x, + a; two products, +; g *
    assert cost_of(aten.gelu_backward, X, X, approximate="tanh") == 15 * Cost(mul=12, add=5, special=1)


def test_writing_into_a_given_gradient_costs_the_same() -> None:
    assert cost_of(aten.silu_backward.grad_input, X, X, grad_input=meta(3, 5)) == cost_of(aten.silu_backward, X, X)
    assert cost_of(aten.tanh_backward.grad_input, X, X, grad_input=meta(3, 5)) == cost_of(aten.tanh_backward, X, X)


@pytest.mark.parametrize("x", [meta(()), meta(0, 5), meta(5, 3).t(), torch.ones(3, 5)])
def test_gradients_of_any_shape_and_device(x: Tensor) -> None:
    assert cost_of(aten.sigmoid_backward, x, x) == x.numel() * Cost(mul=2, add=1)


def test_complex_gradient() -> None:
    # 2 complex products (4 mul, 2 add each) and a complex subtraction (2 add)
    x = meta(3, 5, dtype=torch.complex64)
    assert cost_of(aten.tanh_backward, x, x) == 15 * Cost(mul=2 * 4, add=2 * 2 + 2)


def test_gated_linear_unit() -> None:
    """x [3, 10] has 15 gates."""
    x, half = meta(3, 10), X
    assert cost_of(aten.glu_backward, half, x, 1) == 15 * Cost(special=1, add=2, div=1, mul=3)
    assert formula_cost(aten.glu_jvp.default, half, x, x, 1) == 15 * Cost(special=1, add=3, div=1, mul=3)
    # sigmoid, u; y, e; dy: 2 mul, 1 add; dga: 2 mul, 1 add; dgb: 5 mul, 2 add
    args = (x, half, x, half, x, 1)
    assert formula_cost(aten.glu_backward_jvp.default, *args) == 15 * Cost(special=1, add=6, div=1, mul=11)
