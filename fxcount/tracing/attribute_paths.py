"""`Attributes`: the names under which a graph refers to what belongs to the model, or is met while it runs."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from fxcount._torch import parameters_of
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.leaf_modules import is_leaf
from fxcount.tracing.module_states import ModuleStates


class Attributes:
    """Finds a module's or tensor's path by identity; what has none is given one outside the model.

    ``used`` holds what the graph's nodes name: path to module or tensor.
    """

    def __init__(self, model: CountedModel) -> None:
        self.used: dict[str, Any] = {}
        self._model = model
        self._paths: dict[int, str] = {}
        self._parameters: dict[str, nn.Parameter] = {**model.parameters}
        self._kept: list[Any] = []
        self.made: dict[int, nn.Parameter] = {}
        """The parameters that the run itself makes, by identity."""
        self._knows_attributes = False
        self._numbers: dict[str, Iterator[int]] = {}
        self.states = ModuleStates(model.modules.values())
        self._add(model.modules.items())
        self._add(model.named_tensors())
        if model.modules and is_leaf(model.modules[""], model.run):
            self._paths[id(model.run)] = "model"
            self._parameters.update((f"model.{name}", value) for name, value in model.parameters.items())

    def path_of(self, value: nn.Module | torch.Tensor) -> str:
        """The path of ``value`` in the model, the first one where it has several."""
        if id(value) not in self._paths:
            self._look_further(value)
        return self._paths[id(value)]

    def use(self, value: nn.Module | torch.Tensor) -> str:
        """The path of ``value``, which a node of the graph names."""
        path = self.path_of(value)
        self.used[path] = value
        return path

    def note_made(self, parameter: nn.Parameter) -> None:
        """A parameter that the run itself makes is none of the model's."""
        self.made[id(parameter)] = parameter

    def has_parameters_of(self, module: nn.Module) -> bool:
        """Whether a module's parameters are those that it has in the model, and not others put in their place."""
        path = self.path_of(module)
        parameters = [(f"{path}.{name}", value) for name, value in parameters_of(module).items() if value is not None]
        return all(self._parameters.get(name) is value for name, value in parameters)

    def _add(self, named: Iterable[tuple[str, Any]]) -> None:
        for path, value in named:
            self._paths.setdefault(id(value), path)

    def _look_further(self, value: nn.Module | torch.Tensor) -> None:
        """Finds a tensor among the plain attributes of the modules, or gives what is nowhere a path of its own."""
        if not self._knows_attributes:
            self._knows_attributes = True
            self._keep(plain_tensors(self._model.modules.items()))
        if id(value) not in self._paths:
            self._adopt(value)

    def _keep(self, named: Iterable[tuple[str, Any]]) -> None:
        """As ``_add``, of what may else be gone before the graph is made, and another be in its place."""
        kept = list(named)
        self._kept.append(kept)
        self._add(kept)

    def _adopt(self, value: nn.Module | torch.Tensor) -> None:
        if isinstance(value, nn.Module):
            modules = list(value.named_modules(prefix=self._unused(type(value).__name__.lower())))
            self._keep(modules)
            prefix = modules[0][0]
            parameters = list(value.named_parameters(prefix, remove_duplicate=False))
            self._parameters.update((name, each) for name, each in parameters if isinstance(each, nn.Parameter))
            self._keep((*parameters, *value.named_buffers(prefix), *plain_tensors(modules)))
        elif isinstance(value, nn.Parameter):
            self._keep([(self._name_for_now(value) or self._unused("_parameter"), value)])
        else:
            self._keep([(self._unused("_tensor_constant"), value)])

    def _name_for_now(self, value: nn.Parameter) -> str | None:
        """The name of the model's parameter in whose place ``value`` is while the model runs, as gathered ones are;
        None if there is none, or a node names it."""
        named = (
            (f"{path}.{name}" if path else name, each)
            for path, module in self._model.modules.items()
            for name, each in parameters_of(module).items()
        )
        name = next((name for name, each in named if each is value), None)
        return name if name in self._model.parameters and name not in self.used else None

    def _unused(self, stem: str) -> str:
        model = self._model
        taken = (model.modules, model.parameters, model.buffers, getattr(model.run, "__dict__", {}))
        numbers = self._numbers.setdefault(stem, itertools.count())
        names = (f"{stem}_{number}" for number in numbers)
        return next(name for name in names if not any(name in each for each in taken))


def plain_tensors(modules: Iterable[tuple[str, nn.Module]]) -> list[tuple[str, torch.Tensor]]:
    """The tensors that modules have as plain attributes, neither parameter nor buffer, by name."""
    return [
        (f"{path}.{name}" if path else name, value)
        for path, module in modules
        for name, value in vars(module).items()
        if isinstance(value, torch.Tensor)
    ]
