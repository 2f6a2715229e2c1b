"""Example inputs: each function returns what makes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def floats(*shape: int) -> Callable[[], torch.Tensor]:
    """A tensor of numbers between 0 and 1, such as a signal or features."""
    return lambda: torch.rand(shape)


def image(size: int = 224, channels: int = 3) -> Callable[[], torch.Tensor]:
    return floats(1, channels, size, size)


def tokens(length: int = 64) -> Callable[[], torch.Tensor]:
    """A text, as numbers below 30."""
    return lambda: (torch.arange(length) % 30)[None]


def several(*examples: Callable[[], Any]) -> Callable[[], Any]:
    """Arguments, one after the other."""
    return lambda: tuple(make() for make in examples)


def named(**examples: Callable[[], Any]) -> Callable[[], Any]:
    """Arguments by name."""
    return lambda: {name: make() for name, make in examples.items()}
