"""Bytes and large counts as people read them."""

from fxcount.errors import InputError
from fxcount.sizes.example_numbers import ExampleNumber

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
"""Each is 1,024 times the one before."""


def size_text(size: int) -> str:
    """Bytes in the largest unit of which there is one.

    >>> size_text(25_690_624), size_text(512), size_text(-2048)
    ('24.5 MiB', '512 B', '-2.0 KiB')
    """
    if isinstance(size, ExampleNumber):
        return f"{size:,} B"
    power = min(max(abs(size).bit_length() - 1, 0) // 10, len(UNITS) - 1)
    return f"{size:,} B" if power == 0 else f"{size / 1024**power:,.1f} {UNITS[power]}"


PREFIXES = ("", "K", "M", "G", "T", "P", "E")
"""Each is 1,000 times the one before."""

UNITS_OF_COUNTS = ("auto", "exact", *PREFIXES[1:])


def count_text(count: int, units: str = "auto") -> str:
    """A count ``exact``, in one unit such as ``G``, or by three digits in the largest unit of which there is one.

    >>> count_text(64_334_331_904), count_text(512), count_text(999_999), count_text(4_089_184_256)
    ('64.3 G', '512', '1.00 M', '4.09 G')
    >>> count_text(64_334_331_904, "exact"), count_text(64_334_331_904, "T")
    ('64,334,331,904', '0.06 T')
    """
    if units == "exact" or isinstance(count, ExampleNumber) or (units == "auto" and abs(count) < 1000):
        return f"{count:,}"
    if units != "auto":
        return f"{count / 1000 ** PREFIXES.index(units):,.2f} {units}"
    power, shown = 0, float(count)
    while abs(shown) >= 999.5 and power < len(PREFIXES) - 1:
        power, shown = power + 1, shown / 1000
    return f"{shown:.{2 if abs(shown) < 9.995 else 1 if abs(shown) < 99.95 else 0}f} {PREFIXES[power]}"


def check_units(units: str) -> None:
    """
    Raises:
        InputError: there is no such unit.
    """
    if units not in UNITS_OF_COUNTS:
        raise InputError(f"unknown units {units!r}; counts are written {', '.join(UNITS_OF_COUNTS)}")


def plural(number: int, noun: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
