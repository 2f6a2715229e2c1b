"""Gradients of fake quantisation with a scale and zero point that are learnt."""

from __future__ import annotations

from fxcount.cost import Quantities
from fxcount.formulas.registry import formula
from fxcount.formulas.tensor import Tensor


@formula(
    "_fake_quantize_learnable_per_tensor_affine_backward _fake_quantize_learnable_per_channel_affine_backward",
    "div = elements, add = 5 * elements - 2 * scales, cmp = 3 * elements + scales, "
    "mul = elements + scales * (1 + 2 * factored)",
)
def fake_quantize_backward(grad: Tensor, x: Tensor, scale: Tensor, *, grad_factor: float) -> Quantities:
    """With v = x / scale, q = round(v + zero) within two bounds: grad_x = g, or 0 outside of them; grad_scale sums
    g (q - zero - v), or g (q - zero) outside; grad_zero = -scale sum of g outside. Both are multiplied with the factor
    unless it is 1. Source: Esser et al. 2020, Learned Step Size Quantization; Bhalgat et al. 2020, LSQ+."""
    elements = x.numel()
    return {
        "elements": elements,
        "scales": scale.numel() if elements else 0,
        "factored": int(grad_factor != 1),
    }
