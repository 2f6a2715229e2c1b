"""``docs/operators.md`` is what the registry says."""

import pytest
from torch import nn

from fxcount import register_formula
from fxcount.formulas import REFUSED, custom
from fxcount.formulas.registry import formulas_by_name
from tests.operators.page import PAGE, operators_page


def test_the_page_is_up_to_date() -> None:
    """After a change of a formula: ``python -m tests.operators``."""
    assert PAGE.read_text() == operators_page()


def test_every_operator_is_on_the_page_once() -> None:
    rows = [line.split(" | ") for line in operators_page().split("\n") if line.startswith("| ")]
    named = [name for row in rows for cell in row for name in _operators(cell)]
    assert sorted(named) == sorted(name.removeprefix("aten.") for name in (*formulas_by_name(), *REFUSED))


def _operators(cell: str) -> list[str]:
    """The names in a cell that is a list of operators; an equation is no name, and a reason is more than names."""
    parts = cell.strip("| ").split(", ")
    return [part.strip("`") for part in parts] if all(_is_name(part) for part in parts) else []


def _is_name(part: str) -> bool:
    return part[0:1] == part[-1:] == "`" and part.strip("`").replace(".", "_").isidentifier()


def test_formulas_of_ones_own_are_not_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom, "_REGISTERED", custom.CustomFormulas())
    before = operators_page()
    register_formula(nn.Linear, "macs = outputs")(lambda module, *, out: {"outputs": out.numel()})
    assert operators_page() == before
