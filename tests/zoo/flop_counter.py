"""The same model under torch's own flop counter, and what that does not know."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from fxcount.engine.counting_context import counting
from fxcount.formulas import find_formula, operator_name
from fxcount.tracing.example_call import ExampleCall


@dataclass(frozen=True)
class TorchCount:
    """What `FlopCounterMode` makes of a model."""

    ran_on: str
    """The key of `RUNS` under which the model ran."""
    macs: int
    """Half of its flops."""
    unknown: Mapping[str, int]
    """The contractions among the operators that it meets and counts as 0, to their macs by our formulas."""
    otherwise: Mapping[str, int]
    """The operators that it counts by another rule than our formulas, to how many macs more these find."""


class OtherContractions(TorchDispatchMode):
    """Entered before a `FlopCounterMode`, it sees the operators that are left when that has taken composites apart."""

    def __init__(self) -> None:
        super().__init__()
        self.unknown: Counter[str] = Counter()
        self.otherwise: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if isinstance(func, torch._ops.OpOverload):
            formula, theirs = find_formula(func), flop_registry.get(func._overloadpacket)
            macs = formula(args, kwargs, out).cost.macs if formula else 0
            if not theirs and macs:
                self.unknown[operator_name(func)] += macs
            elif theirs and (more := macs - theirs(*args, **kwargs, out_val=out) // 2):
                self.otherwise[operator_name(func)] += more
        return out


def on_meta(model: nn.Module, call: ExampleCall) -> Any:
    return on_data(model, without_mask(model, call))


def without_mask(model: nn.Module, call: ExampleCall) -> ExampleCall:
    """The call on meta tensors. Texts of the zoo have no padding, so the mask that says so, whose values transformers
    asks for, is left out."""
    others = ExampleCall(call.args, {name: x for name, x in call.kwargs.items() if name != "attention_mask"})
    return others.replace_tensors(lambda _, tensor: tensor.to("meta"), model.forward)


def on_data(model: nn.Module, call: ExampleCall) -> Any:
    with torch.no_grad():
        return model(*call.args, **call.kwargs)


RUNS: dict[str, Callable[[nn.Module, ExampleCall], Any]] = {
    "meta tensors": on_meta,
    "shapes and known values": on_data,
    "data": on_data,
}
"""How a model is run for `FlopCounterMode`: the first that can. The second is for models that ask for values, such as
those of a mask: every operator that it counts is then run by `fxcount.engine.counter.WithoutData`."""


@contextlib.contextmanager
def taken_apart() -> Iterator[None]:
    """On data no operator runs that only the CPU has and FlopCounterMode does not know: of attention, layers, LSTMs."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def count_as_torch_does(model: nn.Module, example: Any) -> TorchCount:
    """Runs the model under a `FlopCounterMode`, without data if the model has none.

    Raises whatever the model raises when it cannot run.
    """
    call = ExampleCall.of(example)
    with frozen(model):
        if not any(parameter.is_meta for parameter in model.parameters()):
            return count_run("data", model, call, taken_apart())
        try:
            return count_run("meta tensors", model, call, contextlib.nullcontext())
        except Exception:
            return count_run("shapes and known values", model, call, counting())


@contextlib.contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """While it lasts, no parameter requires a gradient: FlopCounterMode's module tracker wants gradient functions."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_()


def count_run(
    ran_on: str, model: nn.Module, call: ExampleCall, beneath: contextlib.AbstractContextManager[Any]
) -> TorchCount:
    with beneath, OtherContractions() as other, FlopCounterMode(display=False) as counter:
        RUNS[ran_on](model, call)
    return TorchCount(ran_on, counter.get_total_flops() // 2, dict(other.unknown), dict(other.otherwise))
