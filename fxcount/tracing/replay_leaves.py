"""`ReplayLeaves`: what stands in a replay for the tensors that no node makes."""

import contextlib
from collections.abc import Iterator, Mapping, MutableMapping
from itertools import chain
from typing import Any

import torch
from torch import nn

from fxcount._torch import (
    buffers_of,
    hooks_after_gradient,
    hooks_on_gradient,
    is_transformed,
    no_dispatch_modes,
    parameters_of,
)
from fxcount.engine.refusals import refused
from fxcount.engine.without_data import WithoutData
from fxcount.errors import NO_VALUES, DataNeededError
from fxcount.tracing.autocast import AsOn
from fxcount.tracing.counted_model import CountedModel


class ReplayLeaves:
    """Inputs, parameters, buffers and other tensors, each as one of the same shape that requires a gradient as it
    does."""

    def __init__(self, counter: WithoutData, model: CountedModel) -> None:
        self._counter = counter
        self._model = model
        self._leaves: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._inputs: dict[int, torch.Tensor] = {}
        self.gradients: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        """Those that leaves had before, each with the gradient that it stands for, by its identity."""
        self.as_on: AsOn | None = None
        """Shows tensors as those of the model's device, which autocast asks for."""

    def input(self, represented: torch.Tensor, given: torch.Tensor) -> None:
        """An input as the model gets it stands for the tensor that was given."""
        self._inputs[id(represented)] = given

    def take_inputs(self, other: "ReplayLeaves") -> None:
        """The same inputs as another replay of the run."""
        self._inputs = other._inputs

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """What stands for ``tensor``, the same each time."""
        if id(tensor) not in self._leaves:
            self._leaves[id(tensor)] = (tensor, self._new(tensor, self._inputs.get(id(tensor), tensor)))
        return self._leaves[id(tensor)][1]

    def known(self, tensor: torch.Tensor) -> torch.Tensor:
        """What stands for ``tensor`` if anything does by now, else itself."""
        return self._leaves.get(id(tensor), (tensor, tensor))[1]

    def _new(self, tensor: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        if is_transformed(tensor):
            return tensor
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return self._counter.without_gradient(tensor)
        leaf = self._stand_in(tensor)
        if isinstance(given, nn.Parameter):
            leaf = nn.Parameter(leaf, given.requires_grad)
        leaf.requires_grad_(given.requires_grad)
        if given.is_leaf and given.grad is not None:
            leaf.grad = self._stand_in(given.grad)
            self.gradients[id(leaf.grad)] = (leaf.grad, given.grad)
        if given.is_leaf and hooks_after_gradient(given):
            raise refused(DataNeededError(f"a hook that gets a parameter when its gradient is there {NO_VALUES}"))
        return as_leaf_of(given, leaf)

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        with no_dispatch_modes():  # it is no work of the model
            made = self._counter.represent(tensor)
        return made if self.as_on is None else self.as_on.show(made)

    @contextlib.contextmanager
    def in_place(self, used: Mapping[str, Any]) -> Iterator[None]:
        """While it lasts, the modules of the model, and others that a graph has ``used``, have the leaves as parameters
        and buffers."""
        places = [place for module in self._modules(used) for place in (parameters_of(module), buffers_of(module))]
        before = [dict(place.items()) for place in places]
        for place, held in zip(places, before, strict=True):
            _put(place, {name: self.of(each) for name, each in held.items() if each is not None})
        try:
            yield
        finally:
            for place, held in zip(places, before, strict=True):
                _put(place, held)

    def _modules(self, used: Mapping[str, Any]) -> Iterator[nn.Module]:
        seen = set()
        modules = [value.modules() for value in used.values() if isinstance(value, nn.Module)]
        for module in (*self._model.modules.values(), *chain.from_iterable(modules)):
            if id(module) not in seen:
                seen.add(id(module))
                yield module


def as_leaf_of(given: torch.Tensor, leaf: torch.Tensor) -> torch.Tensor:
    """``leaf`` with the hooks of ``given``; what is no leaf, and so may be written to, if ``given`` is none."""
    if not given.requires_grad:
        return leaf
    made = leaf if given.is_leaf else leaf.clone()
    for hook in (hooks_on_gradient(given) or {}).values():
        made.register_hook(hook)
    return made


def _put(place: MutableMapping[str, Any], held: Mapping[str, torch.Tensor | None]) -> None:
    for name, tensor in held.items():
        place[name] = tensor  # the tensors of a script are in no dict that has update()
