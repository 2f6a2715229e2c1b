"""Embeddings: rows of a table that are gathered, bags of them that come down to one, and the gradients of both."""

from fxcount.cost import Quantities
from fxcount.formulas.number_kinds import first_tensor
from fxcount.formulas.registry import aliases, formula, given
from fxcount.formulas.tensor import Tensor


@formula(
    "embedding_bag _embedding_bag _embedding_bag_forward_only",
    "add = accumulated * summing, cmp = accumulated * comparing, mul = accumulated * weighted, div = averaged",
)
def embedding_bag(
    weight: Tensor, indices: Tensor, *, mode: int = 0, per_sample_weights: Tensor | None = None, out: object
) -> Quantities:
    """One addition (sum, mean) or comparison (max) per accumulated element, one multiplication with a weight per
    sample; a mean divides each element of each bag."""
    accumulated = indices.numel() * weight.shape[-1]
    return {
        "accumulated": accumulated,
        "summing": int(mode in (0, 1)),
        "comparing": int(mode == 2),
        "weighted": int(per_sample_weights is not None),
        "averaged": first_tensor(out).numel() if mode == 1 else 0,
    }


@formula("embedding_dense_backward", "add = accumulated, div = accumulated * scaled")
def embedding_backward(grad: Tensor, *, scale_grad_by_freq: bool) -> Quantities:
    """grad_weight[index] += grad (/ how often the index occurs): one addition per accumulated element."""
    return {"accumulated": grad.numel(), "scaled": int(scale_grad_by_freq)}


@formula(
    "_embedding_bag_backward _embedding_bag_dense_backward",
    "add = accumulated * dense, mul = accumulated * weighted, div = averaged + accumulated * scaled",
)
def embedding_bag_backward(
    grad: Tensor,
    indices: Tensor,
    *,
    scale_grad_by_freq: bool,
    mode: int,
    sparse: bool = False,
    per_sample_weights: Tensor | None,
) -> Quantities:
    """grad_weight[index] += grad of its bag: one addition per accumulated element (a sparse gradient only lists them),
    after a multiplication with a weight per sample, or a division of the bag's gradient by its size for a mean. Of a
    maximum every element of a bag has come from one place."""
    return {
        "accumulated": grad.numel() if mode == 2 else indices.numel() * grad.shape[-1],
        "dense": int(not sparse),
        "weighted": int(per_sample_weights is not None),
        "averaged": grad.numel() if mode == 1 else 0,
        "scaled": int(scale_grad_by_freq),
    }


aliases({"_embedding_bag_backward": "_embedding_bag_sparse_backward"}, adapt=given(sparse=True))


@formula("_embedding_bag_per_sample_weights_backward", "macs = samples * width")
def per_sample_weights_backward(grad: Tensor, weight: Tensor, indices: Tensor) -> Quantities:
    """The gradient of a sample's weight is the dot product of its bag's gradient with its embedding."""
    return {"samples": indices.numel(), "width": weight.shape[-1]}
