"""One formula per operator, a file per family, and the registry that finds them."""

from fxcount.formulas import (  # noqa: F401  # a family registers its formulas when it is imported
    accumulation,
    activations,
    attention,
    convolutions,
    distances,
    embeddings,
    fft,
    free,
    fused,
    grid_sampling,
    histograms,
    interpolation,
    linalg,
    losses,
    matrix_products,
    normalization,
    optimizer,
    pointwise,
    pooling,
    quantization,
    quantized,
    recurrent,
    reductions,
    scaled_products,
    softmax,
    sparse,
    special,
    vision,
)
from fxcount.formulas.custom import find_formula, register_formula
from fxcount.formulas.registry import FORMULAS, REFUSED, formula_named
from fxcount.formulas.schema import operator_name

__all__ = ["FORMULAS", "REFUSED", "find_formula", "formula_named", "operator_name", "register_formula"]
