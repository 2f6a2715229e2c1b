"""Bytes as people read them."""

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
