"""The tests of pytest, each as something that can be run again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol  # what reruns a test with its fixtures; no public name

from tests.mutations.search import Passes, UnreliableTestError

TESTS = Path(__file__).parents[1]

INDEPENDENT = (TESTS / "formulas", TESTS / "engine" / "test_higher_order.py", TESTS / "test_models.py")
"""Costs worked out by hand, published, or counted by torch. Other tests compare one count with another, which says
nothing about an equation: of two tracers (``tracing/test_agreement.py``), with and without repeats
(``engine/test_repeated_calls.py``), in two views; or with what was printed from it (``test_docs.py``)."""

LEFT_OUT = ("test_page.py", "test_properties.py")
"""The page is printed from the equations themselves, and properties hold for many other equations as well."""


def with_tests(paths: Sequence[Path], use: Callable[[Mapping[str, Passes]], object]) -> None:
    """Gives the tests in these files and folders to ``use``, in a session of pytest.

    Raises:
        UnreliableTestError: there are no tests, or a file cannot be read.
        Exception: whatever ``use`` raises.
    """
    session = _Session(use)
    quiet = ("-qq", "--no-header", "-n0", "-p", "no:cacheprovider", "--assert=plain", "--disable-warnings")
    code = pytest.main([*map(str, paths), *quiet, *(f"--ignore-glob=*/{name}" for name in LEFT_OUT)], [session])
    if session.raised is not None:
        raise session.raised
    if code != pytest.ExitCode.OK:
        raise UnreliableTestError(f"pytest finds no tests: {code!r}")


class _Session:
    """A plugin that runs the tests as it is told, in the place of once each."""

    def __init__(self, use: Callable[[Mapping[str, Passes]], object]) -> None:
        self._use = use
        self.raised: Exception | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        try:
            if session.testsfailed:
                raise UnreliableTestError("not every test can be collected")
            self._use({item.nodeid: partial(_passes, item) for item in session.items})
        except Exception as error:  # pytest would print it as an error of its own
            self.raised = error
        return True


def _passes(item: pytest.Item) -> bool:
    """Set up, run and torn down, with no other test to follow that could share a fixture."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))
