"""Expressions in sizes: numbers put in, written, read back, summed."""

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from fxcount import FxcountError
from fxcount.errors import InputError
from fxcount.sizes.expressions import functions, mapped, names_in, put_in, read, summed, symbol, written

B, N = symbol("batch"), symbol("length")

numbers = st.integers(1, 50).map(sympy.Integer)
expressions = st.recursive(
    st.one_of(numbers, st.sampled_from([B, N])),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1]),
        st.tuples(inner, st.integers(1, 7)).map(lambda pair: sympy.floor(pair[0] / pair[1])),
        st.tuples(inner, st.integers(1, 7)).map(lambda pair: sympy.ceiling(pair[0] / pair[1])),
        st.tuples(inner, inner).map(lambda pair: sympy.Max(*pair)),
        st.tuples(inner, st.integers(2, 7)).map(lambda pair: sympy.Mod(*pair)),
        inner.map(lambda each: functions()["ceil_log2"](each)),
    ),
    max_leaves=6,
)


def test_numbers_are_put_in() -> None:
    assert put_in(3 * B * N**2 + 1, {"batch": 2, "length": 5}) == 151
    assert type(put_in(B, {"batch": 2})) is int
    assert put_in(B * N, {"batch": 2}) == 2 * N
    assert put_in(7, {"batch": 2}) == 7


def test_a_floor_is_exact_for_large_numbers() -> None:
    assert put_in(sympy.floor((3 * N - 1) / 7), {"length": 10**30}) == (3 * 10**30 - 1) // 7


def test_the_names_in_an_expression() -> None:
    assert names_in(B * sympy.floor(N / 2)) == {"batch", "length"}
    assert names_in(4) == frozenset()


def test_an_expression_is_written_with_separators() -> None:
    assert written(1814073344 * B + 4096 * N**2 + 512) == "1,814,073,344*batch + 4,096*length**2 + 512"
    assert written(1234567) == "1,234,567"
    assert written(symbol("x1000") * 10) == "10*x1000"


@given(expressions, st.integers(1, 300), st.integers(1, 300))
def test_what_is_written_is_read_back(expression: sympy.Expr, batch: int, length: int) -> None:
    again = read(str(expression))
    sizes = {"batch": batch, "length": length}
    assert put_in(again, sizes) == put_in(expression if names_in(expression) else int(expression), sizes)


@pytest.mark.parametrize("text", ["__import__('os')", "a.b", "f(x)", "1.5", "a +", "[1]", "lambda: 1", "'a'"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(FxcountError, match="not an expression in sizes"):
        read(text)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 20), st.integers(1, 20))
def test_a_sum_in_closed_form(square: int, linear: int, start: int, count: int) -> None:
    value = square * N**2 + linear * B * N + 7 if square or linear else 7
    closed = summed(value, "length", read("first"), read("steps"))
    by_hand = sum(square * n**2 + linear * 3 * n + 7 for n in range(start, start + count))
    assert put_in(closed, {"first": start, "steps": count, "batch": 3}) == by_hand


def test_a_sum_of_floors_needs_numbers() -> None:
    value = sympy.floor(N / 3)
    assert summed(value, "length", 1, 10) == sum(n // 3 for n in range(1, 11))
    with pytest.raises(InputError, match="no closed form"):
        summed(value, "length", 1, read("steps"))


def test_sizes_are_found_inside_of_containers() -> None:
    found = mapped({"a": (1, [B]), "b": slice(B, 2)}, sympy.Expr, lambda each: put_in(each, {"batch": 9}))
    assert found == {"a": (1, [9]), "b": slice(9, 2)}
