"""Calls of an `torch.autograd.Function`, which has a gradient of its own: how they are seen and named."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import handle_torch_function, has_torch_function

from fxcount._torch import context_of, pytree
from fxcount.fault_origin import for_the_model
from fxcount.tracing.containers import is_plain

CallFunction = Callable[[type[torch.autograd.Function], Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


@contextlib.contextmanager
def watched_functions(call: CallFunction) -> Iterator[None]:
    """While it lasts, ``kind.apply(*args, **kwargs)`` in this thread calls ``call(kind, apply, args, kwargs)``."""
    original = vars(torch.autograd.Function)["apply"]
    thread = threading.get_ident()

    def apply(kind: type[torch.autograd.Function], *args: Any, **kwargs: Any) -> Any:
        run = original.__get__(None, kind)
        if threading.get_ident() != thread:
            return for_the_model(run, *args, **kwargs)
        return call(kind, run, args, kwargs)

    torch.autograd.Function.apply = classmethod(apply)
    try:
        yield
    finally:
        torch.autograd.Function.apply = original


@contextlib.contextmanager
def shown_backward() -> Iterator[None]:
    """While it lasts, modes see calls of ``torch.autograd.backward``, which torch 2.9 does not show to them."""
    original = torch.autograd.backward
    if has_torch_function.__name__ in original.__code__.co_names:
        yield
        return

    @functools.wraps(original)
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        given = (tensors,) if isinstance(tensors, torch.Tensor) else tuple(tensors)
        if has_torch_function(given):
            return handle_torch_function(original, given, tensors, *args, **kwargs)
        return for_the_model(original, tensors, *args, **kwargs)

    torch.autograd.backward = backward
    try:
        yield
    finally:
        torch.autograd.backward = original


@contextlib.contextmanager
def needs_input_grad(kind: type[torch.autograd.Function], answer: Callable[[], tuple[bool, ...]]) -> Iterator[None]:
    """While it lasts, ``ctx.needs_input_grad`` in ``kind`` is ``answer()``: below autograd no input needs any."""
    context = context_of(kind)
    context.needs_input_grad = property(lambda ctx: answer())  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del context.needs_input_grad  # type: ignore[attr-defined]


def takes_only_values(*arguments: Any) -> bool:
    """Whether all arguments are tensors and plain values: a module, a function or an object may be run."""
    leaves, _ = for_the_model(pytree.tree_flatten, arguments)
    return all(isinstance(leaf, torch.Tensor | torch.device) or is_plain(leaf) for leaf in leaves)


def named_after(function: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    """``run`` under the name of ``function``, under which a graph shows it."""

    def named(*args: Any, **kwargs: Any) -> Any:
        return run(*args, **kwargs)

    named.__name__ = named.__qualname__ = function.__name__
    return named
