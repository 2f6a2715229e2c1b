"""`count_step`: one call of a model, or a step of its training, on a device: arithmetic, bytes, memory and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from fxcount.analyses.device import Device
from fxcount.analyses.devices import device_named
from fxcount.analyses.step import StepRecord
from fxcount.count import count_graph
from fxcount.engine.optimizer_step import MakeOptimizer
from fxcount.errors import InputError
from fxcount.memory import count_memory
from fxcount.tracing.example_call import ExampleCall
from fxcount.views.step_table import step_table, step_to_dict, step_to_json
from fxcount.views.terminal import terminal_width


class StepCost(StepRecord):
    """What a step takes; ``print`` shows it as a table."""

    def __str__(self) -> str:
        return step_table(self, width=terminal_width())

    def __repr__(self) -> str:
        return f"StepCost({self.items} {self.item} of {self.cost.modules[''].kind} on {self.device.name})"

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto">\n{step_table(self, format="html")}\n</div>'

    # The functions of the views, whose first argument is the record.
    table = step_table
    to_dict = step_to_dict
    to_json = step_to_json


def count_step(
    model: Callable[..., Any],
    example_input: Any,
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    device: str | Device,
    backward: bool = False,
    optimizer: MakeOptimizer | None = None,
    measured: float | None = None,
) -> StepCost:
    """What one call of ``model`` on ``example_input`` takes on a device, or a step of training: what it computes and
    moves in each pass, how long that takes at best, what it holds in memory, and whether that fits.

    Args:
        model: as for `count_graph`.
        example_input: as for `count_graph`.
        example_kwargs: as for `count_graph`.
        device: the name of a device, or a `Device`.
        backward: the backward pass too.
        optimizer: the backward pass, and a step of the optimizer that this makes of parameters, such as
            ``torch.optim.AdamW``.
        measured: the seconds that a step took, for model FLOPs utilisation.

    Returns:
        The times and the memory; ``print`` shows them.

    Raises:
        InputError: the device is unknown, or the measured time not positive.

    What `count_graph` and `count_memory` raise is raised here too, and an error of the model itself as it is.
    """
    known = device_named(device)
    if measured is not None and not 0 < measured < math.inf:
        raise InputError(f"a measured time is positive, not {measured}")
    backward = backward or optimizer is not None
    cost = count_graph(model, example_input, example_kwargs, backward=backward, optimizer=optimizer)
    memory = count_memory(model, example_input, example_kwargs, backward=backward, optimizer=optimizer)
    given = ExampleCall.of(example_input, example_kwargs).tensors()
    first = next((each for each in given if each.dim()), None)
    is_ids = first is not None and first.dtype in (torch.int64, torch.int32)
    return StepCost(
        cost=cost,
        memory=memory,
        device=known,
        dtype=dtype_of(model),
        items=1 if first is None else first.numel() if is_ids else first.shape[0],
        item="tokens" if is_ids else "samples",
        measured=measured,
    )


def dtype_of(model: Any) -> torch.dtype:
    """The dtype of a model's first parameter that is no integer, or the default one."""
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    return next((each.dtype for each in parameters if each.is_floating_point()), torch.get_default_dtype())
