"""`one_count`: what surrounds every count."""

import contextlib
import gc
import threading
from collections.abc import Iterator

from fxcount.engine.compilation import uncompiled

_ONE_AT_A_TIME = threading.RLock()
"""A count sets functions and settings of torch for its time, and puts back what it found."""


@contextlib.contextmanager
def one_count() -> Iterator[None]:
    """While it lasts, no other count is at work, nothing is compiled, and Python does not search for garbage: a graph
    of many nodes is none, and is all that is made."""
    with _ONE_AT_A_TIME, uncompiled():
        enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if enabled:
                gc.enable()
