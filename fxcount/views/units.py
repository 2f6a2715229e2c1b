"""Bytes and large counts as people read them."""

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


PREFIXES = ("", " K", " M", " G", " T", " P", " E")
"""Each is 1,000 times the one before."""


def count_text(count: int) -> str:
    """A count in the largest unit of which there is one.

    >>> count_text(64_334_331_904), count_text(512), count_text(999_999)
    ('64.3 G', '512', '1.0 M')
    """
    power, shown = 0, float(count)
    while abs(shown) >= 999.95 and power < len(PREFIXES) - 1:
        power, shown = power + 1, shown / 1000
    return f"{count:,}" if power == 0 else f"{shown:,.1f}{PREFIXES[power]}"
