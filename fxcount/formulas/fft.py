"""Fast Fourier transforms: one transform for every line along each transformed axis.

A transform of n complex points has log2 n levels of n/2 butterflies, each a complex product, 4 mul and 2 add, and two
complex sums, 4 add: 2 n log2 n mul and 3 n log2 n add (Cooley, Tukey, "An Algorithm for the Machine Calculation of
Complex Fourier Series", 1965). A real transform takes half. Where n is not a power of two, its log2 is rounded up. A
normalisation other than none is one multiplication for each real number of the output.
"""

from collections.abc import Sequence

from fxcount.cost import Quantities, Size
from fxcount.cost.equation import ceil_log2
from fxcount.formulas.registry import formula
from fxcount.formulas.tensor import Tensor

REAL = (
    "mul = lines * n * ceil_log2(n) + 2 * points * levels + scaled, "
    "add = lines * (3 * n * ceil_log2(n) // 2) + 3 * points * levels"
)
"""Lines of n real numbers, and points of which each has a part in the complex transforms along all other axes."""


def _levels(x: Tensor, axes: Sequence[int]) -> Size:
    return sum(ceil_log2(x.shape[axis]) for axis in axes)


@formula("_fft_c2c", "mul = 2 * points * levels + scaled, add = 3 * points * levels", complex_stated=True)
def complex_transform(x: Tensor, dim: Sequence[int], normalization: int, *, out: Tensor) -> Quantities:
    """Every point has a part in one transform along each axis: levels is the sum of log2 n over the axes."""
    return {"points": x.numel(), "levels": _levels(x, dim), "scaled": 2 * out.numel() if normalization else 0}


@formula("_fft_r2c", REAL, complex_stated=True)
def real_transform(x: Tensor, dim: Sequence[int], normalization: int, *, out: Tensor) -> Quantities:
    """The last of the axes is transformed from n real to n//2 + 1 complex numbers, which then are transformed along the
    other axes. The other half of a two-sided result mirrors the first and is only copied, but scaled with it."""
    n = x.shape[dim[-1]]
    lines = x.numel() // max(1, n)
    return {
        "lines": lines,
        "n": n,
        "points": lines * (n // 2 + 1),
        "levels": _levels(x, dim[:-1]),
        "scaled": 2 * out.numel() if normalization else 0,
    }


@formula("_fft_c2r", REAL, complex_stated=True)
def transform_to_real(
    x: Tensor, dim: Sequence[int], normalization: int, last_dim_size: Size, *, out: Tensor
) -> Quantities:
    """The inverse of a real transform: complex along all axes but the last, and along that from the half spectrum to n
    real numbers."""
    return {
        "lines": out.numel() // max(1, last_dim_size),
        "n": last_dim_size,
        "points": x.numel(),
        "levels": _levels(x, dim[:-1]),
        "scaled": out.numel() if normalization else 0,
    }
