"""Equations: what they compute, and what they refuse."""

import re
from typing import Any

import pytest

from fxcount import Cost
from fxcount.cost.equation import Equation, ceil_log2
from fxcount.errors import FormulaError

COMPUTED = {
    "": Cost(),
    "macs = a * b, add = c": Cost(macs=6, add=5),
    "macs = a*b,add = c": Cost(macs=6, add=5),
    "add = c, macs = a * b": Cost(macs=6, add=5),
    "mul = a, add = b, div = c, cmp = 7, special = 0, macs = 1": Cost(macs=1, mul=2, add=3, div=5, cmp=7),
    "mul = c * (c - b) + a ** 3": Cost(mul=5 * 2 + 8),
    "mul = c // a": Cost(mul=2),
    "mul = -a + c": Cost(mul=3),
    "cmp = c * ceil_log2(c)": Cost(cmp=5 * 3),
    "cmp = ceil_log2(a * b) + ceil_log2(c), mul = a": Cost(mul=2, cmp=3 + 3),
    "cmp = 2 * c,\n    special = c": Cost(cmp=10, special=5),
}


@pytest.mark.parametrize("text", COMPUTED)
def test_computes(text: str) -> None:
    assert Equation(text).cost({"a": 2, "b": 3, "c": 5}) == COMPUTED[text]


def test_text_is_one_line_and_names_are_its_quantities() -> None:
    equation = Equation("cmp = elements * ceil_log2(length),\n    add  =  elements")
    assert equation.text == "cmp = elements * ceil_log2(length), add = elements"
    assert equation.names == {"elements", "length"}
    assert equation.terms == {"cmp": "elements * ceil_log2(length)", "add": "elements"}


def test_large_numbers_stay_exact() -> None:
    assert Equation("macs = a * a + 1").cost({"a": 10**20}) == Cost(macs=10**40 + 1)


REFUSED = {
    "an unknown field": "flops = a",
    "a field twice": "mul = a, mul = b",
    "no expression": "mul = ",
    "no field": "a * b",
    "no blanks": "mul=a",
    "an unfinished expression": "mul = a *",
    "an open bracket": "mul = (a",
    "a closed bracket": "mul = a) + (b",
    "two expressions": "mul = a, b",
    "true division": "mul = a / b",
    "a fraction": "mul = a * 0.5",
    "a truth value": "mul = a * True",
    "text": "mul = 'a'",
    "a comparison": "mul = a > b",
    "a choice": "mul = a if b else c",
    "an attribute": "mul = a.numel",
    "an index": "mul = a[0]",
    "an unknown function": "mul = log(a)",
    "a called attribute": "mul = a.numel()",
    "a named argument": "mul = ceil_log2(n=a)",
    "a lambda": "mul = (lambda: a)()",
    "a walrus": "mul = (a := 1)",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_refuses(text: str) -> None:
    with pytest.raises(FormulaError):
        Equation(text)


def test_the_error_shows_what_is_wrong() -> None:
    with pytest.raises(FormulaError, match=r"'flops = a'.*macs, mul, add, div, cmp, special"):
        Equation("mul = b, flops = a")


@pytest.mark.parametrize(
    ("n", "halvings"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (2**70, 70), (2**70 + 1, 71)]
)
def test_ceil_log2(n: int, halvings: int) -> None:
    assert ceil_log2(n) == halvings


@pytest.mark.parametrize(
    ("quantities", "message"),
    [
        ({"elements": 1}, "{'elements': 1} do not fit 'cmp = outputs': name 'outputs' is not defined"),
        ({"outputs": None}, "{'outputs': None} do not fit"),
    ],
)
def test_quantities_that_do_not_fit(quantities: Any, message: str) -> None:
    with pytest.raises(FormulaError, match=re.escape(message)):
        Equation("cmp = 2 * outputs" if "outputs" in quantities else "cmp = outputs").cost(quantities)
