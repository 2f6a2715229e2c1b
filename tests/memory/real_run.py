"""What a real run on the CPU holds: its storages followed in the dispatcher, what autograd's hooks see, and what
torch's allocator hands out. Nothing here is of the package."""

from __future__ import annotations

import contextlib
import gc
import json
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Inputs = Mapping[str, Any] | tuple[Any, ...]


class Followed(TorchDispatchMode):
    """Adds up the storages that operators make, until each is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}
        self._ends: dict[int, Any] = {}

    def know(self, *tensors: Tensor) -> None:
        """These are there already."""
        for each in tensors:
            self._meet(each)

    def _meet(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        place = storage._cdata
        if place not in self._sizes:
            self._ends[place] = weakref.ref(storage, lambda gone: self._resize(place, 0))
        self._resize(place, storage.nbytes())

    def _resize(self, place: int, size: int) -> None:
        self.held += size - self._sizes.pop(place, 0)
        if size:
            self._sizes[place] = size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for each in tensors_in((args, out)):
            self._meet(each)
        self.peak = max(self.peak, self.held)
        return out


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a result, also in the caches of transformers."""
    for each in tree_leaves(value):
        if isinstance(each, Tensor):
            yield each
        elif hasattr(each, "__dict__") and not isinstance(each, nn.Module):
            yield from tensors_in([*vars(each).values()])


def call(model: nn.Module, inputs: Inputs) -> Any:
    return model(**inputs) if isinstance(inputs, Mapping) else model(*inputs)


def step(model: nn.Module, inputs: Inputs, optimizer: torch.optim.Optimizer | None) -> Any:
    """A call without gradients, or with an optimizer a step of training, whose outputs are given their gradients."""
    if optimizer is None:
        with torch.no_grad():
            return call(model, inputs)
    result = call(model, inputs)
    distinct = {id(each): each for each in tensors_in(result) if each.requires_grad}
    given = [torch.ones_like(each) for each in distinct.values()]
    torch.autograd.backward([*distinct.values()], given)
    del given
    optimizer.step()
    return result


def prepared(model: nn.Module, make: Callable[..., Any] | None) -> torch.optim.Optimizer | None:
    gc.collect()
    for parameter in model.parameters():
        parameter.grad = None
    torch.manual_seed(0)
    return make([each for each in model.parameters() if each.requires_grad]) if make else None


def state_of(optimizer: torch.optim.Optimizer | None) -> Iterator[Tensor]:
    """What an optimizer keeps from its start."""
    return tensors_in([] if optimizer is None else [*map(dict, optimizer.state.values())])


def followed_peak(model: nn.Module, inputs: Inputs, make: Callable[..., Any] | None = None) -> int:
    """The most bytes of storages at once, those that are there before included."""
    optimizer, mode = prepared(model, make), Followed()
    mode.know(*model.parameters(), *model.buffers(), *tensors_in(inputs), *state_of(optimizer))
    with mode:
        result = step(model, inputs, optimizer)
    del result
    return mode.peak


def followed_second_peak(model: nn.Module, inputs: Inputs, make: Callable[..., Any]) -> int:
    """As ``followed_peak``, of the second of two steps alone; it begins without gradients."""
    optimizer, mode = prepared(model, make), Followed()
    mode.know(*model.parameters(), *model.buffers(), *tensors_in(inputs), *state_of(optimizer))
    with mode:
        result = step(model, inputs, optimizer)
        del result
        optimizer.zero_grad()
        mode.peak = 0
        result = step(model, inputs, optimizer)
    del result
    return mode.peak


class DoesNothing(TorchDispatchMode):
    """Runs every operator as it is."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def allocated_peak(
    model: nn.Module, inputs: Inputs, make: Callable[..., Any] | None = None, *, watched: bool = False
) -> int:
    """The most bytes at once that torch's allocator has handed out since the start, as its profiler records it; with
    ``watched`` under a mode of the dispatcher that does nothing."""
    optimizer, mode = prepared(model, make), DoesNothing() if watched else contextlib.nullcontext()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler, mode:
        result = step(model, inputs, optimizer)
    del result
    with tempfile.TemporaryDirectory() as folder:
        profiler.export_chrome_trace(str(Path(folder) / "trace.json"))
        events = json.loads((Path(folder) / "trace.json").read_text())["traceEvents"]
    changes = sorted((each["ts"], each["args"]["Bytes"]) for each in events if each["name"] == "[memory]")
    held = peak = 0
    for _, size in changes:
        held += size
        peak = max(peak, held)
    return peak


def saved_bytes(model: nn.Module, inputs: Inputs) -> int:
    """The bytes of the distinct storages that hooks on saved tensors see, parameters apart."""
    prepared(model, None)
    parameters = {each.untyped_storage()._cdata for each in model.parameters()}
    seen: dict[int, Any] = {}

    def pack(tensor: Tensor) -> Tensor:
        seen[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        result = call(model, inputs)
    del result
    return sum(storage.nbytes() for place, storage in seen.items() if place not in parameters)
