"""The backward pass of a model of the zoo, beside the one that autograd runs under torch's own flop counter."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fxcount import Cost, GraphCost, count_graph
from fxcount.engine.counting_context import counting
from fxcount.engine.without_data import WithoutData
from fxcount.tracing.backward_pass import returned_tensors
from fxcount.tracing.example_call import ExampleCall
from tests.zoo.flop_counter import OtherContractions, TorchCount, taken_apart, without_mask


class WithoutModules(contextlib.nullcontext[None]):
    """In the place of what tells a `FlopCounterMode` the module that runs, and sets hooks on gradients to know."""

    parents = frozenset({"Global"})


def convolution_backward(grad_out: Any, x: Any, w: Any, *args: Any, **kwargs: Any) -> int:
    """Torch's own forgets the groups in the gradient of the weight: each gradient is as large as the forward."""
    transposed, output_mask = args[4], args[7]
    return int(2 * prod(x if transposed else grad_out) * prod(w[1:]) * (output_mask[0] + output_mask[1]))


MENDED = {torch.ops.aten.convolution_backward: convolution_backward}


@contextlib.contextmanager
def known_values() -> Iterator[None]:
    """Every operator is run without data, but for values that are known, such as those of a mask."""
    counter = WithoutData()
    counter.differentiates = True
    with counting(counter, autograd=True):
        yield


RUNS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "meta tensors": contextlib.nullcontext,
    "shapes and known values": known_values,
}
"""How a model without data is run: the first that can."""


def backward_as_torch_does(model: nn.Module, call: ExampleCall) -> TorchCount:
    """Runs the model with autograd at work, and the backward pass of all that it returns under a `FlopCounterMode`.

    Raises whatever the model raises when it cannot run.
    """
    if not any(parameter.is_meta for parameter in model.parameters()):
        return _run("data", model, call, contextlib.nullcontext())
    leave_out_data(model)
    try:
        return _run("meta tensors", model, without_mask(model, call), contextlib.nullcontext())
    except Exception:
        return _run("shapes and known values", model, call, known_values())


def leave_out_data(model: nn.Module) -> None:
    """Parameters that a library has made with data, whatever device it was asked for, lose it, as the others have
    none: autograd wants gradients where the parameters are."""
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.is_meta:
                made.setdefault(id(parameter), nn.Parameter(parameter.to("meta"), parameter.requires_grad))
                module.register_parameter(name, made[id(parameter)])


def _run(
    ran_on: str, model: nn.Module, call: ExampleCall, beneath: contextlib.AbstractContextManager[None]
) -> TorchCount:
    torch.manual_seed(0)
    with torch.enable_grad(), taken_apart(), beneath:
        outputs = {id(each): each for each in differentiable(model(*call.args, **call.kwargs))}
        counter = FlopCounterMode(display=False, custom_mapping=MENDED)
        counter.mod_tracker = WithoutModules()  # type: ignore[assignment]
        with OtherContractions() as other, counter:
            if outputs:
                torch.autograd.backward([*outputs.values()], [torch.ones_like(each) for each in outputs.values()])
    model.zero_grad(set_to_none=True)
    other.otherwise.pop("aten.convolution_backward", None)  # which is mended
    return TorchCount(ran_on, counter.get_total_flops() // 2, dict(other.unknown), dict(other.otherwise))


def differentiable(result: Any) -> list[torch.Tensor]:
    """The tensors that a model returns, also in objects such as a cache, and that require a gradient."""
    return [each for each in returned_tensors(result) if each.requires_grad]


def taken_inside(model: nn.Module, example: Any) -> Cost:
    """What the backward pass costs as a part of the forward of a model that takes it itself: one call of torch."""
    call = ExampleCall.of(example)

    def taking(*args: Any, **kwargs: Any) -> None:
        outputs = {id(each): each for each in differentiable(model(*args, **kwargs))}
        if outputs:
            torch.autograd.backward([*outputs.values()], [torch.ones_like(each) for each in outputs.values()])

    cost: GraphCost = count_graph(taking, call.args, call.kwargs, tracer="recorded")
    ran = (call for node in cost.nodes for call in node.operators if call.phase == "backward")
    return sum((call.cost for call in ran), Cost())
