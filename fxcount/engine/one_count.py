"""`one_count`: what surrounds every count."""

import contextlib
import gc
import threading
from collections.abc import Iterator, Set

from torch import nn

from fxcount.engine.compilation import uncompiled
from fxcount.engine.sharding import sharding_uncounted

_ONE_AT_A_TIME = threading.RLock()
"""A count sets functions and settings of torch for its time, and puts back what it found."""


@contextlib.contextmanager
def one_count() -> Iterator[Set[nn.Module]]:
    """While it lasts, no other count is at work, nothing is compiled, how tensors are split is found out unseen, and
    Python does not search for garbage: a graph of many nodes is none, and is all that is made. The modules are those
    whose gradients are summed over ranks, as they run."""
    with _ONE_AT_A_TIME, uncompiled(), sharding_uncounted() as wrappers:
        enabled = gc.isenabled()
        gc.disable()
        try:
            yield wrappers
        finally:
            if enabled:
                gc.enable()
