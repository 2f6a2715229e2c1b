"""``docs/api.md`` is what the code says, and names everything that is public."""

import doctest
import re

import pytest

import fxcount
from fxcount.formulas import custom
from tests.api.page import PAGE, api_page

TEXT = api_page()


def test_the_page_is_up_to_date() -> None:
    """After a change of a public signature or docstring: ``python -m tests.api``."""
    assert PAGE.read_text() == TEXT


def test_every_public_name_is_a_heading_once() -> None:
    assert sorted(re.findall(r"^### (.*)$", TEXT, re.MULTILINE)) == sorted(fxcount.__all__)


def test_every_member_is_named_once() -> None:
    """Of a count: fields, properties and methods, its own, those of its base class, and those that are views."""
    section = re.search(r"^### GraphCost$.*?^### ", TEXT, re.MULTILINE | re.DOTALL)
    assert section is not None
    named = re.findall(r"^(?:#### GraphCost\.|\| `)(\w+)", section[0], re.MULTILINE)
    fields = fxcount.GraphCost.__dataclass_fields__
    members = {name for name in (*dir(fxcount.GraphCost), *fields) if not name.startswith("_")}
    assert sorted(named) == sorted(members)


def test_something_is_said_of_everything() -> None:
    assert re.findall(r"^\| `(\w+)` .*\|  \|$", TEXT, re.MULTILINE) == []
    entries = re.split(r"^###+ ", TEXT, flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if not re.search(r"^[\w`]", entry.partition("\n")[2], re.MULTILINE)] == []


def test_the_examples_print_what_stands_under_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom, "_REGISTERED", custom.CustomFormulas())
    public = [value for name in fxcount.__all__ if callable(value := getattr(fxcount, name))]
    examples = [each for value in (fxcount, *public) for each in doctest.DocTestFinder().find(value) if each.examples]
    runner = doctest.DocTestRunner()
    assert [each.name for each in examples if runner.run(each).failed] == []
    assert len(examples) >= TEXT.count("**Example:**") > 0
