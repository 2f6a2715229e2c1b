"""The page of versions, on runs that are made up."""

from tests.versions.page import PAGE, lines_of, page, runs_on

PRINTED = """\
..s.F                                                      [100%]
=================== FAILURES ===================
E   AssertionError
SKIPPED [1] tests/optional.py:34: torch 2.9.1 has no linalg.polar
FAILED tests/test_count.py::test_one - AssertionError
1 failed, 3 passed, 1 skipped in 1.02s

"""
LINES = [
    "1 failed, 3 passed, 1 skipped in 1.02s",
    "SKIPPED [1] tests/optional.py:34: torch 2.9.1 has no linalg.polar",
    "FAILED tests/test_count.py::test_one - AssertionError",
]
RUNS = {("2.14.1", "3.11.7"): ["5 passed in 1.00s"], ("2.9.1", "3.11.7"): LINES, ("2.14.1", "3.9.1"): ["1 passed"]}


def test_the_page_shows_the_last_line_and_what_did_not_pass() -> None:
    assert lines_of(PRINTED.splitlines(keepends=True)) == LINES


def test_a_row_for_each_run_the_oldest_first() -> None:
    rows = [line for line in page(RUNS).splitlines() if line.startswith("| 2")]
    assert rows == [
        f"| 2.9.1 | 3.11.7 | {LINES[0]} |",
        "| 2.14.1 | 3.9.1 | 1 passed |",
        "| 2.14.1 | 3.11.7 | 5 passed in 1.00s |",
    ]


def test_what_did_not_pass_stands_under_its_versions() -> None:
    *_, section = page(RUNS).split("## ")
    assert section == f"Not passed on torch 2.9.1, Python 3.11.7\n\n- `{LINES[1]}`\n- `{LINES[2]}`\n"


def test_the_page_is_read_as_it_is_written() -> None:
    assert runs_on(page(RUNS)) == RUNS
    assert runs_on(page({})) == {}
    both = {**RUNS, ("2.9.1", "3.12.1"): LINES[:2]}
    assert runs_on(page(both)) == both


def test_the_page_itself_is_one_that_the_program_writes() -> None:
    assert page(runs_on(PAGE.read_text())) == PAGE.read_text()
