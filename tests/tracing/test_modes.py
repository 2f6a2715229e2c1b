"""Modes that a model sets while it runs: they see every call, and what they make of it is counted."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from fxcount import Cost, TracingError, count_graph

X = torch.randn(2, 4)


class FunctionsTwice(TorchFunctionMode):
    """Doubles what some functions return."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out * 2 if func in (torch.exp, torch.Tensor.exp, torch.Tensor.expand, nn.functional.linear) else out


class OperatorsTwice(TorchDispatchMode):
    """Doubles what some operators return."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out * 2 if func._opname in ("exp", "expand", "linear") else out


class Doubles(nn.Module):
    """Computes once plainly, and once under a mode."""

    def __init__(self, mode: type, function: Callable[["Doubles", Tensor], Tensor]) -> None:
        super().__init__()
        self.mode, self.function = mode, function
        self.token = nn.Parameter(torch.ones(1, 4))
        self.layer = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        plain = self.function(self, x)
        mode: AbstractContextManager[Any] = self.mode()
        with mode:
            return plain.relu() + self.function(self, x)


FUNCTIONS: dict[str, tuple[Callable[[Doubles, Tensor], Tensor], Cost]] = {
    "function": (lambda model, x: torch.exp(x), Cost(special=8)),
    "method": (lambda model, x: x.exp(), Cost(special=8)),
    "parameter": (lambda model, x: model.token.expand(x.shape[0], -1), Cost()),
    "module": (lambda model, x: model.layer(x), Cost(macs=2 * 16)),
}


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
@pytest.mark.parametrize("mode", [FunctionsTwice, OperatorsTwice])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_mode_makes_of_a_call_is_counted(name: str, mode: type, tracer: str) -> None:
    function, once = FUNCTIONS[name]
    for _ in range(2):  # the second time, what the calls cost without the mode is known
        cost = count_graph(Doubles(mode, function), X, tracer=tracer)
        assert cost.total == once + once + Cost(mul=8, cmp=8, add=8)


@pytest.mark.parametrize("mode", [FunctionsTwice, OperatorsTwice])
def test_a_mode_that_does_not_hear_of_proxies(mode: type) -> None:
    with pytest.raises(TracingError, match="a mode of the model's own"):
        count_graph(Doubles(mode, lambda model, x: x.exp()), X, tracer="symbolic")


class Special(Tensor):
    """Nothing but another class."""


class FunctionsSpecial(TorchFunctionMode):
    """Makes every result a `Special`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out.as_subclass(Special) if type(out) is Tensor else out


class AsksForClass(nn.Module):
    """Multiplies what is `Special` only."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            y = torch.relu(self.weight)
            x = y @ self.weight if type(y) is Special else y
        return x


class OperatorsSpecial(TorchDispatchMode):
    """The same, one level below."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out.as_subclass(Special) if type(out) is Tensor else out


@pytest.mark.parametrize("mode", [FunctionsSpecial, OperatorsSpecial])
@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_every_result_has_the_class_that_a_mode_around_the_count_gives_it(tracer: str, mode: type) -> None:
    model = AsksForClass()
    with mode():
        cost = count_graph(model, X, tracer=tracer)
    assert cost.total == Cost(macs=3 * 64, cmp=3 * 16)
