import pytest

from fxcount import InputError
from fxcount.cli.budget import excess, parse_count, parse_size


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("1344", 1344), ("5G", 5 * 10**9), ("30m", 30 * 10**6), ("4.1G", 4_100_000_000), ("1.5k", 1500),
     ("2T", 2 * 10**12), ("1.9e9", 1_900_000_000), ("1E+3", 1000), ("0.3P", 3 * 10**14)],
)  # fmt: skip
def test_a_number_with_a_factor(text: str, number: int) -> None:
    assert parse_count(text) == number


@pytest.mark.parametrize("text", ["", "G", "5B", "5 G", "-1", "1e", "1e-3", "1e999", "1.5", "0.0001K", "٣"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a budget is"):
        parse_count(text)


def test_by_how_much_a_budget_is_exceeded() -> None:
    assert excess(5, 5, "parameters") == ""
    assert excess(1344, 1000, "parameters") == "1,344 parameters exceed the budget of 1,000 by 344 (34.4%)"
    assert excess(2, 0, "parameters") == "2 parameters exceed the budget of 0 by 2"


@pytest.mark.parametrize(
    ("text", "size"),
    [("116", 116), ("24GiB", 24 * 2**30), ("24 gib", 24 * 2**30), ("500MB", 500 * 10**6), ("1.5kib", 1536), ("7B", 7)],
)
def test_a_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "5G", "GiB", "1iB", "-1MB", "3XB"])
def test_no_size(text: str) -> None:
    with pytest.raises(InputError, match="a size is a number of bytes such as 24GiB or 500MB"):
        parse_size(text)
