"""The search for mutants that no test notices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.mutations.computing import Noted, as_stated, mutated, noting
from tests.mutations.mutant import Mutant, mutants
from tests.mutations.written import Use, Written

Passes = Callable[[], bool]
"""Runs a test; returns whether it passes."""

NEVER_COMPUTED = "no test computes the equation"
NO_DIFFERENCE = "the cost stays the same in every test"


class UnreliableTestError(Exception):
    """A test fails without a mutant, or cannot be read, and so proves nothing about one."""


@dataclass(frozen=True)
class Observed:
    """A test that passes, and what it computed."""

    name: str
    passes: Passes
    noted: Noted
    seconds: float

    def computes(self, use: Use) -> bool:
        return not use.stated.isdisjoint(self.noted)

    def tells_apart(self, use: Use, mutant: Mutant) -> bool:
        """Whether the mutant gives another cost anywhere in the test; where it does not, the test cannot fail."""
        return any(
            as_stated(mutant.equation, quantities) != as_stated(equation, quantities)
            for equation in use.stated
            for quantities in self.noted.get(equation, ())
        )


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test notices where the equation is used by these operators."""

    use: Use
    written: Written
    mutant: Mutant
    reason: str

    def __str__(self) -> str:
        return f"{self.use}: {self.written.equation.text}: {self.mutant}; {self.reason}"


def observe(tests: Mapping[str, Passes]) -> list[Observed]:
    """The tests, those first that compute the fewest equations, and of these the fastest.

    Raises:
        UnreliableTestError: a test fails.
    """
    observed = []
    for name, passes in tests.items():
        started = time.perf_counter()
        with noting() as noted:
            if not passes():
                raise UnreliableTestError(f"fails without a mutant: {name}")
        observed.append(Observed(name, passes, noted, time.perf_counter() - started))
    return sorted(observed, key=lambda test: (len(test.noted), test.seconds))


class Search:
    """Runs the tests on mutants, and remembers which test noticed one."""

    def __init__(self, observed: Sequence[Observed]) -> None:
        self._observed = observed
        self._noticed: dict[str, Passes] = {}

    def survivors(self, written: Written) -> Iterator[Survivor]:
        """The mutants that are not noticed in every use. A term may be nothing in one use, such as the bias of a layer
        without one, if it is noticed in another."""
        computing = [[test for test in self._observed if test.computes(use)] for use in written.uses]
        for mutant in mutants(written.equation):
            reasons = [self._reason(*each, mutant) for each in zip(written.uses, computing, strict=True)]
            excused = NO_DIFFERENCE if None in reasons else None
            for use, reason in zip(written.uses, reasons, strict=True):
                if reason not in (None, excused):
                    yield Survivor(use, written, mutant, reason)

    def check(self) -> None:
        """Runs the tests that failed on a mutant once more without one.

        Raises:
            UnreliableTestError: a test fails.
        """
        observe(self._noticed)

    def _reason(self, use: Use, computing: Sequence[Observed], mutant: Mutant) -> str | None:
        """Why a mutant is not noticed by the tests that compute the equation; None if it is."""
        if not computing:
            return NEVER_COMPUTED
        telling = [test for test in computing if test.tells_apart(use, mutant)]
        for test in telling:
            with mutated(use.stated, mutant.equation):
                if not test.passes():
                    self._noticed[test.name] = test.passes
                    return None
        return f"{telling[0].name} passes all the same" if telling else NO_DIFFERENCE
