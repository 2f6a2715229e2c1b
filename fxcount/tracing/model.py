"""The model as something that can be called: what is not ready to run is refused, what wraps a module is opened;
and where it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from fxcount.errors import InputError
from fxcount.tracing.call import ExampleCall


def runnable(model: Any) -> Callable[..., Any]:
    """``model`` itself, or the module of an exported program or inside a distributed one.

    Raises:
        InputError: the model cannot be called, or has lazy modules that are not initialised.
    """
    if isinstance(model, torch.export.ExportedProgram):
        return model.module()
    if isinstance(model, nn.parallel.DistributedDataParallel):
        model = model.module
    if not callable(model):
        raise InputError(f"the model must be callable, not {type(model).__name__}")
    if isinstance(model, nn.Module) and any(map(is_lazy, (*model.parameters(), *model.buffers()))):
        named = (*model.named_parameters(), *model.named_buffers())
        name = next(name for name, value in named if is_lazy(value))
        raise InputError(f"{name} is not initialised yet: run the model once, so that lazy modules know sizes")
    return model  # type: ignore[no-any-return]


def device_of(model: Callable[..., Any], call: ExampleCall) -> torch.device:
    """The device that the model runs on: of its first parameter, else of the first input."""
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    first = next(parameters, None)
    return next((tensor.device for tensor in (first, *call.tensors()) if tensor is not None), torch.device("cpu"))
