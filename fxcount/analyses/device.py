"""`Device`: what a device can do at best in a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from fxcount.errors import InputError


@dataclass(frozen=True)
class Device:
    """The rates of a device: no run on it is faster.

    >>> Device("mine", {torch.float32: 10e12}, bandwidth=500e9).peak[torch.float32]
    10000000000000.0
    """

    name: str
    """As people call it."""
    peak: Mapping[torch.dtype, float]
    """Operations in a second, by the dtype of what they are done on; a multiply-accumulate is two. Dense ones: rates
    for weights of which half are zero are not meant."""
    bandwidth: float
    """Bytes that its memory reads and writes in a second."""
    memory: int | None = None
    """The bytes that it holds; None where that is not known."""
    source: str = ""
    """Where the figures come from."""
    reduced_float32: float | None = None
    """Operations in a second in products of float32 that are computed with fewer bits, as torch does by default in
    convolutions, and in all products where ``torch.set_float32_matmul_precision`` allows it."""

    links: Mapping[str, float] = field(default_factory=dict)
    """Bytes that a rank sends in a second over each axis of a mesh, such as ``{"tp": 450e9, "dp": 50e9}``."""

    def __post_init__(self) -> None:
        peaks = ((str(dtype), rate) for dtype, rate in self.peak.items())
        links = ((f"link over {axis}", rate) for axis, rate in self.links.items())
        for name, rate in (("bandwidth", self.bandwidth), *peaks, *links):
            if not rate > 0:
                raise InputError(f"{self.name}: the {name} must be positive, not {rate}")
        if not self.peak:
            raise InputError(f"{self.name} has no peak: give one for each dtype, such as {{torch.float32: 10e12}}")

    def rate(self, dtypes: Iterable[torch.dtype], reduced: bool = False) -> float:
        """The operations in a second on tensors of these dtypes: the largest of theirs, and for a dtype that has no
        peak the largest of all. With ``reduced``, products of float32 may be computed with fewer bits."""
        rates = []
        for dtype in {dtype.to_real() for dtype in dtypes}:
            rates.append(self.peak.get(dtype, max(self.peak.values())))
            if reduced and dtype is torch.float32 and self.reduced_float32 is not None:
                rates.append(self.reduced_float32)
        return max(rates, default=max(self.peak.values()))

    def lacks(self, size: int) -> int:
        """The bytes that are too many for its memory; 0 where they fit, or where no memory is known."""
        return 0 if self.memory is None else max(0, size - self.memory)

    @classmethod
    def measure(cls, seconds: float = 6.0) -> Self:
        """This machine's CPU, measured on the spot: matrix products of several sizes for the peak of each dtype, and a
        copy, a sum and a fill of several sizes for the bandwidth, the fastest of each. It takes about ``seconds``, or
        as long as it takes to run each a few times. Sizes that fit into a cache are among them, for what a model
        computes may lie there too: it is no rate of the memory alone."""
        dtypes = (torch.float32, torch.bfloat16, torch.float64)
        each = seconds / (len(dtypes) + 1)
        peak = {dtype: _fastest(_products(dtype), each) for dtype in dtypes}
        return cls(
            f"this CPU, {torch.get_num_threads()} threads",
            {dtype: rate for dtype, rate in peak.items() if rate},
            _fastest(_moves(), each),
            source="measured by Device.measure(): matrix products and a convolution; a copy, a sum and a fill",
        )


Work = tuple[Callable[[], Any], float]
"""Something to run, and how many operations or bytes it is."""


def _products(dtype: torch.dtype) -> Iterable[Work]:
    """Matrix products and convolutions, of which now these and now those come closer to what a CPU can."""
    for size in (256, 512, 1024, 1536):
        a, b = torch.ones(size, size, dtype=dtype), torch.ones(size, size, dtype=dtype)
        out = torch.empty(size, size, dtype=dtype)
        yield (lambda a=a, b=b, out=out: torch.mm(a, b, out=out)), 2 * size**3  # type: ignore[misc]
    for batch, channels, side, taps in (
        *((1, 128, 56, 1), (4, 128, 28, 1), (1, 256, 56, 1), (1, 128, 56, 3), (1, 256, 56, 3), (1, 512, 28, 3)),
        *((4, 64, 56, 3), (8, 128, 28, 3), (4, 128, 28, 5), (8, 64, 28, 5), (4, 64, 28, 7), (4, 64, 56, 7)),
    ):
        around = side + taps - 1
        x = torch.ones(batch, channels, around, around, dtype=dtype)  # no padding, for kernels leave it out
        weight = torch.ones(channels, channels, taps, taps, dtype=dtype)
        operations = 2 * batch * (channels * side * taps) ** 2
        yield (lambda x=x, weight=weight: torch.conv2d(x, weight)), operations  # type: ignore[misc]


def _moves() -> Iterable[Work]:
    for elements in (2**12, 2**14, 2**16, 2**18, 2**20, 2**24):
        x, y = torch.ones(elements), torch.ones(elements)
        yield (lambda x=x, y=y: y.copy_(x)), 8 * elements  # type: ignore[misc]
        yield (lambda x=x: x.sum()), 4 * elements  # type: ignore[misc]
        yield (lambda y=y: y.fill_(1.0)), 4 * elements  # type: ignore[misc]


def _fastest(works: Iterable[Work], seconds: float) -> float:
    """The highest rate of any run of any of these, 0 where none can be run. Half the time is for all, the rest for
    those that were fastest."""
    runs = [*works]
    rates = [(_rate(work, seconds / 2 / len(runs)), work) for work in runs]
    again = sorted(rates, key=lambda each: each[0])[-4:]
    return max(*(rate for rate, _ in again), *(_rate(work, seconds / 2 / len(again)) for _, work in again))


def _rate(work: Work, seconds: float) -> float:
    """That of the fastest of the runs in so many seconds."""
    run, amount = work
    best, end = 0.0, time.perf_counter() + seconds
    try:
        run()  # the first one sets up what later ones use
        now = 0.0
        while now < end:
            started = time.perf_counter()
            run()
            now = time.perf_counter()
            best = max(best, amount / (now - started))
    except (RuntimeError, NotImplementedError):
        return 0.0
    return best
