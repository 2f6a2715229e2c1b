"""Matrix products and their gradients: every output is a sum of products over a contracted axis.

A product a * b that the forward operator accumulates appears once in the gradient of a and once in that of b. So each
gradient of a product is a product with as many multiply-accumulates as the forward operator.
"""

from collections.abc import Sequence
from math import prod

import torch

from fxcount.cost import Cost, Quantities
from fxcount.formulas.contractions import (
    COMPLEX_SUM,
    GRADIENTS,
    additions_over_rows,
    bias_additions,
    complex_scaled_sum,
    scaled_sum,
)
from fxcount.formulas.number_kinds import product
from fxcount.formulas.registry import aliases, formula, given, of_complex
from fxcount.formulas.sparse import added_product_cost, is_sparse
from fxcount.formulas.tensor import Tensor


@formula("mm bmm mv dot vdot matmul inner _int_mm", "macs = outputs * contracted")
def matrix_product(a: Tensor, b: Tensor, *, out: Tensor) -> Quantities | Cost:
    """Every output element is a sum of products over the contracted axis, the last of the first operand; for a sparse
    operand a sum over its stored values."""
    if is_sparse(a) or is_sparse(b):
        return added_product_cost(None, a, b, beta=0, alpha=1, outputs=0)
    return {"outputs": out.numel(), "contracted": a.shape[-1] if a.dim() and b.dim() else 1}


@formula("matmul_backward", GRADIENTS)
def matrix_product_backward(grad: Tensor, a: Tensor, b: Tensor, mask: Sequence[bool]) -> Quantities:
    """y = a b: grad_a = grad_y b^T, grad_b = a^T grad_y; an operand that was broadcast over a batch contracts over the
    batch as well."""
    return {"products": grad.numel() * a.shape[-1], "gradients": sum(mask), "summed": 0}


@formula("linear mkldnn_linear", "macs = outputs * contracted, add = biases")
def linear(x: Tensor, weight: torch.Tensor, bias: Tensor | None, *, out: Tensor) -> Quantities | Cost:
    """y = x W^T + b: every output element is a sum of products over the input features; for a sparse weight over those
    that it stores."""
    if is_sparse(weight):
        return added_product_cost(bias, x, weight.t(), beta=int(bias is not None), alpha=1, outputs=out.numel())
    return {"outputs": out.numel(), "contracted": x.shape[-1], "biases": bias_additions(bias, out)}


@formula("linear_backward mkldnn_linear_backward", GRADIENTS)
def linear_backward(
    *, grad_output: Tensor, weight: Tensor, output_mask: Sequence[bool] = (True, True, True), bias_defined: bool = True
) -> Quantities:
    """y = x W^T + b: grad_x = grad_y W, grad_W = grad_y^T x, grad_b = grad_y summed over the rows, whichever the mask
    asks for. oneDNN also has grad_x as one operator and the other two as another."""
    features, inputs = weight.shape
    return {
        "products": grad_output.numel() * inputs,
        "gradients": sum(output_mask[:2]),
        "summed": additions_over_rows(grad_output, features) if output_mask[2] and bias_defined else 0,
    }


aliases({"linear_backward": "mkldnn_linear_backward_input"}, adapt=given(output_mask=(True, False, False)))
aliases({"linear_backward": "mkldnn_linear_backward_weights"}, adapt=given(output_mask=(False, True, True)))


@formula(
    "addmm baddbmm addmv _addmm_activation",
    "macs = outputs * contracted, add = outputs * added, mul = outputs * scales",
)
def added_product(
    x: Tensor, a: Tensor, b: Tensor, *, beta: complex = 1, alpha: complex = 1, out: Tensor
) -> Quantities | Cost:
    """beta x + alpha (a b): a sum of products over the contracted axis, one addition of x per output element unless
    beta is 0, and one multiplication per output element for each of alpha and beta that is not 1. A sparse operand
    contracts over its stored values."""
    if is_sparse(a) or is_sparse(b):
        return added_product_cost(x, a, b, beta, alpha, out.numel())
    return {**scaled_sum(beta, alpha, out.numel()), "contracted": a.shape[-1]}


@of_complex({f"macs = 4 * outputs * contracted, {COMPLEX_SUM}": "addmm baddbmm addmv"})
def complex_added_product(
    x: Tensor, a: Tensor, b: Tensor, *, beta: complex = 1, alpha: complex = 1, out: Tensor
) -> Quantities | Cost:
    """beta x + alpha (a b): 4 multiply-accumulates for each of complex numbers, and a sum of both parts."""
    if is_sparse(a) or is_sparse(b):
        return added_product_cost(x, a, b, beta, alpha, out.numel())
    return {**complex_scaled_sum(beta, alpha, out.numel()), "contracted": a.shape[-1]}


@of_complex({f"macs = 4 * outputs * contracted, {COMPLEX_SUM}": "addbmm"})
def complex_added_batch_sum(
    x: Tensor, a: Tensor, b: Tensor, *, beta: complex, alpha: complex, out: Tensor
) -> Quantities:
    """beta x + alpha sum_i (a_i b_i): as of one product, and the batch is contracted too."""
    return {**complex_scaled_sum(beta, alpha, out.numel()), "contracted": a.shape[0] * a.shape[-1]}


@of_complex({COMPLEX_SUM: "addr"})
def complex_added_outer_product(
    x: Tensor, a: torch.Tensor, b: torch.Tensor, *, beta: complex, alpha: complex, out: Tensor
) -> Quantities:
    """beta x + alpha (a outer b): a product per output element, and a sum of both parts."""
    quantities, outer = complex_scaled_sum(beta, alpha, out.numel()), product(a, b)
    quantities["multiplications"] += outer.mul
    quantities["additions"] += outer.add
    return quantities


@formula("addbmm", "macs = outputs * contracted, add = outputs * added, mul = outputs * scales")
def added_batch_sum(x: Tensor, a: Tensor, b: Tensor, *, beta: complex, alpha: complex, out: Tensor) -> Quantities:
    """beta x + alpha sum_i (a_i b_i): the batch is contracted together with the inner axis."""
    return {**scaled_sum(beta, alpha, out.numel()), "contracted": a.shape[0] * a.shape[-1]}


@formula("addr", "mul = outputs * (1 + scales), add = outputs * added")
def added_outer_product(x: Tensor, *, beta: complex, alpha: complex, out: Tensor) -> Quantities:
    """beta x + alpha (a outer b): nothing is contracted, an outer product is one multiplication per output element."""
    return scaled_sum(beta, alpha, out.numel())


@formula("bilinear", "macs = outputs * in2 * (in1 + 1), add = biases")
def bilinear(x1: Tensor, x2: Tensor, weight: Tensor, bias: Tensor | None, *, out: Tensor) -> Quantities:
    """y_k = x1^T A_k x2 + b_k: x1^T A_k contracts over in1 for each of in2, the product with x2 contracts over in2."""
    in1, in2 = weight.shape[1:]
    return {"outputs": out.numel(), "in1": in1, "in2": in2, "biases": bias_additions(bias, out)}


@formula("_trilinear", "macs = products * factors")
def trilinear(
    i1: Tensor, i2: Tensor, i3: Tensor, expand1: Sequence[int], expand2: Sequence[int], expand3: Sequence[int]
) -> Quantities:
    """sum of i1 * i2 * i3 over the broadcast axes: one product of three for each place of the broadcast shape, which
    is two multiply-accumulates."""
    shapes = []
    for operand, expand in ((i1, expand1), (i2, expand2), (i3, expand3)):
        shape = list(operand.shape)
        for axis in sorted(expand):
            shape.insert(axis, 1)
        shapes.append(shape)
    return {"products": prod(map(max, zip(*shapes, strict=True))), "factors": 2}
