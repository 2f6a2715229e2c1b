"""How functions and methods are seen and named: those of torch, and Python functions that are to be one node."""

import contextlib
import copy
import functools
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import is_tensor_method_or_property

from fxcount.fault_origin import for_the_model
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


@contextlib.contextmanager
def watched_parameters(note: Callable[[nn.Parameter], None]) -> Iterator[None]:
    """While it lasts, ``note`` is told of every parameter that is made in this thread."""
    own, original, thread = vars(nn.Parameter)["__new__"], nn.Parameter.__new__, threading.get_ident()

    def make(kind: type[nn.Parameter], *args: Any, **kwargs: Any) -> nn.Parameter:
        made: nn.Parameter = for_the_model(original, kind, *args, **kwargs)
        if threading.get_ident() == thread:
            note(made)
        return made

    nn.Parameter.__new__ = make  # type: ignore[assignment]
    try:
        yield
    finally:
        nn.Parameter.__new__ = own  # type: ignore[method-assign]


_TAKE_NUMBERS = (
    "as_strided", "broadcast_to", "chunk", "expand", "flatten", "flip", "mean", "movedim", "narrow", "new_empty",
    "new_full", "new_ones", "new_zeros", "permute", "repeat", "repeat_interleave", "reshape", "roll", "select",
    "softmax", "split", "sum", "tensor_split", "tile", "to", "transpose", "unbind", "unflatten", "unfold", "unsqueeze",
    "view",
)  # fmt: skip
"""Methods of tensors that take numbers, for which C++ refuses a proxy before any mode sees the call; and ``to``, which
so refuses a proxy of a tensor."""


@contextlib.contextmanager
def watched_methods(call: Callable[..., Any]) -> Iterator[None]:
    """While it lasts, a method of a parameter that may be given a number of a proxy calls ``call(method, *args,
    **kwargs)`` in this thread.

    They are set on the class of parameters: C++ hands what it finds in `torch.Tensor` on to every mode.
    """
    own = {name: vars(nn.Parameter).get(name) for name in _TAKE_NUMBERS}
    try:
        for name in _TAKE_NUMBERS:
            setattr(nn.Parameter, name, _watched(getattr(nn.Parameter, name), call))
        yield
    finally:
        for name, method in own.items():
            delattr(nn.Parameter, name) if method is None else setattr(nn.Parameter, name, method)


def _watched(method: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    thread = threading.get_ident()

    def watched(*args: Any, **kwargs: Any) -> Any:
        handle = call if threading.get_ident() == thread else for_the_model
        return handle(method, *args, **kwargs)

    return watched


def node_kind(func: Any, args: Sequence[Any]) -> tuple[str, Any, Sequence[Any]]:
    """How a node names a function of torch: as an operator of Python, a method, or itself; and its arguments then."""
    if func.__name__ == "__set__":
        return "call_function", setattr, (args[0], func.__self__.__name__, *args[1:])
    kind, target, reflected = _node_kind(func)
    return kind, target, (args[1], args[0]) if reflected else args


@functools.lru_cache(maxsize=2**12)
def _node_kind(func: Any) -> tuple[str, Any, bool]:
    """The kind and the target of a node, and whether its two arguments change places."""
    name = func.__name__
    if not is_tensor_method_or_property(func):
        return "call_function", func, False
    if name.startswith("__"):
        operators = vars(operator)
        if name in operators:
            return "call_function", operators[name], False
        reflected = name.replace("__r", "__", 1)
        if reflected in operators:
            return "call_function", operators[reflected], True
    return "call_method", name, False


def copy_of_shape(tensor: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
    """What ``copy.deepcopy`` makes of a tensor; torch's own would copy its memory, which no operator shows."""
    copied = memo[id(tensor)] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
    vars(copied).update(copy.deepcopy(vars(tensor), memo))
    return copied
