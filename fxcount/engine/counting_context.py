"""`counting`: a counter at work, and torch set so that operators reach it as the model calls them."""

import contextlib
from collections.abc import Iterator

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import fxcount.engine.higher_order  # noqa: F401  # its rules register themselves
from fxcount._torch import below_autograd, excluded_keys, forced_keys, included_keys, optimized_execution
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.without_data import WithoutData


@contextlib.contextmanager
def counting(counter: OperatorCounter | None = None, *, autograd: bool = False) -> Iterator[OperatorCounter]:
    """A counter at work, without data unless another one is given; what it overwrites is put back.

    No fused path that only some devices have, and scripted functions run as they were written. With ``autograd`` there
    are gradients, and composite operators are seen as their parts.
    """
    counter = WithoutData() if counter is None else counter
    counter.excluded_before = excluded_keys()
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    autocast_cache = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)  # or what was cast here would be used in a run afterwards
    try:
        level = _by_definition() if autograd else below_autograd()
        with optimized_execution(False), level, counter.rules(), counter:
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        torch.set_autocast_cache_enabled(autocast_cache)
        counter.restore()


@contextlib.contextmanager
def above_autograd(counter: OperatorCounter) -> Iterator[None]:
    """Inside of ``counting(counter)``: autograd is at work again."""
    with forced_keys(included_keys(), counter.excluded_before), _by_definition():
        yield


@contextlib.contextmanager
def _by_definition() -> Iterator[None]:
    """What a device has a fused kernel for, with a backward of its own, is taken apart by its definition, as without
    data."""
    as_they_are = {"deterministic": None, "allow_tf32": None, "fp32_precision": None}
    with torch.backends.mkldnn.flags(enabled=False, **as_they_are), sdpa_kernel(SDPBackend.MATH):
        yield
