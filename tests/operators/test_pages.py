"""``docs/operators.md`` and the pages under it are what the registry says."""

import re
from pathlib import Path

import pytest
from torch import nn

from fxcount import register_formula
from fxcount.formulas import REFUSED, custom
from fxcount.formulas.registry import formulas_by_name
from tests.operators.pages import DOCS, operators_pages, write

PAGES = operators_pages()
INDEX = PAGES["operators.md"]
ALL = sorted(name.removeprefix("aten.") for name in (*formulas_by_name(), *REFUSED))


def written(docs: Path) -> dict[str, str]:
    paths = [docs / "operators.md", *(docs / "operators").iterdir()]
    return {path.relative_to(docs).as_posix(): path.read_text() for path in paths}


def test_the_pages_are_up_to_date() -> None:
    """After a change of a formula: ``python -m tests.operators``."""
    found = written(DOCS)
    assert found.keys() == PAGES.keys()
    assert [path for path, text in PAGES.items() if found[path] != text] == []


def test_the_page_of_a_family_that_is_no_more_is_removed(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "operators" / "gone.md").touch()
    write(tmp_path)
    assert written(tmp_path) == PAGES


def test_every_operator_is_on_one_page_once() -> None:
    assert sorted(name for path in PAGES for name in named(path)) == ALL


def named(path: str) -> list[str]:
    """The operators in the tables of a page."""
    rows = [line.split(" | ") for line in PAGES[path].split("\n") if line.startswith("| ")]
    return [name for row in rows for cell in row for name in _operators(cell)]


def _operators(cell: str) -> list[str]:
    """The names in a cell that is a list of operators; an equation is no name, and a reason is more than names."""
    parts = cell.strip("| ").split(", ")
    return [part.strip("`") for part in parts] if all(_is_name(part) for part in parts) else []


def _is_name(part: str) -> bool:
    return part[0:1] == part[-1:] == "`" and part.strip("`").replace(".", "_").isidentifier()


def test_the_index_leads_from_every_operator_to_its_page() -> None:
    links = re.findall(r"\[`([\w.]+)`\]\[(\w+)\]", INDEX)
    paths = dict(re.findall(r"^\[(\w+)\]: (.*)$", INDEX, re.MULTILINE))
    assert sorted(name for name, _ in links) == ALL
    assert sorted(links) == sorted((name, family) for family, path in paths.items() for name in named(path))


def test_the_index_counts_the_operators_of_every_page() -> None:
    counts = re.findall(r"^\| \[.*\]\((.*)\) \| (\d+) \|", INDEX, re.MULTILINE)
    assert {path: int(count) for path, count in counts} == {path: len(named(path)) for path in PAGES if named(path)}


def test_formulas_of_ones_own_are_on_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom, "_REGISTERED", custom.CustomFormulas())
    register_formula(nn.Linear, "macs = outputs")(lambda module, *, out: {"outputs": out.numel()})
    assert operators_pages() == PAGES
