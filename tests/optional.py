"""What not every version of torch has, for tests that run on all of them."""

import operator
from typing import Any

import pytest
import torch

TORCH = tuple(map(int, torch.__version__.split(".")[:2]))
"""The version of torch, such as (2, 14)."""


def optional(name: str) -> Any:
    """What has that name in torch, such as ``linalg.polar`` or ``ops.aten.cholesky.default``; where this torch does not
    have it, something that skips the test that uses it."""
    try:
        return operator.attrgetter(name)(torch)
    except AttributeError:
        return Absent(name)


class Absent:
    """Stands for what this torch does not have: a test that calls it or asks for one of its attributes is skipped."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # pytest and Python ask for these when they collect
            raise AttributeError(attribute)
        return self()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        pytest.skip(f"torch {torch.__version__} has no {self.__name__}")
