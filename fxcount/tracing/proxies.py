"""Proxies that do not let a model take a wrong branch unnoticed.

A proxy of `torch.fx` answers questions about its type as what it is, a proxy: ``isinstance(x, torch.Tensor)`` is False
and ``hasattr(x, "anything")`` is True, so a model that asks takes a branch that it would not take with a tensor. These
proxies refuse to answer. (To answer as a tensor would be worse: C++ would believe it.)
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import fx
from torch.fx.proxy import Attribute, ParameterProxy, TraceError


def _model_asks() -> bool:
    """Whether the code that asks is the model's, and not torch's or ours, two frames above."""
    name = sys._getframe(2).f_globals.get("__name__", "")
    return not name.startswith(("torch.", "fxcount."))


class _Guarded:
    """What all these proxies share: only what a tensor has can be asked for."""

    def __getattr__(self, name: str) -> Any:
        if not hasattr(torch.Tensor, name):
            raise TraceError(f"a traced value was asked for {name!r}, which a tensor does not have")
        return GuardedAttribute(self, name)  # type: ignore[arg-type]

    @property
    def __class__(self) -> Any:
        if _model_asks():
            raise TraceError("the type of a traced value was asked for")
        return type(self)

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise TypeError("a proxy keeps its class")


class GuardedProxy(_Guarded, fx.Proxy):
    """Stands for an input or the result of a call."""


class GuardedAttribute(_Guarded, Attribute):
    """Stands for an attribute of a proxy, such as ``x.shape``."""


class GuardedParameter(_Guarded, ParameterProxy):
    """Stands for a parameter; its shape is known."""
