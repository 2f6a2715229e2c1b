"""Quantised and low-precision operators.

A quantised tensor stands for real numbers, scale * (q - zero_point), and an operator on it costs what its mathematics
on these numbers costs: as much as its floating-point counterpart. How a kernel passes from one scale to another inside
an operator is not counted. Quantising and dequantising cost their own equation where they are operators of their own,
and scales that are operands of a call are multiplied with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch

from fxcount.cost import Quantities
from fxcount.formulas import (  # noqa: F401  # their formulas must be registered first
    activations,
    fused,
    matrix_products,
    normalization,
    pointwise,
    pooling,
    softmax,
)
from fxcount.formulas.arithmetic import first_tensor, tensors
from fxcount.formulas.formula import Measure, RefusedError
from fxcount.formulas.fused import FUSED, convolved, fused_activation
from fxcount.formulas.registry import FORMULAS, formula, formulas, refuse


def quantised(table: Mapping[str, str]) -> Callable[[Measure], Measure]:
    """Registers a family on quantised tensors: their dtype is whole, but the numbers that they stand for are real."""
    return formulas(table, complex_stated=True)


for _counterpart, _operators in {
    "mul": "mul mul_scalar",
    "add": "add add_scalar",
    "clamp": "clamp",
    "leaky_relu": "leaky_relu prelu",
    "elu": "elu celu",
    "hardtanh": "relu6",
    "hardswish": "hardswish",
    "sigmoid": "sigmoid",
    "threshold": "threshold",
    "softmax": "softmax",
    "matmul": "matmul",
    "max_pool2d": "max_pool1d max_pool2d",
    "layer_norm": "layer_norm",
    "group_norm": "group_norm",
    "native_batch_norm": "batch_norm batch_norm1d batch_norm2d batch_norm3d aten.quantized_batch_norm",
}.items():
    _formula = FORMULAS[f"aten.{_counterpart}"]
    if _formula.equation_text is not None:
        _names = (name if "." in name else f"quantized.{name}" for name in _operators.split())
        quantised({_formula.equation_text: " ".join(_names)})(_formula.measure)


@quantised(
    {
        "add = outputs": "quantized.add_out quantized.add_scalar_out _quantized.add onednn.qadd",
        "mul = outputs": "quantized.mul_out quantized.mul_scalar_out onednn.qmul",
        "add = outputs, cmp = outputs": (
            "quantized.add_relu quantized.add_relu_out quantized.add_scalar_relu quantized.add_scalar_relu_out "
            "onednn.qadd_relu"
        ),
        "mul = outputs, cmp = outputs": (
            "quantized.mul_relu quantized.mul_relu_out quantized.mul_scalar_relu quantized.mul_scalar_relu_out"
        ),
        "cmp = outputs": "quantized.cat_relu quantized.cat_relu_out",
        "cmp = 2 * outputs": "_saturate_weight_to_fp16",
    }
)
def pointwise_quantised(*, out: Any) -> Quantities:
    """A sum or a product of real numbers, where the name says so followed by max(0, x), per output element."""
    return {"outputs": first_tensor(out).numel()}


@quantised({"mul = outputs * dropping": "quantized.dropout"})
def dropout(x: Any, *, p: float, training: bool) -> Quantities:
    """In training every element is multiplied with 0 or 1 / (1 - p)."""
    return {"outputs": x.numel(), "dropping": int(training and p != 0)}


BATCH_NORM_RELU = (
    "mul = elements + scaled, add = elements + channels + shifted, special = channels, cmp = elements * rectified"
)


@quantised(
    {
        BATCH_NORM_RELU: (
            "quantized.batch_norm_relu quantized.batch_norm1d_relu quantized.batch_norm2d_relu "
            "quantized.batch_norm3d_relu onednn.qbatch_norm2d"
        )
    }
)
def batch_norm_relu(x: Any, *, weight: Any, bias: Any, output_dtype: Any = None) -> Quantities:
    """max(0, (x - mean) / sqrt(var + eps) * gamma + beta) with given statistics; that of oneDNN does not rectify."""
    elements = x.numel()
    return {
        "elements": elements,
        "channels": x.shape[1] if elements else 0,
        "scaled": 0 if weight is None else elements,
        "shifted": 0 if bias is None else elements,
        "rectified": int(output_dtype is None),
    }


@quantised({normalization.FROM_INPUT: "quantized.instance_norm"})
def instance_norm(x: Any, weight: Any, bias: Any) -> Quantities:
    """(x - E[x]) / sqrt(Var[x] + eps) * gamma + beta over each channel of each example."""
    elements = x.numel()
    return {
        "elements": elements,
        "statistics": x.shape[0] * x.shape[1] if elements else 0,
        "scaled": 0 if weight is None else elements,
        "shifted": 0 if bias is None else elements,
    }


def unpacked(packed: Any) -> tuple[Any, Any]:
    """The weight and the bias (or None) in a prepacked `torch.ScriptObject`.

    Raises:
        RefusedError: the object does not give them away.
    """
    try:
        weight, bias = packed.unpack()[:2]
    except (AttributeError, RuntimeError, TypeError, ValueError):
        raise RefusedError("the sizes of its packed weight cannot be read") from None
    return weight, bias


CONVOLUTION = "macs = outputs * taps, add = biases"


@quantised(
    {
        CONVOLUTION: (
            "quantized.conv1d quantized.conv2d quantized.conv3d quantized.conv1d_dynamic quantized.conv2d_dynamic "
            "quantized.conv3d_dynamic _quantized.conv2d _quantized.conv3d"
        ),
        f"{CONVOLUTION}, cmp = outputs": (
            "quantized.conv1d_relu quantized.conv2d_relu quantized.conv3d_relu _quantized.conv2d_relu "
            "_quantized.conv3d_relu"
        ),
    }
)
def convolution(x: Any, packed: Any, *, out: Any) -> Quantities:
    """Every output element is a sum over its taps = (C_in / groups) * prod(kernel), plus a bias."""
    return convolved(*unpacked(packed), out)


@quantised(
    {
        "macs = outputs * taps, add = biases + outputs": "quantized.conv2d_add",
        "macs = outputs * taps, add = biases + outputs, cmp = outputs": "quantized.conv2d_add_relu",
    }
)
def convolution_add(x: Any, accumulated: Any, packed: Any, *, out: Any) -> Quantities:
    """As the convolution, plus another tensor, where the name says so followed by max(0, x)."""
    return convolved(*unpacked(packed), out)


@quantised(
    {
        "macs = inputs * taps, add = biases": (
            "quantized.conv_transpose1d quantized.conv_transpose2d quantized.conv_transpose3d "
            "quantized.conv_transpose1d_dynamic quantized.conv_transpose2d_dynamic "
            "quantized.conv_transpose3d_dynamic _quantized.conv_transpose1d _quantized.conv_transpose2d"
        )
    }
)
def transposed_convolution(x: Any, packed: Any, *, out: Any) -> Quantities:
    """Every input element is spread over its taps = (C_out / groups) * prod(kernel), plus a bias per output."""
    weight, bias = unpacked(packed)
    return {"inputs": x.numel(), "taps": prod(weight.shape[1:]), "biases": 0 if bias is None else out.numel()}


LINEAR = "macs = outputs * contracted, add = biases"
LINEAR_ACTIVATED = {
    LINEAR: (
        "quantized.linear quantized.linear_dynamic quantized.linear_dynamic_fp16 _quantized.linear "
        "_quantized.linear_dynamic"
    ),
    f"{LINEAR}, cmp = outputs": (
        "quantized.linear_relu quantized.linear_relu_dynamic quantized.linear_relu_dynamic_fp16"
    ),
    f"{LINEAR}, cmp = outputs, mul = outputs": "quantized.linear_leaky_relu",
    f"{LINEAR}, special = outputs": "quantized.linear_tanh",
}


def _linear(x: Any, bias: Any, out: Any) -> Quantities:
    return {"outputs": out.numel(), "contracted": x.shape[-1], "biases": 0 if bias is None else out.numel()}


@quantised(LINEAR_ACTIVATED)
def packed_linear(x: Any, packed: Any, *, out: Any) -> Quantities:
    """f(x W^T + b) with the activation f that the name states: every output element is a sum over the features."""
    return _linear(x, unpacked(packed)[1], out)


@quantised(
    {
        LINEAR: "quantized.linear_with_input_q_dq_qweight_dq_output_fp32",
        f"{LINEAR}, cmp = outputs": "quantized.linear_with_input_q_dq_qweight_dq_relu_output_fp32",
    }
)
def packed_linear_of_floats(x: Any, x_scale: Any, x_zero_point: Any, packed: Any, *, out: Any) -> Quantities:
    """f(x W^T + b)."""
    return _linear(x, unpacked(packed)[1], out)


@quantised(
    {
        LINEAR: (
            "quantized.linear_dynamic_fp16_unpacked_weight onednn.linear_dynamic_fp16 fbgemm_linear_fp16_weight "
            "fbgemm_linear_fp16_weight_fp32_activation"
        ),
        f"{LINEAR}, cmp = outputs": "onednn.linear_relu_dynamic_fp16",
    }
)
def half_precision_linear(x: Any, weight: Any, bias: Any, *, out: Any) -> Quantities:
    """f(x W^T + b) with a weight in half precision."""
    return _linear(x, bias, out)


@quantised(
    {
        LINEAR: (
            "fbgemm_linear_int8_weight fbgemm_linear_int8_weight_fp32_activation _wrapped_quantized_linear_prepacked "
            "_quantized._wrapped_quantized_linear_prepacked _quantized.wrapped_quantized_linear "
            "_quantized.wrapped_fbgemm_linear_fp16_weight"
        )
    }
)
def linear_with_bias(x: Any, *, out: Any) -> Quantities:
    """x W^T + b: the bias is not optional in these operators."""
    return {"outputs": out.numel(), "contracted": x.shape[-1], "biases": out.numel()}


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
def weight_only_product(x: Any, *, out: Any) -> Quantities:
    """x W^T. In 8 bits W_n = scale_n q_n for row n, so that the scale is multiplied with once per output element. In 4
    bits W = scale (q - 8) + zero per group: a multiplication and an addition per weight. Where scales (and a bias) are
    packed into the weight they are not operands, and only the product is counted."""
    return {"outputs": out.numel(), "contracted": x.shape[-1], "columns": out.shape[-1]}


@formula("_mixed_dtypes_linear", FUSED)
def mixed_dtypes_linear(x: Any, *, bias: Any, activation: str | None, out: Any) -> Quantities:
    """f(scale (x W^T) + b): one multiplication with the scale of its column per output element."""
    return fused_activation(
        activation, outputs=out.numel(), taps=x.shape[-1], biases=0 if bias is None else out.numel(), scales=1
    )


SCALED = "macs = outputs * contracted // groups, mul = outputs * scales, add = biases"


def _unpacked_length(a: Any) -> int:
    """The length of the contracted axis of ``a``: one byte holds two numbers of four bits."""
    packed_pairs = a.dtype == getattr(torch, "float4_e2m1fn_x2", None)
    length: int = a.shape[-1]
    return 2 * length if packed_pairs else length


def _groups(a: Any, b: Any, out: Any) -> int:
    """How many parts the contracted axis is cut into: two matrices give one product for each group of columns."""
    return max(1, out.shape[0]) if a.dim() == 2 and b.dim() == 2 and out.dim() == 3 else 1


BLOCK_OF_DTYPE = {
    getattr(torch, "float8_e8m0fnu", None): 32,
    torch.float8_e4m3fn: 16,
}
BLOCK_OF_RECIPE = {2: 16, 3: 32, 4: 128, 5: 128}
"""The lengths of blocks by the number of a ``torch.nn.functional.ScalingType``; 0 and 1 are whole tensors and rows."""


def _blocks(scale: Any, axis: int, contracted: int) -> int:
    """How many scales of their own the blocks of one contraction have, as ``_scaled_mm`` reads it off a scale."""
    if scale.dtype in BLOCK_OF_DTYPE:
        return -(-contracted // BLOCK_OF_DTYPE[scale.dtype])
    blocks: int = scale.shape[axis] if scale.dim() == 2 else 1
    return blocks


@formula("_scaled_mm _scaled_grouped_mm", SCALED)
def scaled_product(a: Any, b: Any, scale_a: Any, scale_b: Any, *, bias: Any, scale_result: Any, out: Any) -> Quantities:
    """(scale_a a) (scale_b b) + bias, times scale_result where it is given. Scales of whole tensors, rows or columns
    leave the sum: one multiplication each per output element. Scales of blocks multiply the partial sum of each block.
    With two matrices and groups, the contracted axis is cut into the groups."""
    contracted = _unpacked_length(a)
    grouped = a.dim() == 3 or b.dim() == 3 or out.dim() == 3
    per_output = 2 if grouped else _blocks(scale_a, -1, contracted) + _blocks(scale_b, 0, contracted)
    if grouped and scale_a.dtype in BLOCK_OF_DTYPE:
        per_output = 2 * -(-contracted // BLOCK_OF_DTYPE[scale_a.dtype])
    return {
        "outputs": out.numel(),
        "contracted": contracted,
        "groups": _groups(a, b, out),
        "scales": per_output + (scale_result is not None),
        "biases": 0 if bias is None else out.numel(),
    }


@formula("_scaled_mm_v2 _scaled_grouped_mm_v2", SCALED)
def scaled_product_by_recipe(
    a: Any, b: Any, *, recipe_a: Sequence[int], recipe_b: Sequence[int], bias: Any, out: Any
) -> Quantities:
    """As ``_scaled_mm``; each recipe says what one scale belongs to."""
    contracted = _unpacked_length(a)
    blocks = (-(-contracted // BLOCK_OF_RECIPE.get(recipe, contracted or 1)) for recipe in (*recipe_a, *recipe_b))
    return {
        "outputs": out.numel(),
        "contracted": contracted,
        "groups": _groups(a, b, out),
        "scales": sum(blocks),
        "biases": 0 if bias is None else out.numel(),
    }


@formula("_grouped_mm", "macs = outputs * contracted // groups, add = biases")
def grouped_product(a: Any, b: Any, *, bias: Any, out: Any) -> Quantities:
    """One matrix product per group: groups of rows of ``a`` [rows, K] meet their own [K, N], groups of columns of
    ``b`` their own [M, K], and two matrices with groups along the contracted axis give [groups, M, N]."""
    return {
        "outputs": out.numel(),
        "contracted": a.shape[-1],
        "groups": _groups(a, b, out),
        "biases": 0 if bias is None else out.numel(),
    }


@formulas(
    {
        FUSED: (
            "onednn.qlinear_pointwise onednn.qconv1d_pointwise onednn.qconv2d_pointwise onednn.qconv3d_pointwise "
            "onednn.qconv_pointwise"
        )
    },
    complex_stated=True,
)
def onednn_pointwise(
    x: Any,
    x_scale: Any,
    x_zero_point: Any,
    weight: Any,
    *,
    bias: Any,
    attr: str = "",
    algorithm: str = "",
    post_op_name: str = "",
    post_op_algorithm: str = "",
    binary_attr: str = "",
    binary_post_op: str = "",
    unary_attr: str = "",
    unary_algorithm: str = "",
    unary_post_op: str = "",
    unary_post_op_algorithm: str = "",
    out: Any,
) -> Quantities:
    """f(conv(x) + b), or with a binary operation f(conv(x) + b + other): the sum over the taps of each output element,
    and the operations fused to it. A linear weight is packed as [features, outputs]."""
    linear = out.dim() == x.dim() and weight.dim() == 2
    binary = binary_attr or binary_post_op
    return fused_activation(
        attr or post_op_name or unary_attr or unary_post_op,
        algorithm or post_op_algorithm or unary_algorithm or unary_post_op_algorithm,
        outputs=out.numel(),
        taps=x.shape[-1] if linear else prod(weight.shape[1:]),
        biases=(bias is not None) * out.numel() + (binary in ("add", "sum")) * out.numel(),
    )


refuse(
    "sparse.qlinear sparse.qlinear_relu sparse.qlinear_dynamic sparse.qlinear_relu_dynamic",
    "how many blocks of its packed sparse weight are stored cannot be read",
)
refuse("choose_qparams_optimized", "its search for the best range stops where the data say")

QUANTIZE = "div = elements, add = elements, cmp = 3 * elements"
RANGE = "cmp = 2 * elements + 3 * ranges, add = 2 * ranges, div = 2 * ranges"
DYNAMIC = "div = elements + 2 * ranges, add = elements + 2 * ranges, cmp = 5 * elements + 3 * ranges"


@formulas(
    {
        QUANTIZE: "quantize_per_tensor quantize_per_channel",
        "add = elements, mul = elements": "dequantize",
        "div = elements, add = 2 * elements, mul = elements, cmp = 3 * elements": (
            "fake_quantize_per_tensor_affine fake_quantize_per_tensor_affine_cachemask "
            "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams fake_quantize_per_channel_affine "
            "fake_quantize_per_channel_affine_cachemask _fake_quantize_learnable_per_tensor_affine "
            "_fake_quantize_learnable_per_channel_affine"
        ),
    }
)
def quantisation(x: Any) -> Quantities:
    """q = clamp(round(x / scale + zero_point), q_min, q_max) and x = (q - zero_point) scale; a fake quantisation is
    one after the other. The mask that is kept for the gradient does not reach the output."""
    return {"elements": sum(tensor.numel() for tensor in tensors((x,)))}


@formulas({RANGE: "_choose_qparams_per_tensor", DYNAMIC: "quantize_per_tensor_dynamic fbgemm_linear_quantize_weight"})
def dynamic_quantisation(x: Any) -> Quantities:
    """The scale and zero point from the range of the values, as ``torch.ao.quantization.MinMaxObserver`` defines them,
    low = min(0, min x), high = max(0, max x), scale = (high - low) / (q_max - q_min), zero_point = clamp(round(q_min -
    low / scale)); then the quantisation with them where the operator quantises."""
    return {"elements": x.numel(), "ranges": int(x.numel() > 0)}


@formulas(
    {
        "cmp = 3 * elements - 2 * rows, add = elements + rows, div = elements + rows": (
            "quantized.embedding_bag_byte_prepack quantized.embedding_bag_4bit_prepack "
            "quantized.embedding_bag_2bit_prepack quantized.embedding_bag_byte_prepack_with_rowwise_min_max "
            "quantized.embedding_bag_4bit_prepack_with_rowwise_min_max "
            "quantized.embedding_bag_2bit_prepack_with_rowwise_min_max"
        )
    }
)
def rowwise_quantisation(weight: Any, *, optimized_qparams: bool = False) -> Quantities:
    """scale = (max - min) / (2^bits - 1) per row, q = round((x - min) / scale)."""
    if optimized_qparams:
        raise RefusedError("its search for the best range stops where the data say")
    elements = weight.numel()
    return {"elements": elements, "rows": elements // max(1, weight.shape[-1])}


@formula(
    "_fused_moving_avg_obs_fq_helper _fused_moving_avg_obs_fq_helper_functional fused_moving_avg_obs_fake_quant",
    "cmp = 2 * (elements - ranges) + 5 * ranges + 3 * elements, add = 4 * ranges + 2 * ranges + 2 * elements, "
    "mul = 2 * ranges + elements, div = 2 * ranges + elements",
)
def observed_fake_quantisation(x: Any, *, ch_axis: int, per_row_fake_quant: bool) -> Quantities:
    """A range per tensor or per channel (elements - ranges comparisons for the minimum and for the maximum), its moving
    average low += c (min - low) and the same for high, the scale and zero point from it (two comparisons with 0, three
    for the zero point), and the fake quantisation with them. Observer and fake quantisation count as enabled: their
    switches are data."""
    elements = x.numel()
    ranges = x.shape[ch_axis] if per_row_fake_quant else 1
    return {"elements": elements, "ranges": ranges if elements else 0}


@quantised(
    {
        "add = accumulated, mul = accumulated * weighted": (
            "quantized.embedding_bag_byte quantized.embedding_bag_4bit quantized.embedding_bag_byte_rowwise_offsets "
            "quantized.embedding_bag_4bit_rowwise_offsets quantized.embedding_bag_2bit_rowwise_offsets"
        )
    }
)
def embedding_bag(weight: Any, indices: Any, *, per_sample_weights: Any, out: Any) -> Quantities:
    """One addition per accumulated element, one multiplication with a weight per sample."""
    return {"accumulated": indices.numel() * out.shape[-1], "weighted": int(per_sample_weights is not None)}
