"""`indexed`: a part of a tensor with symbolic sizes, taken by the operators by which numbers take it."""

import operator
from collections.abc import Callable
from typing import Any

import torch

from fxcount.engine.symbolic_sizes import has_symbols

GETITEMS = (operator.getitem, torch.Tensor.__getitem__)


def for_symbols(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, or what takes its place where sizes are symbols."""
    return indexed if function in GETITEMS else function


def indexed(tensor: Any, key: Any) -> Any:
    """``tensor[key]``. Of a slice that takes all of an axis C++ makes a view where the size is a symbol, and nothing
    where it is a number."""
    keys = key if isinstance(key, tuple) else (key,)
    if not isinstance(tensor, torch.Tensor) or not has_symbols(tensor.shape) or not all(map(_is_simple, keys)):
        return tensor[key]
    taken = sum(each is not None and each is not ... for each in keys)
    if keys.count(...) > 1 or taken > tensor.dim():
        return tensor[key]  # which is an error
    axis, part = 0, tensor
    for each in keys:
        if each is None:
            part, axis = part.unsqueeze(axis), axis + 1
        elif each is ...:
            axis += tensor.dim() - taken
        elif isinstance(each, slice):
            if each != slice(None):
                part = torch.ops.aten.slice(part, axis, each.start, each.stop, 1 if each.step is None else each.step)
            axis += 1
        else:
            part = part.select(axis, each)
    return torch.ops.aten.alias(tensor) if part is tensor else part


def _is_simple(key: Any) -> bool:
    """Whether a key is a number, a slice, a new axis or an ellipsis."""
    if isinstance(key, slice):
        return all(each is None or _is_size(each) for each in (key.start, key.stop, key.step))
    return key is None or key is ... or _is_size(key)


def _is_size(value: Any) -> bool:
    return isinstance(value, int | torch.SymInt) and not isinstance(value, bool)
