"""A graph that lacks how a tensor was made says so; one that has it computes what the model computes elsewhere."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from fxcount import Cost, count_graph


class Wrapper(Tensor):
    """Computes with the tensor that it wraps."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Wrapper":
        made = Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, device=inner.device)
        made.inner = inner
        return made

    def __init__(self, inner: Tensor) -> None:
        pass

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return cls(func(*(each.inner if isinstance(each, cls) else each for each in args), **(kwargs or {})))


def gradient_that_a_hook_keeps(x: Tensor) -> Tensor:
    kept: list[Tensor] = []
    y = x * 2
    y.register_hook(kept.append)
    torch.autograd.grad(y.sum(), x)
    return kept[0] * 3


def wrapped(x: Tensor) -> Tensor:
    return (Wrapper(x) * 2 + 1).inner


@pytest.mark.parametrize("tracer", ["recorded", "executed", "auto"])
@pytest.mark.parametrize(
    ("model", "expected"),
    [(gradient_that_a_hook_keeps, Cost(mul=48, add=15)), (wrapped, Cost(mul=16, add=16))],
    ids=["a gradient", "a wrapper"],
)
def test_how_a_tensor_was_made_is_not_in_the_graph(model: Callable[..., Any], expected: Cost, tracer: str) -> None:
    """The costs are right all the same."""
    cost = count_graph(model, torch.randn(4, 4, requires_grad=model is not wrapped), tracer=tracer)
    assert cost.total == expected
    with pytest.warns(UserWarning, match="does not compute what the model computes: _tensor_constant_0"):
        assert cost.graph is not None


ONES = torch.ones(4)

COMPLETE: dict[str, Callable[[Tensor], Tensor]] = {
    "a tensor of before": lambda x: x + ONES,
    "one of numpy": lambda x: x + torch.from_numpy(numpy.ones(4, dtype=numpy.float32)),
    "numbers": lambda x: x + torch.tensor([1.0, 2.0, 3.0, 4.0]),
    "positions": lambda x: x[torch.arange(3)],
    "a gradient": lambda x: torch.autograd.grad((x**2).sum(), x)[0] * 3,
    "a vmap": lambda x: torch.vmap(lambda row: row * row.sum())(x),
}


@pytest.mark.parametrize("tracer", ["recorded", "executed", "auto"])
@pytest.mark.parametrize("name", COMPLETE)
def test_all_of_it_is_in_the_graph(name: str, tracer: str) -> None:
    model = COMPLETE[name]
    cost = count_graph(model, torch.randn(4, 4, requires_grad=True), tracer=tracer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = cost.graph
    x = torch.randn(4, 4, requires_grad=True)
    torch.testing.assert_close(graph(x), model(x))
