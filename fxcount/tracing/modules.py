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


_COMPILED = "_compiled_call_impl"
"""What ``nn.Module.__call__`` calls if it is set: there ``Module.compile`` puts what it makes.

Setting ``nn.Module.__call__`` itself makes Python look at every class of modules, a thousand in a process that has a
library of models: 8 % of the count of a small model. Compiled code is not run while a graph is made.
"""


@contextlib.contextmanager
def watched_modules(handle: HandleCall) -> Iterator[None]:
    """While it lasts, every call of a module in this thread is made by ``handle``."""
    thread = threading.get_ident()

    def watched(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return handle(module, module._call_impl, args, kwargs)

    def what_is_called(module: nn.Module) -> Callable[..., Any] | None:
        if threading.get_ident() != thread:
            return vars(module).get(_COMPILED)
        return functools.partial(watched, module)

    def compile_later(module: nn.Module, compiled: Callable[..., Any] | None) -> None:
        vars(module)[_COMPILED] = compiled

    before = getattr(nn.Module, _COMPILED)
    setattr(nn.Module, _COMPILED, property(what_is_called, compile_later))
    try:
        yield
    finally:
        setattr(nn.Module, _COMPILED, before)
