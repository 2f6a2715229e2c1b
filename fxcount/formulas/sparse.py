"""Sparse and nested tensors: work on stored values.

A sparse tensor costs what is done with the values that it stores: zeros that are not stored are not multiplied with.
How many values are stored is in the tensor's data, so a sparse tensor on the meta device cannot be counted.
"""

from collections.abc import Sequence
from math import prod
from typing import TypeGuard

import torch

from fxcount._torch import entry_count, entry_indices, entry_values
from fxcount.cost import Cost, Equation, Quantities, Size
from fxcount.formulas.contractions import COMPLEX_SUM, bias_additions, complex_scaled_sum, scaled_sum
from fxcount.formulas.formula import RefusedError
from fxcount.formulas.number_kinds import Arithmetic
from fxcount.formulas.registry import formula, formulas, of_complex
from fxcount.formulas.tensor import Tensor

COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


def is_sparse(x: Tensor | None) -> TypeGuard[torch.Tensor]:
    """Whether ``x`` stores only some of its values."""
    return isinstance(x, torch.Tensor) and (x.layout is torch.sparse_coo or x.layout in COMPRESSED)


def stored_values(x: Tensor) -> Tensor:
    """The tensor of the values that ``x`` stores, ``x`` itself where it stores all.

    Raises:
        RefusedError: ``x`` is sparse and has no data.
    """
    if not is_sparse(x):
        return x
    if x.is_meta:
        raise RefusedError("how many values a sparse tensor stores is not known on the meta device")
    return entry_values(x) if x.layout is torch.sparse_coo else x.values()


def stored(x: Tensor) -> Size:
    """How many values ``x`` stores."""
    return stored_values(x).numel()


def _met(a: torch.Tensor, b: torch.Tensor) -> Size:
    """How many pairs of stored values meet in the product of two sparse matrices: for each k, those in column k of
    ``a`` times those in row k of ``b``."""
    stored_values(a), stored_values(b)
    columns, rows = entry_indices(a.to_sparse_coo())[1], entry_indices(b.to_sparse_coo())[0]
    length = a.shape[1]
    pairs = torch.bincount(columns, minlength=length) * torch.bincount(rows, minlength=length)
    return int(pairs.sum())


def products(a: Tensor, b: Tensor) -> Size:
    """The multiply-accumulates of ``a @ b`` where at least one is sparse: a stored value of ``a`` meets each column of
    a dense ``b``, one of ``b`` each row of a dense ``a``, and two stored values meet where their index is the same.

    Raises:
        RefusedError: a sparse operand has no data.
    """
    if is_sparse(a) and is_sparse(b):
        return _met(a, b)
    if is_sparse(a):
        columns = b.shape[-1] if b.dim() > 1 else 1
        return stored(a) * columns
    rows = prod(a.shape[:-1]) // max(1, prod(b.shape[:-2]))
    return stored(b) * rows


ADDED = "macs = products, add = outputs * added, mul = outputs * scales"
ADDED_EQUATION = Equation(ADDED)
ADDED_OF_COMPLEX = f"macs = 4 * products, {COMPLEX_SUM}"
ADDED_OF_COMPLEX_EQUATION = Equation(ADDED_OF_COMPLEX)


def _added_products(a: Tensor, b: Tensor, beta: complex, alpha: complex, outputs: Size) -> Quantities:
    """The quantities of ``ADDED``: beta x + alpha (a b) for a sparse operand."""
    return {"products": products(a, b), **scaled_sum(beta, alpha, outputs)}


def _complex_added_products(a: Tensor, b: Tensor, beta: complex, alpha: complex, outputs: Size) -> Quantities:
    """The quantities of ``ADDED_OF_COMPLEX``."""
    return {"products": products(a, b), **complex_scaled_sum(beta, alpha, outputs)}


def added_product_cost(x: Tensor | None, a: Tensor, b: Tensor, beta: complex, alpha: complex, outputs: Size) -> Cost:
    """What beta x + alpha (a b) costs for a sparse operand, for operators that also take dense ones."""
    numbers = Arithmetic.of((x, a, b))
    if numbers is Arithmetic.COMPLEX:
        return ADDED_OF_COMPLEX_EQUATION.cost(_complex_added_products(a, b, beta, alpha, outputs))
    return numbers.perform(ADDED_EQUATION.cost(_added_products(a, b, beta, alpha, outputs)))


@formula("smm hspmm _sparse_sparse_matmul", "macs = products")
def sparse_product(a: Tensor, b: Tensor) -> Quantities:
    """a b by stored values."""
    return {"products": products(a, b)}


@formula("_sparse_addmm sspaddmm", ADDED)
def sparse_added_product(x: Tensor, a: Tensor, b: Tensor, *, beta: complex, alpha: complex, out: Tensor) -> Quantities:
    """beta x + alpha (a b) by stored values. A beta of 0 drops x."""
    return _added_products(a, b, beta, alpha, stored(out))


@of_complex({ADDED_OF_COMPLEX: "_sparse_addmm sspaddmm"})
def complex_sparse_added_product(
    x: Tensor, a: Tensor, b: Tensor, *, beta: complex, alpha: complex, out: Tensor
) -> Quantities:
    """beta x + alpha (a b) by stored values. A beta of 0 drops x."""
    return _complex_added_products(a, b, beta, alpha, stored(out))


@formula("sparse_sampled_addmm", ADDED)
def sampled_product(x: Tensor, a: Tensor, b: Tensor, *, beta: complex, alpha: complex) -> Quantities:
    """alpha (a b) at the places that the sparse x stores, each a sum of products over K, plus beta x."""
    outputs = stored(x)
    return {"products": outputs * a.shape[-1], **scaled_sum(beta, alpha, outputs)}


@of_complex({ADDED_OF_COMPLEX: "sparse_sampled_addmm"})
def complex_sampled_product(x: Tensor, a: Tensor, b: Tensor, *, beta: complex, alpha: complex) -> Quantities:
    """alpha (a b) at the places that the sparse x stores, each a sum of products over K, plus beta x."""
    outputs = stored(x)
    return {"products": outputs * a.shape[-1], **complex_scaled_sum(beta, alpha, outputs)}


@formula(
    "_sparse_mm _sparse_mm_reduce_impl",
    "macs = products * summing, mul = products * comparing, cmp = products * comparing, div = averaged",
)
def reduced_product(a: Tensor, b: Tensor, *, reduce: str = "sum", out: Tensor | tuple[Tensor, ...]) -> Quantities:
    """a b by stored values; a mean divides every output, a maximum or minimum compares products instead of adding."""
    result = out[0] if isinstance(out, tuple) else out
    return {
        "products": products(a, b),
        "summing": int(reduce in ("sum", "mean")),
        "comparing": int(reduce in ("amax", "amin")),
        "averaged": stored(result) if reduce == "mean" else 0,
    }


@formula("_sparse_mm_reduce_impl_backward", "macs = products * gradients, div = averaged")
def reduced_product_backward(
    x: torch.Tensor, grad: Tensor, weight: Tensor, reduce: str, *, output_mask: Sequence[bool]
) -> Quantities:
    """y_ik = reduce_j x_ij w_jk over the stored x_ij. Of a sum every stored value is contracted over the columns of
    grad_y, and every row of grad_w over the stored values; a mean divides grad_y by the row's count first. Of a
    maximum or minimum only the product that was selected has a gradient, one for each element of y."""
    every = reduce in ("sum", "mean")
    return {
        "products": entry_count(x) * grad.shape[-1] if every else grad.numel(),
        "gradients": sum(output_mask),
        "averaged": grad.numel() if reduce == "mean" else 0,
    }


HALF = "macs = outputs * kept, add = biases, mul = outputs * scales"
"""Two of four weights are stored: kept = K / 2 products for each output element."""


@formula("_cslt_sparse_mm", HALF)
def half_sparse_product(a: Tensor, b: Tensor, bias: Tensor | None, alpha: Tensor | None, *, out: Tensor) -> Quantities:
    """alpha (A b) + bias for an A of which two of four values are stored, compressed to one row of bytes."""
    return {
        "outputs": out.numel(),
        "kept": b.shape[0] // 2,
        "biases": bias_additions(bias, out),
        "scales": int(alpha is not None),
    }


@formula(
    "_sparse_semi_structured_linear",
    f"{HALF}, cmp = outputs * rectified, div = outputs * sigmoid, special = outputs * sigmoid",
)
def half_sparse_linear(
    x: Tensor, weight: Tensor, *, bias: Tensor | None, activation: str | None, out: Tensor
) -> Quantities:
    """f(x W^T + b) for a W [outputs, K / 2] of which two of four values are stored; f is relu, silu or nothing."""
    silu = int(activation == "silu")
    return {
        "outputs": out.numel(),
        "kept": weight.shape[1],
        "biases": bias_additions(bias, out) + silu * out.numel(),
        "scales": silu,
        "rectified": int(activation == "relu"),
        "sigmoid": silu,
    }


@formulas(
    {
        "macs = outputs * kept": "_sparse_semi_structured_mm",
        "macs = outputs * kept, add = outputs * added, mul = outputs * scales": "_sparse_semi_structured_addmm",
    }
)
def half_sparse_sum(*, mat1: Tensor, alpha: complex = 1, beta: complex = 0, out: Tensor) -> Quantities:
    """A b, or beta x + alpha (A b), for an A [outputs, K / 2] of which two of four values are stored."""
    return {"kept": mat1.shape[1], **scaled_sum(beta, alpha, out.numel())}


@formula("_sparse_semi_structured_tile", "cmp = elements * 4")
def half_sparse_tiles(x: Tensor) -> Quantities:
    """Each tile of 4 by 4 keeps its largest values: an order of 16, log2 16 comparisons for each."""
    return {"elements": x.numel()}


@formula("coalesce _coalesce", "add = merged")
def coalesce(x: Tensor, *, out: Tensor) -> Quantities:
    """Values that are stored for the same place are summed: one addition for each that disappears."""
    return {"merged": stored(x) - stored(out)}


@formulas({"add = elements - results": "_sparse_sum _sparse_csr_sum", "mul = elements - results": "_sparse_csr_prod"})
def reduction(x: Tensor, *, out: Tensor) -> Quantities:
    """The stored values come down to fewer."""
    elements = stored(x)
    return {"elements": elements, "results": min(elements, stored(out))}


def _lines(x: torch.Tensor, dim: int) -> Size:
    """How many lines along ``dim`` have a stored value."""
    elements = stored(x)
    x = x if x.layout is torch.sparse_coo else x.to_sparse_coo()
    dim = dim % x.dim()
    if dim >= x.sparse_dim():
        return elements // max(1, x.shape[dim])
    if not elements:
        return 0
    indices = entry_indices(x).clone()
    indices[dim] = 0
    lines: Size = torch.unique(indices, dim=1).shape[1] * (elements // entry_count(x))
    return lines


@formulas(
    {
        "cmp = elements - lines, add = 2 * elements - lines, special = elements, div = elements": "_sparse_softmax",
        "cmp = elements - lines, add = 3 * elements - lines, special = elements + lines": "_sparse_log_softmax",
    }
)
def sparse_softmax(x: torch.Tensor, dim: int) -> Quantities:
    """As a softmax over the stored values of each line; what is not stored counts as minus infinity."""
    return {"elements": stored(x), "lines": _lines(x, dim)}


@formulas(
    {
        "mul = 2 * stored, add = 2 * stored": "_sparse_softmax_backward_data",
        "special = stored, mul = stored, add = 2 * stored": "_sparse_log_softmax_backward_data",
    }
)
def sparse_softmax_backward(grad: Tensor, y: torch.Tensor) -> Quantities:
    """As along a dense axis, for stored values; how they lie on lines is data, so each is added to its line's sum."""
    return {"stored": entry_count(y) * prod(y.shape[y.dim() - y.dense_dim() :])}
