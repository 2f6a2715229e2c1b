"""Which arithmetic a call does: on indices (free outside contractions), on real or on complex numbers."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Self

import torch

from fxcount.cost import Cost


class Arithmetic(Enum):
    """The kind of number that an operator computes with."""

    INDEX = "index"
    REAL = "real"
    COMPLEX = "complex"

    @classmethod
    def of(cls, *values: object) -> Self:
        """Complex if any tensor among the (nested) values is, else real if any is, else index arithmetic."""
        found = cls.INDEX
        for tensor in tensors(values):
            if tensor.dtype.is_complex:
                return cls.COMPLEX
            if tensor.dtype.is_floating_point or tensor.is_quantized:
                found = cls.REAL
        return found

    def perform(self, cost: Cost) -> Cost:
        """``cost``, stated for real numbers, in this arithmetic.

        Integers and booleans cost nothing outside contractions. (a + bi)(c + di) takes 4 multiplications and 2
        additions; (a + bi)/(c + di) takes 6 multiplications (ac, bd, bc, ad, cc, dd), 3 additions and 2 divisions.
        """
        if self is Arithmetic.REAL:
            return cost
        if self is Arithmetic.INDEX:
            return Cost(macs=cost.macs)
        return Cost(
            macs=4 * cost.macs,
            mul=4 * cost.mul + 6 * cost.div,
            add=2 * cost.mul + 2 * cost.add + 3 * cost.div,
            div=2 * cost.div,
            cmp=cost.cmp,
            special=cost.special,
        )


def tensors(values: Iterable[object]) -> Iterator[torch.Tensor]:
    """The tensors among ``values``, also inside lists and tuples."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors(value)


def first_tensor(value: object) -> torch.Tensor:
    """``value`` itself, or the first tensor in it: the main result of an operator that returns several."""
    return next(tensors((value,)))
