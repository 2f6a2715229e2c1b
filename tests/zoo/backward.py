"""The backward pass of a model of the zoo, beside the one that autograd runs under torch's own flop counter."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from fxcount.tracing.example_call import ExampleCall
from tests.zoo.flop_counter import OtherContractions, TorchCount, taken_apart


class WithoutModules(contextlib.nullcontext[None]):
    """In the place of what tells a `FlopCounterMode` the module that runs, and sets hooks on gradients to know."""

    parents = frozenset({"Global"})


def convolution_backward(  # as torch calls it
    grad_out: Sequence[int],
    x: Sequence[int],
    w: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    groups: int,
    output_mask: Sequence[bool],
    out_shape: Any = None,
    **_: Any,
) -> int:
    """Torch's own forgets the groups in the gradient of the weight: each gradient is as large as the forward."""
    forward = prod(x if transposed else grad_out) * prod(w[1:])
    return 2 * forward * (output_mask[0] + output_mask[1])


def backward_as_torch_does(model: nn.Module, call: ExampleCall) -> TorchCount:
    """Runs the model with autograd at work, and the backward pass of all that it returns under a `FlopCounterMode`.

    Raises whatever the model raises when it cannot run.
    """
    with torch.enable_grad(), taken_apart():
        outputs = {id(each): each for each in differentiable(model(*call.args, **call.kwargs))}
        counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: mended})
        counter.mod_tracker = WithoutModules()
        with OtherContractions() as other, counter:
            if outputs:
                torch.autograd.backward([*outputs.values()], [torch.ones_like(each) for each in outputs.values()])
    model.zero_grad(set_to_none=True)
    other.otherwise.pop("aten.convolution_backward", None)
    return TorchCount("", counter.get_total_flops() // 2, dict(other.unknown), dict(other.otherwise))


def mended(*args: Any, **kwargs: Any) -> int:
    return convolution_backward(*args, **kwargs)


def differentiable(result: Any) -> list[torch.Tensor]:
    """The tensors that a model returns and that require a gradient."""
    return [each for each in tree_leaves(result) if isinstance(each, torch.Tensor) and each.requires_grad]
