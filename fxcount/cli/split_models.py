"""`--mesh`: a model split over a mesh of ranks: by transformers, after the plan that it has for it, and by torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from fxcount.errors import InputError

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

AXES = {"dp": "parameters are gathered layer by layer, by fully_shard", "tp": "layers are split after the plan"}
"""The axes that a mesh may have, and what is done over them."""


def parse_mesh(text: str) -> dict[str, int]:
    """The size of each axis, such as ``dp=16,tp=8``.

    Raises:
        InputError: the text is something else.
    """
    pairs = [part.partition("=") for part in text.replace(" ", "").split(",")]
    axes = {name: int(size) for name, _, size in pairs if name in AXES and size.isdecimal() and int(size) > 0}
    if len(axes) != len(pairs):
        known = "; ".join(f"over {name} {what}" for name, what in AXES.items())
        raise InputError(f"--mesh gives numbers of ranks, such as dp=16,tp=8, not {text!r}: {known}")
    return axes


@contextlib.contextmanager
def split_over(axes: Mapping[str, int], model: Any) -> Iterator[None]:
    """While it lasts, the model is split over a mesh of these axes, of which no device is there.

    Raises:
        InputError: it is no module, or has no plan, or one that cannot be carried out.
    """
    if not axes:
        yield
        return
    from fxcount.fake_mesh import fake_mesh  # not above: few split a model

    if not isinstance(model, nn.Module):
        raise InputError("a saved program is not split over a mesh: name the model")
    with fake_mesh([*axes.values()], [*axes]) as mesh:
        if axes.get("tp", 1) > 1:
            split_after_plan(model.to("meta"), mesh["tp"])  # some have numbers that are drawn when they are made
        if "dp" in axes:
            from torch.distributed.fsdp import fully_shard

            layers = set(getattr(model, "_no_split_modules", None) or ())
            for module in [each for each in model.modules() if type(each).__name__ in layers]:
                fully_shard(module, mesh=mesh["dp"])
            fully_shard(model, mesh=mesh["dp"])
        yield


def split_after_plan(model: Any, mesh: DeviceMesh) -> None:
    """Has transformers split its model over a mesh of one axis, after its plan, as it does before it loads weights.

    Raises:
        InputError: there is no plan, or transformers cannot carry it out.
    """
    name = type(model).__name__
    if not getattr(model, "tp_plan", None):
        raise InputError(f"{name} has no plan of how to split it over tp: those of transformers have one")
    try:
        asked = import_module("transformers.distributed").DistributedConfig(tp_size=mesh.size())
        _untie(model)
        model.maybe_distribute_model(model, asked, SimpleNamespace(get_mesh=lambda axes: mesh))
        model.tie_weights()
    except Exception as error:
        raise InputError(f"transformers does not split {name} over {mesh.size()} ranks of tp: {error}") from error


def _untie(model: nn.Module) -> None:
    """Each parameter that several modules share becomes one of each: they are split one by one, and tied again."""
    seen = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            if id(parameter) in seen:
                setattr(module, name, nn.Parameter(torch.empty_like(parameter), parameter.requires_grad))
            seen.add(id(parameter))
