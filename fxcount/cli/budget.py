"""Budgets: what a model may cost at most, such as ``5G``."""

import re
from decimal import Decimal

from fxcount.errors import InputError

FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


def parse_count(text: str) -> int:
    """The exact number that is written with a factor: ``4.1G`` is 4,100,000,000.

    Raises:
        InputError: the text is no number, or no whole one.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGTP]?)", text.upper(), re.ASCII)
    if match is None:
        raise InputError(f"a budget is a number such as 5G or 30M, not {text!r}")
    number = Decimal(match[1]) * FACTORS[match[2]]
    if number != int(number):
        raise InputError(f"a budget is a whole number, not {text!r}")
    return int(number)


def excess(amount: int, budget: int, unit: str) -> str:
    """By how much ``amount`` exceeds ``budget``, in words; empty if it does not."""
    if amount <= budget:
        return ""
    over = f" ({(amount - budget) / budget:.1%})" if budget else ""
    return f"{amount:,} {unit} exceed the budget of {budget:,} by {amount - budget:,}{over}"
