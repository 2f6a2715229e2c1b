"""Numbers of an example that know their expressions."""

from math import prod

from hypothesis import given
from hypothesis import strategies as st

from fxcount.cost import Cost, Equation
from fxcount.sizes.example_numbers import ExampleNumber, expression_of, least, several
from fxcount.sizes.expressions import put_in, symbol

N = symbol("n")


def number(of: object, n: int = 6) -> ExampleNumber:
    return ExampleNumber.of(of, {"n": n})


def test_it_decides_as_its_number_and_computes_as_its_expression() -> None:
    six = number(N)
    assert six == 6
    assert six > 5
    assert sorted([number(2 * N), 7, six]) == [6, 7, 12]
    assert expression_of(3 * six + 1) == 3 * N + 1
    assert expression_of(10 - six) == 10 - N
    assert expression_of(prod([2, six, six])) == 2 * N**2
    assert expression_of(sum([six, 1])) == N + 1
    assert f"{1000 * six:,}" == "1,000*n"
    assert f"{-six:+,}" == "-n"
    assert f"{six:+,}" == "+n"


def test_equal_numbers_of_other_expressions_are_not_equal() -> None:
    assert number(2 * N) != number(N + 6)
    assert number(N * (N + 1)) == number(N**2 + N)
    assert number(2 * N) == 12


def test_the_smaller_one_whatever_the_sizes() -> None:
    smaller = least(number(N), 100)
    assert smaller == 6
    assert put_in(expression_of(smaller), {"n": 500}) == 100
    assert least(3, 4) == 3


@given(st.integers(2, 60), st.integers(2, 60))
def test_an_equation_of_it_is_right_at_other_sizes(here: int, there: int) -> None:
    equation = Equation("cmp = n * ceil_log2(n) - n // 3, mul = n**2, add = 5 - n")
    symbolic = equation.cost({"n": number(N, here)})
    assert symbolic.mul == here**2
    fields = {name: put_in(expression_of(value), {"n": there}) for name, value in symbolic.to_dict().items()}
    assert Cost(**fields) == equation.cost({"n": there})


def test_no_size_is_one() -> None:
    assert several({"a": 1, "b": 7, "c": 1}, {"c": 3}) == {"a": 11, "b": 7, "c": 3}
