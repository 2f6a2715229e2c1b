"""`Entry`: one model of the zoo, and how to make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Published:
    """What a library says that a model of its own costs."""

    source: str
    """The weights that the figures stand beside."""
    params: int
    giga_macs: float | None
    """To the three decimals that are published; None where the input is not known."""
    entry: Entry
    """The model as those weights fit it, without them, and an input of the size that the figure is about."""


@dataclass(frozen=True)
class Entry:
    """One model: a name and what makes it and its example input."""

    family: str
    """The library, or "packages" for all others."""
    kind: str
    """What the library groups it under, such as a module of timm or "audio"; among the others, the package."""
    name: str
    build: Callable[[], nn.Module]
    example: Callable[[nn.Module], Any]
    """The example input of the model that was built."""
    needs_data: bool = False
    """Control flow depends on values, so the model and its input are real."""
    executes: bool = False
    """Small enough to be run for real as well, so that the tracer "executed" is compared."""
    otherwise: Mapping[str, str] = field(default_factory=dict)
    """Operators that FlopCounterMode counts by another rule, to the difference in words; any other is a problem."""
    published: Callable[[], tuple[Published, ...]] = tuple

    def make(self, device: str | None = None) -> tuple[nn.Module, Any]:
        """The model in eval mode and its example input, the same each time; by default on meta where that suffices."""
        torch.manual_seed(0)
        with torch.device(device or ("cpu" if self.needs_data else "meta")):
            model = self.build().eval()
        return model, self.example(model)
