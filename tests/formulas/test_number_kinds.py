"""Which arithmetic a call does, and what one operation costs in it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from fxcount import Cost
from fxcount.formulas.number_kinds import Arithmetic, first_tensor, tensors
from tests.costing import cost_of

meta = partial(torch.empty, device="meta")
integer, boolean = meta(3, 5, dtype=torch.int64), meta(3, 5, dtype=torch.bool)
real, number = meta(3, 5), meta(3, 5, dtype=torch.complex64)

KINDS: dict[str, tuple[tuple[Any, ...], Arithmetic]] = {
    "nothing": ((), Arithmetic.INDEX),
    "numbers alone": ((1.5, 2), Arithmetic.INDEX),
    "integers": ((integer, 1.5), Arithmetic.INDEX),
    "booleans": ((boolean,), Arithmetic.INDEX),
    "a real": ((integer, real), Arithmetic.REAL),
    "a complex": ((real, number), Arithmetic.COMPLEX),
    "a complex first": ((number, real), Arithmetic.COMPLEX),
    "nested": (([integer, (real,)], None), Arithmetic.REAL),
}


@pytest.mark.parametrize(("values", "kind"), KINDS.values(), ids=KINDS)
def test_kind(values: tuple[Any, ...], kind: Arithmetic) -> None:
    assert Arithmetic.of(*values) is kind


def test_perform() -> None:
    cost = Cost(macs=1, mul=10, add=100, div=1_000, cmp=10_000, special=100_000)
    assert Arithmetic.REAL.perform(cost) == cost
    assert Arithmetic.INDEX.perform(cost) == Cost(macs=1)
    assert Arithmetic.COMPLEX.perform(cost) == Cost(
        macs=4, mul=4 * 10 + 6 * 1_000, add=2 * 10 + 2 * 100 + 3 * 1_000, div=2 * 1_000, cmp=10_000, special=100_000
    )


def test_tensors_are_found_at_any_depth() -> None:
    assert [id(found) for found in tensors([[integer, (boolean, 1)], None, "x", real])] == [
        id(integer),
        id(boolean),
        id(real),
    ]
    assert first_tensor((None, [real, integer])) is real
    assert first_tensor(real) is real


DTYPES: dict[str, tuple[Callable[[], Any], Cost]] = {
    "integer add": (lambda: integer + integer, Cost()),
    "integer mul by a whole number": (lambda: integer * 3, Cost()),
    "integer sum": (lambda: integer.sum(0), Cost()),
    "integer cumsum": (lambda: integer.cumsum(0), Cost()),
    "integer argmax": (lambda: integer.argmax(), Cost()),
    "integer comparison": (lambda: integer > 2, Cost()),
    "integer pow": (lambda: integer**3, Cost()),
    "integer clamp": (lambda: integer.clamp(0, 3), Cost()),
    "boolean any": (lambda: boolean.any(), Cost()),
    "boolean and": (lambda: torch.logical_and(boolean, boolean), Cost()),
    "select among integers": (lambda: torch.where(boolean, integer, integer), Cost()),
    # the result is a float, so the arithmetic is
    "integer div": (lambda: integer / integer, Cost(div=15)),
    "integer by a float": (lambda: integer * 0.5, Cost(mul=15)),
    "integer mean as float": (lambda: integer.mean(dtype=torch.float32), Cost(add=14, div=1)),
    "integer and real": (lambda: integer + real, Cost(add=15)),
    "integer exp": (lambda: integer.exp(), Cost(special=15)),
    "comparison of reals": (lambda: real > 2, Cost(cmp=15)),
    "integer mm": (lambda: integer @ integer.t(), Cost(macs=3 * 3 * 5)),
    "half": (lambda: real.half() * real.half(), Cost(mul=15)),
    "bfloat16": (lambda: real.bfloat16().sum(), Cost(add=14)),
    "double": (lambda: real.double() / 3, Cost(div=15)),
    "complex mul": (lambda: number * number, Cost(mul=4 * 15, add=2 * 15)),
    "complex add": (lambda: number + number, Cost(add=2 * 15)),
    "complex sub": (lambda: number - real, Cost(add=2 * 15)),
    "complex div": (lambda: number / number, Cost(mul=6 * 15, add=3 * 15, div=2 * 15)),
    "complex mm": (lambda: number @ number.t(), Cost(macs=4 * 3 * 3 * 5)),
    "complex sum": (lambda: number.sum(1), Cost(add=2 * (15 - 3))),
    "complex prod": (lambda: number.prod(1), Cost(mul=4 * (15 - 3), add=2 * (15 - 3))),
    # n - m additions of pairs, m divisions by a real number
    "complex mean": (lambda: number.mean(1), Cost(add=2 * 12, div=2 * 3)),
    "complex square": (lambda: number**2, Cost(mul=4 * 15, add=2 * 15)),
    "complex exp": (lambda: number.exp(), Cost(special=15)),
    "complex conjugate": (lambda: number.conj().resolve_conj(), Cost()),
    "complex parts": (lambda: (number.real, number.imag, torch.view_as_real(number)), Cost()),
    "complex addmul": (lambda: number + 2 * number, Cost(mul=2 * 15, add=2 * 15)),
    "cast": (lambda: real.to(torch.int64), Cost()),
}


@pytest.mark.parametrize(("call", "expected"), DTYPES.values(), ids=DTYPES)
def test_cost(call: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(call) == expected
