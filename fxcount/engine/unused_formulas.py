"""`unused_formulas`: formulas that a count did not use, for their operators are parts of what it counted as a whole."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fxcount._torch import DispatchMode, HigherOrderOperator, Operator, below_autograd, pytree
from fxcount.formulas import operator_name
from fxcount.formulas.custom import CustomFormulas


def unused_formulas(formulas: CustomFormulas) -> dict[str, str]:
    """The operators of such formulas, each with an operator that was counted as a whole and is made of it."""
    unused, found = formulas.unused(), dict[str, str]()
    for whole, args, kwargs in formulas.wholes.values() if unused else ():
        for name in unused & _parts(whole, args, kwargs):
            found.setdefault(name, operator_name(whole))
    return found


def _parts(operator: Operator, args: Sequence[Any], kwargs: Mapping[str, Any]) -> set[str]:
    """The names of all operators that a call reaches where every composite one is taken apart; none if it cannot be
    taken apart on shapes."""
    found = _Parts()
    with contextlib.suppress(Exception), below_autograd(), found:
        on_shapes = pytree.tree_map_only(torch.Tensor, _shape_of, (args, kwargs))
        operator.decompose(*on_shapes[0], **on_shapes[1])
    return found.names


def _shape_of(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


class _Parts(DispatchMode):
    """Notes every operator, and takes it apart if it is composite."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = NotImplemented
        if not isinstance(func, HigherOrderOperator):
            self.names.add(operator_name(func))
            with self:
                out = func.decompose(*args, **kwargs)
        return func(*args, **kwargs) if out is NotImplemented else out
