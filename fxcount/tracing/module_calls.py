"""How calls of modules are seen, and what hooks they run."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import nn

from fxcount._torch import CALL_OF_MODULE, compiled_call_of, forward_hooks_of, forward_pre_hooks_of
from fxcount.faults import for_the_model

HandleCall = Callable[[nn.Module, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Takes a module, a function that calls it, and the arguments of the call; returns the result."""


def hooks_of_call(module: nn.Module) -> tuple[Callable[..., Any], ...]:
    """What a call of ``module`` runs before and after its forward."""
    return (*forward_pre_hooks_of(module).values(), *forward_hooks_of(module).values())


@contextlib.contextmanager
def watched_modules(handle: HandleCall, modules: Iterable[nn.Module]) -> Iterator[None]:
    """While it lasts, every call of a module in this thread is made by ``handle``; ``modules`` are those of the model.

    What ``nn.Module.__call__`` calls is set, unless a module goes past it.
    """
    call, thread, lasts = nn.Module.__call__, threading.get_ident(), True
    name = CALL_OF_MODULE if all(map(_calls_as_most_do, modules)) else "__call__"
    original = getattr(nn.Module, name)

    def watched(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        # A tracer of torch.fx inside the model sets ``__call__``, and sees the calls instead.
        sees_another = name != "__call__" and nn.Module.__call__ is not call
        if sees_another or not lasts or threading.get_ident() != thread:
            return for_the_model(original, module, *args, **kwargs)
        return handle(module, functools.partial(original, module), args, kwargs)

    setattr(nn.Module, name, watched)
    try:
        yield
    finally:
        lasts = False  # who compiled a module meanwhile has kept ``watched``
        setattr(nn.Module, name, original)


def _calls_as_most_do(module: nn.Module) -> bool:
    """Whether ``__call__`` calls the method that most modules have: not if the module is compiled in place, or its
    class has another."""
    own = getattr(type(module), CALL_OF_MODULE)
    return compiled_call_of(module) is None and own is getattr(nn.Module, CALL_OF_MODULE)
