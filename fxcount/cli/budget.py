"""Budgets: what a model may cost at most, such as ``5G``."""

import re
from decimal import Decimal

from fxcount.errors import InputError

FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


def parse_count(text: str) -> int:
    """The exact number that is written with a factor or a power of ten: ``4.1G`` and ``4.1e9`` are 4,100,000,000.

    Raises:
        InputError: the text is no number, or no whole one.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?(?:E\+?\d{1,2})?)([KMGTP]?)", text.upper(), re.ASCII)
    if match is None:
        raise InputError(f"a budget is a number such as 5G or 30M, not {text!r}")
    number = Decimal(match[1]) * FACTORS[match[2]]
    if number != int(number):
        raise InputError(f"a budget is a whole number, not {text!r}")
    return int(number)


def parse_size(text: str) -> int:
    """The bytes that are written with a unit: ``24GiB`` is 24 times 1,024 to the third, ``24GB`` 24 times 1,000 to the
    third.

    Raises:
        InputError: the text is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([KMGTP]?)(I?)B)?", text.upper(), re.ASCII)
    if match is None or (match[3] and not match[2]):
        raise InputError(f"a size is a number of bytes such as 24GiB or 500MB, not {text!r}")
    power = "KMGTP".find(match[2]) + 1 if match[2] else 0
    return int(Decimal(match[1]) * (1024 if match[3] else 1000) ** power)


def excess(amount: int, budget: int, unit: str) -> str:
    """By how much ``amount`` exceeds ``budget``, in words; empty if it does not."""
    if amount <= budget:
        return ""
    over = f" ({(amount - budget) / budget:.1%})" if budget else ""
    return f"{amount:,} {unit} exceed the budget of {budget:,} by {amount - budget:,}{over}"
