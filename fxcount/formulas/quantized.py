"""Quantised operators: other names of the operators on real numbers.

A quantised tensor stands for real numbers, scale * (q - zero_point), and an operator on it costs what its mathematics
on these numbers costs: as much as its floating-point counterpart. How a kernel passes from one scale to another inside
an operator is not counted.
"""

import functools
from typing import Protocol

import torch

from fxcount.cost import Cost, Quantities
from fxcount.formulas.contractions import bias_additions
from fxcount.formulas.convolutions import convolution
from fxcount.formulas.formula import Measure, RefusedError
from fxcount.formulas.registry import aliases, formula, formulas, refuse
from fxcount.formulas.tensor import Tensor

quantised = functools.partial(formulas, complex_stated=True)
"""Registers a family on quantised tensors: their dtype is whole, but the numbers that they stand for are real."""


class PackedWeight(Protocol):
    """A `torch.ScriptObject` that holds a weight, and its bias or None, as a kernel takes them."""

    def unpack(self) -> tuple[Tensor, Tensor | None]: ...


def unpacked(packed: PackedWeight) -> tuple[Tensor, Tensor | None]:
    """The weight and the bias in a prepacked object.

    Raises:
        RefusedError: the object does not give them away.
    """
    try:
        weight, bias = packed.unpack()[:2]
    except (AttributeError, RuntimeError, TypeError, ValueError):
        raise RefusedError("the sizes of its packed weight cannot be read") from None
    return weight, bias


@functools.cache
def of_packed_weight(measure: Measure) -> Measure:
    """``measure`` for an operator that takes its weight and bias packed into one object."""

    def of_packed(x: Tensor, packed: PackedWeight, *, out: Tensor) -> Quantities | Cost | int:
        weight, bias = unpacked(packed)
        return measure(x, weight, bias=bias, out=out)

    of_packed.__doc__ = measure.__doc__
    return of_packed


aliases(
    {
        "add": "quantized.add quantized.add_scalar",
        "mul": "quantized.mul quantized.mul_out quantized.mul_scalar quantized.mul_scalar_out onednn.qmul",
        "mul relu": (
            "quantized.mul_relu quantized.mul_relu_out quantized.mul_scalar_relu quantized.mul_scalar_relu_out"
        ),
        "clamp": "quantized.clamp",
        "dropout": "quantized.dropout",
        "relu": "quantized.cat_relu quantized.cat_relu_out",
        "leaky_relu": "quantized.leaky_relu quantized.prelu",
        "elu": "quantized.elu quantized.celu",
        "hardtanh": "quantized.relu6 _saturate_weight_to_fp16",
        "hardswish": "quantized.hardswish",
        "sigmoid": "quantized.sigmoid",
        "threshold": "quantized.threshold",
        "softmax": "quantized.softmax",
        "matmul": "quantized.matmul",
        "linear": (
            "quantized.linear_dynamic_fp16_unpacked_weight onednn.linear_dynamic_fp16 fbgemm_linear_fp16_weight "
            "fbgemm_linear_fp16_weight_fp32_activation"
        ),
        "linear relu": "onednn.linear_relu_dynamic_fp16",
        "max_pool2d": "quantized.max_pool1d quantized.max_pool2d",
        "layer_norm": "quantized.layer_norm",
        "group_norm": "quantized.group_norm quantized.instance_norm",
        "native_batch_norm": (
            "quantized_batch_norm quantized.batch_norm quantized.batch_norm1d quantized.batch_norm2d "
            "quantized.batch_norm3d"
        ),
    },
    complex_stated=True,
)

aliases(
    {
        "conv2d": (
            "quantized.conv1d quantized.conv2d quantized.conv3d quantized.conv1d_dynamic quantized.conv2d_dynamic "
            "quantized.conv3d_dynamic _quantized.conv2d _quantized.conv3d"
        ),
        "conv2d relu": (
            "quantized.conv1d_relu quantized.conv2d_relu quantized.conv3d_relu _quantized.conv2d_relu "
            "_quantized.conv3d_relu"
        ),
        "conv_transpose2d": (
            "quantized.conv_transpose1d quantized.conv_transpose2d quantized.conv_transpose3d "
            "quantized.conv_transpose1d_dynamic quantized.conv_transpose2d_dynamic "
            "quantized.conv_transpose3d_dynamic _quantized.conv_transpose1d _quantized.conv_transpose2d"
        ),
        "linear": (
            "quantized.linear quantized.linear_dynamic quantized.linear_dynamic_fp16 _quantized.linear "
            "_quantized.linear_dynamic"
        ),
        "linear relu": "quantized.linear_relu quantized.linear_relu_dynamic quantized.linear_relu_dynamic_fp16",
        "linear leaky_relu": "quantized.linear_leaky_relu",
        "linear tanh": "quantized.linear_tanh",
    },
    adapt=of_packed_weight,
    complex_stated=True,
)

refuse(
    "sparse.qlinear sparse.qlinear_relu sparse.qlinear_dynamic sparse.qlinear_relu_dynamic",
    "how many blocks of its packed sparse weight are stored cannot be read",
)


@quantised(
    {
        "add = outputs": "quantized.add_out quantized.add_scalar_out _quantized.add onednn.qadd",
        "add = outputs, cmp = outputs": (
            "quantized.add_relu quantized.add_relu_out quantized.add_scalar_relu quantized.add_scalar_relu_out "
            "onednn.qadd_relu"
        ),
    }
)
def addition(*, out: Tensor) -> Quantities:
    """x + y, where the name says so followed by max(0, x)."""
    return {"outputs": out.numel()}


@formula(
    "quantized.batch_norm_relu quantized.batch_norm1d_relu quantized.batch_norm2d_relu quantized.batch_norm3d_relu "
    "onednn.qbatch_norm2d",
    "mul = elements + scaled, add = elements + channels + shifted, special = channels, cmp = elements * rectified",
    complex_stated=True,
)
def batch_norm_relu(
    x: Tensor, *, weight: Tensor | None, bias: Tensor | None, output_dtype: torch.dtype | None = None
) -> Quantities:
    """max(0, (x - mean) / sqrt(var + eps) * gamma + beta) with given statistics; that of oneDNN does not rectify."""
    elements = x.numel()
    return {
        "elements": elements,
        "channels": x.shape[1] if elements else 0,
        "scaled": 0 if weight is None else elements,
        "shifted": 0 if bias is None else elements,
        "rectified": int(output_dtype is None),
    }


@quantised(
    {
        "macs = outputs * taps, add = biases + outputs": "quantized.conv2d_add",
        "macs = outputs * taps, add = biases + outputs, cmp = outputs": "quantized.conv2d_add_relu",
    }
)
def convolution_add(x: Tensor, accumulated: Tensor, packed: PackedWeight, *, out: Tensor) -> Quantities:
    """As the convolution, plus another tensor, where the name says so followed by max(0, x)."""
    weight, bias = unpacked(packed)
    return convolution(x, weight, bias=bias, out=out)


LINEAR = "macs = outputs * contracted, add = biases"


@quantised(
    {
        LINEAR: "quantized.linear_with_input_q_dq_qweight_dq_output_fp32",
        f"{LINEAR}, cmp = outputs": "quantized.linear_with_input_q_dq_qweight_dq_relu_output_fp32",
    }
)
def linear_of_floats(x: Tensor, x_scale: float, x_zero_point: int, packed: PackedWeight, *, out: Tensor) -> Quantities:
    """f(x W^T + b)."""
    return {"outputs": out.numel(), "contracted": x.shape[-1], "biases": bias_additions(unpacked(packed)[1], out)}


@quantised(
    {
        LINEAR: (
            "fbgemm_linear_int8_weight fbgemm_linear_int8_weight_fp32_activation _wrapped_quantized_linear_prepacked "
            "_quantized._wrapped_quantized_linear_prepacked _quantized.wrapped_quantized_linear "
            "_quantized.wrapped_fbgemm_linear_fp16_weight"
        )
    }
)
def linear_with_bias(x: Tensor, *, out: Tensor) -> Quantities:
    """x W^T + b: the bias is not optional in these operators."""
    return {"outputs": out.numel(), "contracted": x.shape[-1], "biases": out.numel()}


@quantised(
    {
        "add = accumulated, mul = accumulated * weighted": (
            "quantized.embedding_bag_byte quantized.embedding_bag_4bit quantized.embedding_bag_byte_rowwise_offsets "
            "quantized.embedding_bag_4bit_rowwise_offsets quantized.embedding_bag_2bit_rowwise_offsets"
        )
    }
)
def embedding_bag(
    weight: Tensor | PackedWeight, indices: Tensor, *, per_sample_weights: Tensor | None, out: Tensor
) -> Quantities:
    """One addition per accumulated element, one multiplication with a weight per sample."""
    return {"accumulated": indices.numel() * out.shape[-1], "weighted": int(per_sample_weights is not None)}
