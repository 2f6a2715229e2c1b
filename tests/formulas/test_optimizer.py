"""A fused optimizer step costs what it costs operator by operator."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fxcount.cost import Cost, total_cost
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.counting_context import counting
from tests.costing import formula_cost as priced
from tests.optional import optional

SHAPES = ((3, 5), (7,))
E = 3 * 5 + 7
ADAM = Cost(mul=5 * E, add=5 * E, div=2 * E, special=E)
SGD = Cost(mul=E, add=E)
ADAGRAD = Cost(mul=2 * E, add=3 * E, div=E, special=E)


def step_cost(optimizer: Callable[..., Any], **settings: Any) -> Cost:
    """What the second step costs, with all state in place."""
    params = [torch.rand(shape).requires_grad_() for shape in SHAPES]
    made = optimizer(params, **settings)
    for param in params:
        param.grad = torch.rand(param.shape)
    made.step()
    with counting(OperatorCounter()) as counter:
        made.step()
    assert not [call.name for call in counter.calls if call.uncounted]
    return total_cost(call.cost for call in counter.calls)


@pytest.mark.parametrize(
    ("optimizer", "settings", "cost"),
    [
        (torch.optim.Adam, {}, ADAM),
        (torch.optim.Adam, {"weight_decay": 0.1, "amsgrad": True}, ADAM + Cost(mul=E, add=E, cmp=E)),
        (torch.optim.Adam, {"maximize": True}, ADAM + Cost(cmp=E)),
        (torch.optim.AdamW, {"weight_decay": 0.0}, ADAM),
        (torch.optim.AdamW, {"weight_decay": 0.1}, ADAM + Cost(mul=E)),
        (torch.optim.SGD, {}, SGD),
        (torch.optim.SGD, {"weight_decay": 0.1}, SGD + Cost(mul=E, add=E)),
        (torch.optim.SGD, {"momentum": 0.9}, SGD + Cost(mul=E, add=E)),
        (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.1}, SGD + Cost(mul=2 * E, add=E)),
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, SGD + Cost(mul=2 * E, add=2 * E)),
        (torch.optim.SGD, {"maximize": True}, SGD + Cost(cmp=E)),
        (torch.optim.Adagrad, {}, ADAGRAD),
        (torch.optim.Adagrad, {"weight_decay": 0.1}, ADAGRAD + Cost(mul=E, add=E)),
        (torch.optim.Adagrad, {"maximize": True}, ADAGRAD + Cost(cmp=E)),
    ],
)
def test_step(optimizer: Callable[..., Any], settings: dict[str, Any], cost: Cost) -> None:
    counters = 0 if optimizer is torch.optim.SGD else len(SHAPES)  # one operator of its own adds to all of them
    for kind in ({"fused": True}, {"foreach": True}, {"foreach": False}):
        assert step_cost(optimizer, lr=0.1, **kind, **settings) == cost + Cost(add=counters)


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


aten = torch.ops.aten
LISTS = [meta(*shape) for shape in SHAPES]


def test_first_step_keeps_the_gradient() -> None:
    settings = {"momentum": 0.9, "dampening": 0.0, "nesterov": False, "maximize": False, "is_first_step": True}
    sgd = aten._fused_sgd_.default
    assert priced(sgd, LISTS, LISTS, LISTS, weight_decay=0.0, lr=0.1, **settings) == SGD


def test_scaled_gradients_are_divided() -> None:
    settings = {"weight_decay": 0.0, "maximize": False, "grad_scale": meta()}
    assert priced(aten._fused_adam_.default, *[LISTS] * 6, amsgrad=False, **settings) == ADAM + Cost(div=E)
    assert priced(aten._fused_adagrad_.default, *[LISTS] * 4, **settings) == ADAGRAD + Cost(div=E)
    plain = {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "is_first_step": False}
    assert priced(aten._fused_sgd_.default, LISTS, LISTS, [], **plain, **settings) == SGD + Cost(div=E)


def test_a_gradient_is_added_to_the_one_before() -> None:
    accumulate = torch.ops.inductor.accumulate_grad_.default
    assert priced(accumulate, meta(3, 5), meta(3, 5), meta(3, 5)) == Cost(add=15)


def test_gradient_scaling() -> None:
    assert priced(aten._amp_foreach_non_finite_check_and_unscale_.default, LISTS, meta(1), meta(1)) == Cost(
        mul=E, cmp=E
    )
    assert priced(aten._amp_update_scale_.default, meta(1), meta(1), meta(1), 2.0, 0.5, 2000) == Cost(mul=1, cmp=1)


def test_nothing_to_step() -> None:
    settings = {"weight_decay": 0.1, "amsgrad": True, "maximize": True}
    assert priced(aten._fused_adam_.default, *[[]] * 6, **settings) == Cost()


@pytest.mark.parametrize(
    ("function", "cost"),
    [
        (lambda x: torch._foreach_norm(x), Cost(mul=E, add=E - 2, special=2)),
        (lambda x: torch._foreach_norm(x, 1), Cost(cmp=E, add=E - 2)),
        (lambda x: optional("ops.aten._foreach_powsum.Scalar")(x), Cost(mul=E, add=E - 2)),
        (lambda x: torch._foreach_max(x), Cost(cmp=E - 2)),
        (lambda x: torch._foreach_add(x, x, alpha=2), Cost(add=E, mul=E)),
        (lambda x: torch._foreach_add(x, [1.0, 2.0]), Cost(add=E)),
        (lambda x: torch._foreach_addcmul(x, x, x, [1.0, 2.0]), Cost(mul=E + 7, add=E)),
        (lambda x: torch._foreach_addcdiv(x, x, x, value=2), Cost(div=E, add=E, mul=E)),
        (lambda x: torch._foreach_lerp(x, x, 0.5), Cost(add=2 * E, mul=E)),
        (lambda x: torch._foreach_pow(x, 2), Cost(mul=E)),
        (lambda x: torch._foreach_copy_(x, x), Cost()),
        (lambda x: torch._foreach_zero_(x), Cost()),
        (lambda x: optional("ops.aten._foreach_clone.default")(x), Cost()),
        (lambda x: torch._foreach_div_(x, 2.0), Cost(div=E)),
    ],
)
def test_foreach_is_each_operator_on_each_tensor(function: Callable[..., Any], cost: Cost) -> None:
    with counting() as counter:
        function([meta(*shape) for shape in SHAPES])
    assert not [call.name for call in counter.calls if call.uncounted]
    assert total_cost(call.cost for call in counter.calls) == cost


def test_foreach_mm() -> None:
    products = optional("ops.aten._foreach_mm.default")
    pairs = ([meta(2, 3), meta(5, 7)], [meta(3, 4), meta(7, 1)])
    assert priced(products, *pairs, out=[meta(2, 4), meta(5, 1)]) == Cost(macs=2 * 3 * 4 + 5 * 7)
