"""Which arithmetic a call does: on indices (free outside contractions), on real or on complex numbers."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Self

import torch

from fxcount.cost import Cost, total_cost


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
        """``cost``, stated for real numbers, where all of them are of this kind.

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


def product(*factors: torch.Tensor | complex) -> Cost:
    """What the product of ``factors`` costs, from left to right: 4 multiplications and 2 additions for two complex
    numbers, 2 multiplications for a complex and a real one."""
    kinds = [is_complex(each) for each in factors]
    costs = {2: Cost(mul=4, add=2), 1: Cost(mul=2), 0: Cost(mul=1)}
    return total_cost(costs[any(kinds[:place]) + kinds[place]] for place in range(1, len(kinds)))


def quotient(dividend: Iterable[torch.Tensor | complex], divisor: torch.Tensor | complex) -> Cost:
    """What a division of the product ``dividend`` costs: by a real number one for each of its parts."""
    if is_complex(divisor):
        return Arithmetic.COMPLEX.perform(Cost(div=1))
    return Cost(div=2 if any(map(is_complex, dividend)) else 1)


def is_complex(value: torch.Tensor | complex) -> bool:
    """Whether a tensor or a number is complex."""
    return value.dtype.is_complex if isinstance(value, torch.Tensor) else isinstance(value, complex)


def tensors(values: Iterable[object]) -> Iterator[torch.Tensor]:
    """The tensors among ``values``, also inside lists, tuples and dicts."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors(value)
        elif isinstance(value, dict):
            yield from tensors(value.values())


def first_tensor(value: object) -> torch.Tensor:
    """``value`` itself, or the first tensor in it: the main result of an operator that returns several."""
    return next(tensors((value,)))
