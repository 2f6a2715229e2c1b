"""Gradients of convolutions and matrix products together, as autograd calls them, against another counter."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.costing import cost_of, flops_of

meta = partial(torch.empty, device="meta")


def operators_of(function: Callable[[], Any]) -> list[tuple[Any, Any, Any]]:
    """The operators that autograd calls in ``function``, to be called again."""
    calls: list[tuple[Any, Any, Any]] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            calls.append((func, args, kwargs or {}))
            return func(*args, **(kwargs or {}))

    with Recorder():
        function()
    return calls


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(4, 6, 3, padding=1), (2, 4, 7, 5)),
        (nn.Conv1d(4, 6, 3, stride=2, dilation=2), (2, 4, 11)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 7, 5)),
        (nn.Linear(3, 7), (2, 5, 3)),
    ],
)
def test_a_backward_pass_has_the_macs_that_torch_counts(module: nn.Module, shape: tuple[int, ...]) -> None:
    module = module.to("meta")
    x = meta(*shape).requires_grad_()
    outputs = module(x)
    operands = [x, *module.parameters()]

    def backward() -> None:
        torch.autograd.grad(outputs, operands, torch.empty_like(outputs), retain_graph=True)

    replayed = sum(cost_of(func, *args, **kwargs).macs for func, args, kwargs in operators_of(backward))
    flops = flops_of(backward)
    assert 2 * replayed == flops > 0
