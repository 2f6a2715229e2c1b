"""Conditions on sizes: in the form in which people read them, without what always holds."""

from typing import Any

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fxcount.sizes.conditions import Condition, caveat, excluded, isolated, more_than_one, solved, tightest, within
from fxcount.sizes.expressions import put_in, read, symbol

N, M = symbol("n"), symbol("m")


@pytest.mark.parametrize(
    ("relation", "text"),
    [
        (N - 4095 < 0, ["n <= 4,094"]),
        (2 * N + 1 > 8, ["n >= 4"]),
        (3 * N <= 10, ["n <= 3"]),
        (sympy.Ne(3 * N, 64), []),
        (sympy.Ne(3 * N, 63), ["n != 21"]),
        (sympy.Eq(sympy.Mod(N, 32), 0), ["n % 32 == 0"]),
        (sympy.floor(N / 16) >= 1, ["n >= 16"]),
        (sympy.ceiling(N / 4) <= 3, ["n <= 12"]),
        (sympy.ceiling(N / 4) > 3, ["n >= 13"]),
        (sympy.And(N >= 3, M <= 5), ["m <= 5", "n >= 3"]),
        (sympy.Ne(7 * sympy.floor(N / 2) * sympy.floor(M / 3), 0), ["m >= 3", "n >= 2"]),
        (N >= 1, []),
        (2 * sympy.floor(N / 2) - N <= 1, []),
        (2 * sympy.ceiling(sympy.floor(N / 2) / 2) - sympy.floor(N / 2) <= 1, []),
        (2 * sympy.ceiling(N / 2) - N <= 0, ["2*ceiling(n/2) - n <= 0"]),
    ],
)
def test_a_relation_is_isolated(relation: Any, text: list[str]) -> None:
    shown = [str(Condition(each, "")) for each in isolated(relation)]
    assert sorted(each.replace("-n + 2*ceiling(n/2)", "2*ceiling(n/2) - n") for each in shown) == text


@settings(deadline=None, max_examples=30)
@given(st.integers(-9, 9).filter(bool), st.integers(-40, 40), st.sampled_from(["<", "<=", ">", ">=", "=", "!="]))
def test_isolating_changes_no_answer(factor: int, rest: int, sign: str) -> None:
    kinds = {"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "=": sympy.Eq, "!=": sympy.Ne}
    relation = kinds[sign](factor * sympy.floor(N / 3) + rest, 0)
    assume(any(bool(relation.subs(N, size)) for size in range(1, 150)))  # as of every one that was asked
    apart = [*isolated(relation)]
    for size in range(1, 150):
        assert all(bool(put_in(each, {"n": size})) for each in apart) == bool(relation.subs(N, size))


def test_a_condition_holds_at_sizes() -> None:
    condition = Condition(N <= 512, "model.py:3")
    assert condition.holds({"n": 512, "m": 4})
    assert not condition.holds({"n": 513, "m": 4})
    assert condition.most == 512
    assert str(condition) == "n <= 512 (model.py:3)"


def test_what_a_condition_leaves_out() -> None:
    assert excluded(sympy.Ne(N, 7)) == sympy.Eq(N, 7)
    assert excluded(more_than_one("n")) == sympy.Eq(N, 1)
    assert excluded(N <= 7) is None


@pytest.mark.parametrize("text", ["2*n - 14", "n*m - 21", "floor(n/2) - 3"])
def test_sizes_of_which_an_equality_is_true(text: str) -> None:
    found = next(iter(solved(sympy.Eq(read(text), 0), {"n": 5, "m": 3})))
    assert put_in(read(text), found) == 0


def test_bounds_that_others_imply_are_left_out() -> None:
    some = [Condition(each, "") for each in (N >= 3, N >= 5, M <= 9, N >= 4, M <= 12)]
    assert [str(each) for each in tightest(some)] == ["n >= 5", "m <= 9"]


def test_every_caveat_is_kept() -> None:
    some = [caveat("one"), caveat("other"), caveat("one")]
    assert [str(each) for each in tightest(some)] == ["one", "other"]


def test_the_bounds_of_a_size() -> None:
    assert [*within("n", (1, None))] == []
    assert [*within("n", (2, 8))] == [N >= 2, N <= 8]
