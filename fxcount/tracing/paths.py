"""`Attributes`: the names under which a graph refers to what belongs to the model, or is met while it runs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fxcount.tracing.leaf import is_leaf


class Attributes:
    """Finds a module's or tensor's path by identity; what has none is given one outside the model.

    ``used`` holds what the graph's nodes name: path to module or tensor.
    """

    def __init__(self, model: Any) -> None:
        self.used: dict[str, Any] = {}
        self._paths: dict[int, str] = {}
        self._kept: list[Any] = []
        if isinstance(model, nn.Module):
            self._add("", model)
            if is_leaf(model, model):
                self._paths[id(model)] = "model"

    def path_of(self, value: nn.Module | torch.Tensor) -> str:
        """The path of ``value`` in the model, the first one where it has several."""
        if id(value) not in self._paths:
            self._adopt(value)
        return self._paths[id(value)]

    def use(self, value: nn.Module | torch.Tensor) -> str:
        """The path of ``value``, which a node of the graph names."""
        path = self.path_of(value)
        self.used[path] = value
        return path

    def has_parameters_of(self, module: nn.Module) -> bool:
        """Whether a module's parameters are those that it has in the model, and not others put in their place."""
        parameters = [value for value in module._parameters.values() if value is not None]
        return all(isinstance(value, nn.Parameter) and id(value) in self._paths for value in parameters)

    def _add(self, prefix: str, module: nn.Module) -> None:
        for path, submodule in module.named_modules(prefix=prefix):
            self._paths.setdefault(id(submodule), path)
            for name, value in (*submodule._parameters.items(), *submodule._buffers.items(), *vars(submodule).items()):
                if isinstance(value, torch.Tensor):
                    self._paths.setdefault(id(value), f"{path}.{name}" if path else name)
        self._kept.append(module)

    def _adopt(self, value: nn.Module | torch.Tensor) -> None:
        if isinstance(value, nn.Module):
            self._add(self._unused(type(value).__name__.lower()), value)
        else:
            kind = "parameter" if isinstance(value, nn.Parameter) else "tensor_constant"
            self._paths[id(value)] = self._unused(f"_{kind}")
            self._kept.append(value)

    def _unused(self, stem: str) -> str:
        taken = set(self._paths.values())
        name, number = f"{stem}_0", 0
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        return name
