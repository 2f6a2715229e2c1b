"""Fourier transforms: 2 n log2 n multiplications and 3 n log2 n additions per transform of n complex numbers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import fft

from fxcount import Cost
from tests.costing import calls_of, cost_of

meta = partial(torch.empty, device="meta")
complex_ = partial(torch.empty, dtype=torch.complex64, device="meta")

TRANSFORMS: dict[str, tuple[Callable[[], Any], Cost]] = {
    "complex, 16 = 2^4 points, 3 lines": (partial(fft.fft, complex_(3, 16)), 3 * Cost(mul=2 * 16 * 4, add=3 * 16 * 4)),
    "complex, 15 points, log2 15 is rounded up": (
        partial(fft.fft, complex_(3, 15)),
        3 * Cost(mul=2 * 15 * 4, add=3 * 15 * 4),
    ),
    "one point": (partial(fft.fft, complex_(3, 1)), Cost()),
    "two points": (partial(fft.fft, complex_(2)), Cost(mul=2 * 2, add=3 * 2)),
    "double": (partial(fft.fft, complex_(4, dtype=torch.complex128)), Cost(mul=2 * 4 * 2, add=3 * 4 * 2)),
    "first axis": (partial(fft.fft, complex_(4, 5), dim=0), 5 * Cost(mul=2 * 4 * 2, add=3 * 4 * 2)),
    "strided": (partial(fft.fft, complex_(5, 8).t()[::2], dim=0), 5 * Cost(mul=2 * 4 * 2, add=3 * 4 * 2)),
    "padded to 8": (partial(fft.fft, complex_(3, 5), n=8), 3 * Cost(mul=2 * 8 * 3, add=3 * 8 * 3)),
    "no lines": (partial(fft.fft, complex_(0, 16)), Cost()),
    # 1/n, or 1/sqrt(n), times each of 3 * 16 complex numbers
    "inverse": (partial(fft.ifft, complex_(3, 16)), 3 * Cost(mul=2 * 16 * 4 + 2 * 16, add=3 * 16 * 4)),
    "orthonormal": (partial(fft.fft, complex_(3, 16), norm="ortho"), 3 * Cost(mul=2 * 16 * 4 + 2 * 16, add=3 * 16 * 4)),
    "inverse, not scaled": (
        partial(fft.ifft, complex_(3, 16), norm="forward"),
        3 * Cost(mul=2 * 16 * 4, add=3 * 16 * 4),
    ),
    # half of a complex transform
    "real": (partial(fft.rfft, meta(3, 16)), 3 * Cost(mul=16 * 4, add=3 * 8 * 4)),
    "real, both sides": (partial(fft.fft, meta(3, 16)), 3 * Cost(mul=16 * 4, add=3 * 8 * 4)),
    "real, 5 points": (partial(fft.rfft, meta(3, 5)), 3 * Cost(mul=5 * 3, add=22)),  # 3 * 5 * 3 / 2 = 22.5
    "real, one point": (partial(fft.rfft, meta(3, 1)), Cost()),
    "real, scaled": (partial(fft.rfft, meta(3, 16), norm="ortho"), 3 * Cost(mul=16 * 4 + 2 * 9, add=3 * 8 * 4)),
    "real, scaled, both sides": (partial(fft.ifft, meta(3, 16)), 3 * Cost(mul=16 * 4 + 2 * 16, add=3 * 8 * 4)),
    "to real": (partial(fft.irfft, complex_(3, 9)), 3 * Cost(mul=16 * 4 + 16, add=3 * 8 * 4)),
    "to real, 15 points": (partial(fft.irfft, complex_(3, 8), n=15), 3 * Cost(mul=15 * 4 + 15, add=3 * 15 * 4 // 2)),
    "to real, not scaled": (partial(fft.hfft, complex_(3, 9)), 3 * Cost(mul=16 * 4, add=3 * 8 * 4)),
    # 4 lines of 6 points (log2 rounded up: 3), then 6 lines of 4
    "complex, two axes": (
        partial(fft.fft2, complex_(2, 4, 6)),
        2 * (4 * Cost(mul=2 * 6 * 3, add=3 * 6 * 3) + 6 * Cost(mul=2 * 4 * 2, add=3 * 4 * 2)),
    ),
    "complex, three axes": (
        partial(fft.fftn, complex_(2, 4, 6)),
        48 * (Cost(mul=2 * 3, add=3 * 3) + Cost(mul=2 * 2, add=3 * 2) + Cost(mul=2 * 1, add=3 * 1)),
    ),
    "real numbers cast to complex, two axes": (
        partial(fft.fft2, meta(4, 6)),
        4 * Cost(mul=2 * 6 * 3, add=3 * 6 * 3) + 6 * Cost(mul=2 * 4 * 2, add=3 * 4 * 2),
    ),
    # 4 real lines of 6, of which 4 complex numbers remain: 4 complex lines of 4
    "real, two axes": (
        partial(fft.rfft2, meta(2, 4, 6)),
        2 * (4 * Cost(mul=6 * 3, add=3 * 3 * 3) + 4 * Cost(mul=2 * 4 * 2, add=3 * 4 * 2)),
    ),
    "to real, two axes": (
        partial(fft.irfft2, complex_(2, 4, 4)),
        2 * (4 * Cost(mul=6 * 3 + 6, add=3 * 3 * 3) + 4 * Cost(mul=2 * 4 * 2, add=3 * 4 * 2)),
    ),
    "to real, two axes, by parts": (
        partial(fft.hfft2, complex_(4, 4)),
        4 * Cost(mul=6 * 3, add=3 * 3 * 3) + 4 * Cost(mul=2 * 4 * 2, add=3 * 4 * 2),
    ),
    "shifted": (partial(fft.ifftshift, complex_(5)), Cost()),
}


@pytest.mark.parametrize(("transform", "expected"), TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms(transform: Callable[[], Any], expected: Cost) -> None:
    assert cost_of(transform) == expected


def test_data_and_results_given() -> None:
    assert cost_of(fft.rfft, torch.randn(3, 16)) == 3 * Cost(mul=16 * 4, add=3 * 8 * 4)
    assert cost_of(fft.fft, complex_(16), out=complex_(16)) == Cost(mul=2 * 16 * 4, add=3 * 16 * 4)


# 400 samples, reflected to 464, are 1 + 400 / 16 = 26 frames of 64 = 2^6.
def test_short_time_transform() -> None:
    window = meta(64)
    framed = 2 * 26 * Cost(mul=64)
    transformed = 2 * 26 * Cost(mul=64 * 6, add=3 * 32 * 6)
    stft = partial(torch.stft, n_fft=64, hop_length=16, return_complex=True)
    assert cost_of(stft, meta(2, 400), window=window) == framed + transformed
    # scaled: 33 complex numbers of each frame
    scaled = 2 * 26 * Cost(mul=2 * 33)
    assert cost_of(stft, meta(2, 400), window=window, normalized=True) == framed + transformed + scaled


def test_inverse_short_time_transform() -> None:
    calls = calls_of(torch.istft, complex_(2, 33, 26), n_fft=64, hop_length=16, window=meta(64))
    transforms = [call.cost for call in calls if call.name.startswith("aten._fft")]
    assert transforms == [2 * 26 * Cost(mul=64 * 6 + 64, add=3 * 32 * 6)]
