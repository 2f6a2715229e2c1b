"""The mutants of an equation by hand, and suites that notice them or not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from fxcount import Cost
from fxcount.cost import Equation
from fxcount.formulas import FORMULAS
from tests.costing import cost_of
from tests.mutations.computing import mutated
from tests.mutations.mutant import mutants
from tests.mutations.search import NEVER_COMPUTED, NO_DIFFERENCE, Passes, Search, UnreliableTestError, observe
from tests.mutations.suite import with_tests
from tests.mutations.written import Use, Written, written_equations

SIZES = {"a": 5, "b": 7, "c": 11}


def costs(equation: str) -> dict[str, Cost]:
    """What each mutant costs where a is 5, b is 7 and c is 11."""
    return {str(mutant): mutant.equation.cost(SIZES) for mutant in mutants(Equation(equation))}


def test_the_mutants_of_an_equation() -> None:
    assert costs("mul = a + 2 * b, add = c") == {
        "a + 2 * b of mul is left out": Cost(add=11),
        "a + 2 * b of mul is counted twice": Cost(mul=38, add=11),
        "a + 2 * b of mul is given to add": Cost(add=30),
        "a of mul is left out": Cost(mul=14, add=11),
        "a of mul is counted twice": Cost(mul=24, add=11),
        "a of mul is given to add": Cost(mul=14, add=16),
        "2 * b of mul is left out": Cost(mul=5, add=11),
        "2 * b of mul is counted twice": Cost(mul=33, add=11),
        "2 * b of mul is given to add": Cost(mul=5, add=25),
        "c of add is left out": Cost(mul=19),
        "c of add is counted twice": Cost(mul=19, add=22),
        "c of add is given to div": Cost(mul=19, div=11),
    }


@pytest.mark.parametrize(
    ("equation", "without"),
    [
        ("special = a * b", {"a * b": 0}),
        ("special = a + b - c", {"a + b - c": 0, "a": 7 - 11, "b": 5 - 11, "c": 12}),
        ("special = a - (b + c)", {"a - (b + c)": 0, "a": -18, "b + c": 5, "b": 5 - 11, "c": 5 - 7}),
        ("special = a * (1 + b)", {"a * (1 + b)": 0, "1": 35, "b": 5}),
        ("special = a * (b + c * (1 + b))", {"a * (b + c * (1 + b))": 0, "b": 90, "c * (1 + b)": 35, "1": 420}),
        ("special = a * ceil_log2(c + 1)", {"a * ceil_log2(c + 1)": 0, "c": 0, "1": 20}),
        ("special = (c**2 - b) // 3", {"(c ** 2 - b) // 3": 0, "c ** 2": -3, "b": 40}),
    ],
)  # fmt: skip
def test_every_addend_of_every_sum_is_a_term(equation: str, without: dict[str, int]) -> None:
    left_out = {name: cost for name, cost in costs(equation).items() if "left out" in name}
    assert left_out == {f"{term} of special is left out": Cost(special=rest) for term, rest in without.items()}


def test_what_the_last_field_gives_goes_to_the_first() -> None:
    assert costs("special = a")["a of special is given to macs"] == Cost(macs=5)


EQUATION = Equation("mul = a * (1 + b)")
OTHER = Equation("mul = a * (1 + b)")
WRITTEN = Written(EQUATION, [Use(["first"], {EQUATION}), Use(["second"], {OTHER})])


def survivors(written: Written, **tests: Callable[[], bool]) -> list[tuple[str, str, str]]:
    search = Search(observe(tests))
    found = [(str(each.use), str(each.mutant), each.reason) for each in search.survivors(written)]
    search.check()
    return found


def whole() -> bool:
    return EQUATION.cost({"a": 3, "b": 2}) == Cost(mul=9)


def without_b() -> bool:
    return EQUATION.cost({"a": 3, "b": 0}) == Cost(mul=3)


def careless() -> bool:
    return EQUATION.cost({"a": 3, "b": 2}).mul > 0


def other_without_b() -> bool:
    return OTHER.cost({"a": 3, "b": 0}) == Cost(mul=3)


ONE_USE = Written(EQUATION, WRITTEN.uses[:1])


class TestSearch:
    def test_a_term_that_is_always_nothing_is_reported(self) -> None:
        changes = ("left out", "counted twice", "given to add")
        assert survivors(ONE_USE, without_b=without_b) == [
            ("first", f"b of mul is {change}", NO_DIFFERENCE) for change in changes
        ]
        assert survivors(ONE_USE, without_b=without_b, whole=whole) == []

    def test_a_test_that_passes_all_the_same_is_named(self) -> None:
        found = survivors(ONE_USE, careless=careless)
        assert ("first", "b of mul is left out", "careless passes all the same") in found
        assert ("first", "a * (1 + b) of mul is left out", "careless passes all the same") not in found

    def test_an_equation_that_is_not_computed_is_reported(self) -> None:
        assert {reason for _, _, reason in survivors(ONE_USE, nothing=lambda: True)} == {NEVER_COMPUTED}

    def test_a_term_may_be_nothing_in_one_use_if_it_is_noticed_in_another(self) -> None:
        assert survivors(WRITTEN, whole=whole, other_without_b=other_without_b) == []
        assert {use for use, _, _ in survivors(WRITTEN, whole=whole)} == {"second"}
        found = survivors(WRITTEN, without_b=without_b, other_without_b=other_without_b)
        assert {use for use, _, _ in found} == {"first", "second"}

    def test_a_test_that_fails_on_its_own_is_an_error(self) -> None:
        with pytest.raises(UnreliableTestError, match="wrong"):
            survivors(ONE_USE, wrong=lambda: False)
        runs = iter([True])
        with pytest.raises(UnreliableTestError, match="once"):
            survivors(ONE_USE, once=lambda: whole() and next(runs, False))


def test_a_mutant_is_what_every_count_costs_while_it_lasts() -> None:
    x = torch.empty(3, 5, device="meta")
    relu = FORMULAS["aten.relu"].equation
    assert relu is not None
    assert cost_of(torch.relu, x) == Cost(cmp=15)
    with mutated({relu}, Equation("cmp = 2 * outputs")):
        assert cost_of(torch.relu, x) == Cost(cmp=30)
        assert relu.text == "cmp = outputs"
    assert cost_of(torch.relu, x) == Cost(cmp=15)


TINY = """
import pytest
import torch
from fxcount import Cost
from tests.costing import cost_of

@pytest.mark.parametrize("length", [3, 4])
def test_mean(length, monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "mean_of_rows", lambda x: x.mean(dim=1), raising=False)
    cost = cost_of(torch.mean_of_rows, torch.empty(2, length, device="meta"))
    assert cost.div == 2
    assert cost.add CONDITION

def test_skipped():
    pytest.skip("not everywhere")
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a file of tests, of a name of its own, since Python remembers what it imported."""
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def write(name: str, text: str) -> Path:
        file = tmp_path / f"test_{name}.py"
        file.write_text(text)
        return file

    return write


@pytest.mark.parametrize(
    ("name", "condition", "expected"),
    [
        ("exact", "== 2 * length - 2", set()),
        # the subtrahend is not held
        ("loose", "in (2 * length, 2 * length - 2, 2 * length - 4)", {"left out", "counted twice"}),
    ],
)
def test_a_suite_of_pytest(name: str, condition: str, expected: set[str], suite: Callable[[str, str], Path]) -> None:
    [mean] = [written for written in written_equations() if written.uses[0].operators == ["aten.mean"]]
    assert mean.equation.text == "add = elements - results, div = results"
    found: set[str] = set()

    def look(tests: Mapping[str, Passes]) -> None:
        found.update(str(each.mutant) for each in Search(observe(tests)).survivors(mean))

    with_tests([suite(name, TINY.replace("CONDITION", condition))], look)
    assert found == {f"results of add is {change}" for change in expected}


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("that_fails", "def test_wrong():\n    assert 1 == 2\n", "fails without a mutant: .*test_wrong"),
        ("that_is_none", "import nothing_of_this_name\n", "not every test can be collected"),
        ("that_is_empty", "", "pytest finds no tests"),
    ],
)
def test_a_suite_that_proves_nothing(name: str, text: str, error: str, suite: Callable[[str, str], Path]) -> None:
    with pytest.raises(UnreliableTestError, match=error):
        with_tests([suite(name, text)], observe)


def test_what_is_one_equation() -> None:
    """What operators share, also over the quantities of several measures if it has a name, and under other names; a
    free operator has none."""
    written = {operator: each for each in written_equations() for use in each.uses for operator in use.operators}
    assert written["aten.relu"] is written["aten.threshold"]
    assert written["aten.gru"] is written["aten.lstm"]
    assert len(written["aten.gru"].uses) > 1
    assert written["quantized.relu6"] is written["aten.hardtanh"]
    assert [use.operators for use in written["quantized.linear_tanh"].uses] == [["quantized.linear_tanh"]]
    assert "fxcount.engine.higher_order.ATTENTION_EQUATION" in written
    assert "aten.view" not in written
