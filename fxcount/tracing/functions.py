"""Python functions that are to be one node: every module that names one is handed another in its place."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fxcount.formulas.custom import references


@contextlib.contextmanager
def replaced_functions(functions: Sequence[Callable[..., Any]], call: Callable[..., Any]) -> Iterator[None]:
    """While it lasts, modules that refer to one of ``functions`` call ``call(function, *args, **kwargs)``.

    As ``torch.fx.wrap`` does, but for every module that is loaded; a reference in a closure or a container is not seen.
    """
    places = [(owner, name, function) for function in functions for owner, name in references(function)]
    try:
        for owner, name, function in places:
            setattr(owner, name, functools.wraps(function)(functools.partial(call, function)))
        yield
    finally:
        for owner, name, function in places:
            setattr(owner, name, function)
