"""Python functions that are to be one node: every module that names one is handed another in its place."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any


@contextlib.contextmanager
def replaced_functions(functions: Sequence[Callable[..., Any]], call: Callable[..., Any]) -> Iterator[None]:
    """While it lasts, modules that refer to one of ``functions`` call ``call(function, *args, **kwargs)``.

    As ``torch.fx.wrap`` does, but for every module that is loaded; a reference in a closure or a container is not seen.
    """
    places = [(owner, name, function) for function in functions for owner, name in _references(function)]
    try:
        for owner, name, function in places:
            setattr(owner, name, functools.wraps(function)(functools.partial(call, function)))
        yield
    finally:
        for owner, name, function in places:
            setattr(owner, name, function)


def _references(function: Callable[..., Any]) -> Iterator[tuple[Any, str]]:
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is function:
                yield module, name
