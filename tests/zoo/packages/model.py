"""`Model`: one model of a package, and how to make it."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from tests.zoo.entry import Entry


@dataclass(frozen=True)
class Made:
    """A class or function of a package, such as ``vit_pytorch:ViT``, and its arguments: imported when it is called."""

    path: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __call__(self) -> Any:
        return pkgutil.resolve_name(self.path)(*self.args, **self.kwargs)


def made(path: str, *args: Any, **kwargs: Any) -> Made:
    """What makes, say, ``vit_pytorch:ViT`` with these arguments."""
    return Made(path, args, kwargs)


@dataclass(frozen=True)
class Model:
    """A model with random weights and its example input, at sizes that are quick to run."""

    build: Made | Callable[[], nn.Module]
    example: Callable[[], Any]
    name: str = field(default="", kw_only=True)
    """Where it is not that of what makes it."""
    executes: bool = field(default=True, kw_only=True)
    """It computes the same each time, so that what the graphs compute is compared on data."""
    on_meta: bool = field(default=False, kw_only=True)
    """It is large: made without data, and never run on any."""
    otherwise: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """Operators that ``FlopCounterMode`` counts by another rule, to the difference in words."""

    def entry(self, package: str) -> Entry:
        """The model as one of the zoo, named like ``vit-pytorch/ViT``."""
        name = self.name or self.build_name()
        return Entry(
            "packages",
            package,
            f"{package}/{name}",
            self.build,
            lambda _: self.example(),
            needs_data=not self.on_meta,
            executes=self.executes and not self.on_meta,
            otherwise=self.otherwise,
        )

    def build_name(self) -> str:
        """The name of the class, or of the function in words."""
        return (
            self.build.path.rpartition(":")[2]
            if isinstance(self.build, Made)
            else self.build.__name__.replace("_", " ")
        )
