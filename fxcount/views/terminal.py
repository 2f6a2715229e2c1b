"""What the place that text is printed to can show."""

import os
import shutil
import sys


def terminal_width() -> int | None:
    """The columns of the terminal that is printed to; None where that is a file, a pipe or a notebook."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def draws_bars() -> bool:
    """Whether what is printed to is a terminal that shows block characters; ``NO_COLOR`` asks for plain text."""
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain and printable("█", "") == "█"


def printable(text: str, otherwise: str) -> str:
    """``text``, or ``otherwise`` where the encoding of the output does not have its characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return otherwise
    return text


def shorten(text: str, width: int) -> str:
    """``text`` in ``width`` characters at most: where it is longer, an ellipsis stands for what is left out.

    >>> shorten("encoder.layers.11.attention", 16)
    'encoder…ttention'
    """
    if len(text) <= width:
        return text
    sign = printable("…", "...")
    kept = max(width - len(sign), 0)
    end = (kept + 1) // 2
    return text[: kept - end] + sign + text[len(text) - end :]
