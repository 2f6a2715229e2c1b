"""What a count must leave as it was: the model, its state, the random state."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


@contextlib.contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """Puts back every module attribute that the model changes meanwhile, and the random state; also after an error."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    attributes = [(module, _copied(vars(module))) for module in modules]
    with _random_state():
        try:
            yield
        finally:
            for module, before in attributes:
                _restore(vars(module), before)


def _copied(attributes: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Every attribute, and of a list, dict or set also what it holds."""
    return {name: (value, _content(value)) for name, value in attributes.items()}


def _content(value: Any) -> Any:
    for kind in (list, dict, set):
        if isinstance(value, kind):
            return kind(value)
    return None


def _restore(attributes: dict[str, Any], before: dict[str, tuple[Any, Any]]) -> None:
    for name in attributes.keys() - before.keys():
        del attributes[name]
    for name, (value, content) in before.items():
        attributes[name] = value
        if isinstance(value, list):
            value[:] = content
        elif isinstance(value, dict | set):
            value.clear()
            value.update(content)


@contextlib.contextmanager
def _random_state() -> Iterator[None]:
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy else None
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)
