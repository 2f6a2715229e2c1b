import io
import sys
import time

import pytest

from fxcount.cli.progress import progress


class Screen(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_long_work_shows_and_then_removes_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with progress("counting it", patience=0):
        while "counting it" not in screen.getvalue():
            time.sleep(0.01)
    first, last, rest = screen.getvalue().split("\r")[-3:]
    assert first.startswith("counting it ... 0 s")
    assert (last, rest) == (" " * len(first), "")


def test_short_work_and_errors_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with pytest.raises(KeyError), progress("counting it"):
        raise KeyError
    assert screen.getvalue() == ""


def test_nothing_is_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    with progress("counting it", patience=0):
        time.sleep(0.05)
    assert file.getvalue() == ""
