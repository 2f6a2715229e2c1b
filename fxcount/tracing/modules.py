"""How calls of modules are seen, and what hooks they run."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

HandleCall = Callable[[nn.Module, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Takes a module, a function that calls it, and the arguments of the call; returns the result."""


def hooks_of_call(module: nn.Module) -> tuple[Callable[..., Any], ...]:
    """What a call of ``module`` runs before and after its forward."""
    return (*module._forward_pre_hooks.values(), *module._forward_hooks.values())


@contextlib.contextmanager
def watched_modules(handle: HandleCall) -> Iterator[None]:
    """While it lasts, every call of a module in this thread is made by ``handle``."""
    call, thread = nn.Module.__call__, threading.get_ident()

    def watched(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return call(module, *args, **kwargs)
        return handle(module, functools.partial(call, module), args, kwargs)

    nn.Module.__call__ = watched  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = call  # type: ignore[method-assign]
