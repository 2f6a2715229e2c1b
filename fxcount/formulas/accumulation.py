"""Scattering with a sum, or another reduction: one step per element that is accumulated into a place."""

from collections.abc import Sequence
from math import prod

import torch

from fxcount.cost import Cost, Quantities, Size
from fxcount.formulas.formula import RefusedError
from fxcount.formulas.number_kinds import product
from fxcount.formulas.registry import formula, of_complex
from fxcount.formulas.tensor import Tensor


@formula("index_add", "add = accumulated, mul = accumulated * scaled")
def index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: complex = 1) -> Quantities:
    """self[index] += alpha source: one addition per accumulated element."""
    return {"accumulated": source.numel(), "scaled": int(alpha != 1)}


@of_complex({"add = accumulated * (2 + additions), mul = accumulated * multiplications": "index_add"})
def complex_index_add(x: Tensor, dim: int, index: Tensor, source: torch.Tensor, *, alpha: complex = 1) -> Quantities:
    """self[index] += alpha source: a sum of both parts per accumulated element, and the product."""
    scaled = product(alpha, source) if alpha != 1 else Cost()
    return {"accumulated": source.numel(), "multiplications": scaled.mul, "additions": scaled.add}


@formula("scatter_add", "add = accumulated")
def scatter_add(x: Tensor, dim: int, index: Tensor) -> Quantities:
    """self[index] += source: one addition for each element of the source that has an index."""
    return {"accumulated": index.numel()}


@formula("put", "add = accumulated")
def put(x: Tensor, index: Tensor, source: Tensor, *, accumulate: bool) -> Quantities:
    """Writing is free; with accumulate it is one addition per element of the source."""
    return {"accumulated": source.numel() if accumulate else 0}


@formula("index_put _index_put_impl _unsafe_index_put", "add = accumulated")
def index_put(x: Tensor, indices: Sequence[torch.Tensor | None], values: Tensor, *, accumulate: bool) -> Quantities:
    """Writing is free; with accumulate it is one addition per place written to, however few values are broadcast over
    the places."""
    return {"accumulated": _places(x, indices, values) if accumulate else 0}


def _places(x: Tensor, indices: Sequence[torch.Tensor | None], values: Tensor) -> Size:
    """What the indices broadcast to, times the axes that they leave whole; a mask of several axes stands for one index
    for each place that it selects."""
    shapes: list[Sequence[Size]] = []
    whole, axis, known = [], 0, True
    for index in indices:
        axes = 1
        if index is None:
            whole.append(x.shape[axis])
        elif index.dtype in (torch.bool, torch.uint8):
            axes, known = index.dim(), known and not index.is_meta
            shapes += [[int(index.count_nonzero())]] if known else []
        else:
            shapes.append(index.shape)
        axis += axes
    whole += x.shape[axis:]
    if not known:
        return _places_of_unknown_mask(len(whole), values)
    broadcast: torch.Size = torch.broadcast_shapes(*shapes)
    return prod(broadcast) * prod(whole)


def _places_of_unknown_mask(whole_axes: int, values: Tensor) -> Size:
    """As many as there are values, unless one value goes to every place that the mask selects."""
    if values.dim() <= whole_axes:
        raise RefusedError("how many places a mask selects depends on its data")
    return values.numel()


REDUCE = "add = accumulated * summing, mul = accumulated * multiplying, cmp = accumulated * comparing, div = results"


REDUCE_OF_COMPLEX = (
    "add = 2 * accumulated * (summing + multiplying), mul = 4 * accumulated * multiplying, div = 2 * results"
)
"""The number by which a mean divides is real. Complex numbers have no maximum."""


def _reduced(places: Tensor, accumulated: Size, reduce: str | None) -> Quantities:
    """One step per accumulated element: an addition for sum and mean, a multiplication for prod, a comparison for a
    maximum and minimum; a mean divides every place once."""
    return {
        "accumulated": accumulated,
        "summing": int(reduce in ("sum", "mean", "add")),
        "multiplying": int(reduce in ("prod", "multiply")),
        "comparing": int(reduce in ("amax", "amin", "max", "min")),
        "results": places.numel() if reduce == "mean" else 0,
    }


@formula("scatter_reduce scatter", REDUCE)
@of_complex({REDUCE_OF_COMPLEX: "scatter_reduce scatter"})
def scatter_reduce(x: Tensor, dim: int, index: Tensor, *, reduce: str | None = None) -> Quantities:
    """One step for each element of the source that has an index; without a reduction a scatter only copies."""
    return _reduced(x, index.numel(), reduce)


@formula("index_reduce", REDUCE)
@of_complex({REDUCE_OF_COMPLEX: "index_reduce"})
def index_reduce(x: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str) -> Quantities:
    """One step per element of the source: the index names whole slices."""
    return _reduced(x, source.numel(), reduce)


@formula("bincount", "add = accumulated")
def bincount(x: Tensor) -> Quantities:
    """Every element adds its weight to the sum of its bin; without weights whole numbers are counted: free."""
    return {"accumulated": x.numel()}


@formula("_unsafe_masked_index_put_accumulate", "add = accumulated")
def masked_put(*, values: Tensor) -> Quantities:
    """One addition per accumulated element; those that the mask leaves out count too."""
    return {"accumulated": values.numel()}


@formula("segment_reduce", REDUCE)
def segment_reduce(x: Tensor, reduce: str, *, out: Tensor) -> Quantities:
    """One step per element, accumulated into the result of its segment; a mean divides every result once."""
    return _reduced(out, x.numel(), reduce)


@formula("_segment_reduce_backward", "div = averaged + selected + factors, cmp = compared, mul = products")
def segment_reduce_backward(grad: Tensor, y: Tensor, x: Tensor, reduce: str) -> Quantities:
    """Of a sum g is copied; of a mean divided by the segment's length; of a maximum or minimum g, divided by how often
    that occurs, goes where x equals y; of a product it is g y / x."""
    extremum, product = reduce in ("max", "min"), reduce == "prod"
    return {
        "averaged": grad.numel() if reduce == "mean" else 0,
        "selected": grad.numel() if extremum else 0,
        "compared": x.numel() if extremum else 0,
        "products": grad.numel() if product else 0,
        "factors": x.numel() if product else 0,
    }


@formula(
    "reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward replication_pad1d_backward "
    "replication_pad2d_backward replication_pad3d_backward unfold_backward",
    "add = accumulated",
)
def copies_backward(grad: Tensor) -> Quantities:
    """Where outputs are copies of inputs, every gradient is added to that of its input."""
    return {"accumulated": grad.numel()}


@formula("col2im", "add = accumulated")
def fold(x: Tensor) -> Quantities:
    """Overlapping blocks are summed: one addition per accumulated element."""
    return {"accumulated": x.numel()}
