"""One formula per operator, a file per family, and the registry that finds them."""

from fxcount.formulas import (  # noqa: F401  # a family registers its formulas when it is imported
    accumulation,
    attention,
    backward,
    convolutions,
    distances,
    fft,
    free,
    fused,
    grid_sampling,
    linalg,
    losses,
    matrix_products,
    normalization,
    optimizer,
    pointwise,
    pointwise_backward,
    quantized,
    recurrent,
    reductions,
    sparse,
    special,
    synchronized,
    vision,
    windows,
)
from fxcount.formulas.custom import find_formula, register_formula
from fxcount.formulas.registry import FORMULAS, REFUSED, operator_name

__all__ = ["FORMULAS", "REFUSED", "find_formula", "operator_name", "register_formula"]
