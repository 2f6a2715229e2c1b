"""Matrix products of numbers of few bits, and the scales that are operands of the call."""

from collections.abc import Sequence

import torch

from fxcount.cost import Quantities, Size
from fxcount.formulas.contractions import bias_additions
from fxcount.formulas.registry import formula, formulas
from fxcount.formulas.tensor import Tensor


@formulas(
    {
        "macs = outputs * contracted": "_dyn_quant_matmul_4bit",
        "macs = outputs * contracted, mul = outputs": "_weight_int8pack_mm",
        "macs = outputs * contracted, mul = columns * contracted, add = columns * contracted": (
            "_weight_int4pack_mm _weight_int4pack_mm_for_cpu _weight_int4pack_mm_with_scales_and_zeros "
            "quantized.int4mm_packed_weight_cpu"
        ),
    }
)
def weight_only_product(x: Tensor, *, out: Tensor) -> Quantities:
    """x W^T. In 8 bits W_n = scale_n q_n for row n, so that the scale is multiplied with once per output element. In 4
    bits W = scale (q - 8) + zero per group: a multiplication and an addition per weight. Where scales (and a bias) are
    packed into the weight they are not operands, and only the product is counted."""
    return {"outputs": out.numel(), "contracted": x.shape[-1], "columns": out.shape[-1]}


@formula("_grouped_mm", "macs = outputs * contracted // groups, add = biases")
def grouped_product(a: Tensor, b: Tensor, *, bias: Tensor | None, out: Tensor) -> dict[str, Size]:
    """One matrix product per group: groups of rows of ``a`` [rows, K] meet their own [K, N], groups of columns of
    ``b`` their own [M, K], and two matrices give [groups, M, N], a product for each of the groups that the contracted
    axis is cut into. One byte holds two numbers of four bits."""
    packed_pairs = a.dtype == torch.float4_e2m1fn_x2
    return {
        "outputs": out.numel(),
        "contracted": (1 + packed_pairs) * a.shape[-1],
        "groups": max(1, out.shape[0]) if a.dim() == 2 and b.dim() == 2 and out.dim() == 3 else 1,
        "biases": bias_additions(bias, out),
    }


SCALED = "macs = outputs * contracted // groups, mul = outputs * scales, add = biases"

BLOCK_OF_DTYPE = {torch.float8_e8m0fnu: 32, torch.float8_e4m3fn: 16}
BLOCK_OF_RECIPE = {2: 16, 3: 32, 4: 128, 5: 128}
"""The lengths of blocks by the number of a ``torch.nn.functional.ScalingType``; 0 and 1 are whole tensors and rows."""


def _blocks(contracted: Size, length: Size) -> Size:
    return -(-contracted // length)


def _scales(scale: Tensor, axis: int, contracted: Size, grouped: bool) -> Size:
    """How many scales of their own the blocks of one contraction have, as ``_scaled_mm`` reads it off a scale."""
    if scale.dtype in BLOCK_OF_DTYPE:
        return _blocks(contracted, BLOCK_OF_DTYPE[scale.dtype])
    return scale.shape[axis] if scale.dim() == 2 and not grouped else 1


@formula("_scaled_mm _scaled_grouped_mm", SCALED)
def scaled_product(
    a: Tensor,
    b: Tensor,
    scale_a: Tensor,
    scale_b: Tensor,
    *,
    bias: Tensor | None,
    scale_result: Tensor | None,
    out: Tensor,
) -> Quantities:
    """(scale_a a) (scale_b b) + bias, times scale_result where it is given. Scales of whole tensors, rows or columns
    leave the sum: one multiplication each per output element. Scales of blocks multiply the partial sum of each block.
    With two matrices and groups, the contracted axis is cut into the groups."""
    product = grouped_product(a, b, bias=bias, out=out)
    grouped = a.dim() == 3 or b.dim() == 3 or out.dim() == 3
    of_a, of_b = (_scales(scale, axis, product["contracted"], grouped) for scale, axis in ((scale_a, -1), (scale_b, 0)))
    return {**product, "scales": of_a + of_b + (scale_result is not None)}


@formula("_scaled_mm_v2 _scaled_grouped_mm_v2", SCALED)
def scaled_product_by_recipe(
    a: Tensor, b: Tensor, *, recipe_a: Sequence[int], recipe_b: Sequence[int], bias: Tensor | None, out: Tensor
) -> Quantities:
    """As ``_scaled_mm``; each recipe says what one scale belongs to."""
    product = grouped_product(a, b, bias=bias, out=out)
    whole = product["contracted"] or 1
    lengths = (BLOCK_OF_RECIPE.get(recipe, whole) for recipe in (*recipe_a, *recipe_b))
    return {**product, "scales": sum(_blocks(product["contracted"], length) for length in lengths)}
