"""While tests run: which equations they compute, and a mutant computed in the place of an equation."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from unittest import mock

from fxcount.cost import Cost, Equation, Quantities
from fxcount.engine.repeated_calls import repeats_of

Noted = dict[Equation, list[Quantities]]
"""The equations that were computed, each with the quantities of every time."""

as_stated = Equation.cost


@contextlib.contextmanager
def noting() -> Iterator[Noted]:
    """Notes what is computed while it lasts."""
    noted: Noted = defaultdict(list)

    def cost(equation: Equation, quantities: Quantities) -> Cost:
        if quantities not in noted[equation]:
            noted[equation].append(dict(quantities))
        return as_stated(equation, quantities)

    with _computing(cost):
        yield noted


@contextlib.contextmanager
def mutated(stated: Collection[Equation], mutant: Equation) -> Iterator[None]:
    """While it lasts, ``mutant`` is computed for each of these equations, which still read as they did."""
    with _computing(lambda equation, quantities: as_stated(mutant if equation in stated else equation, quantities)):
        yield


@contextlib.contextmanager
def _computing(cost: Callable[[Equation, Quantities], Cost]) -> Iterator[None]:
    """What calls cost is remembered from count to count: no cost from before is seen inside, and none from inside
    afterwards."""
    repeats_of.cache_clear()
    with mock.patch.object(Equation, "cost", cost):
        yield
    repeats_of.cache_clear()
