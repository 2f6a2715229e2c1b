"""Quantising and dequantising, where they are operators of their own."""

from collections.abc import Sequence

from fxcount.cost import Quantities
from fxcount.formulas.formula import RefusedError
from fxcount.formulas.number_kinds import tensors
from fxcount.formulas.registry import formula, formulas, refuse
from fxcount.formulas.tensor import Tensor

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
def quantisation(x: Tensor | Sequence[Tensor]) -> Quantities:
    """q = clamp(round(x / scale + zero_point), q_min, q_max) and x = (q - zero_point) scale; a fake quantisation is
    one after the other. The mask that is kept for the gradient does not reach the output."""
    return {"elements": sum(tensor.numel() for tensor in tensors((x,)))}


@formulas({RANGE: "_choose_qparams_per_tensor", DYNAMIC: "quantize_per_tensor_dynamic fbgemm_linear_quantize_weight"})
def dynamic_quantisation(x: Tensor) -> Quantities:
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
def rowwise_quantisation(weight: Tensor, *, optimized_qparams: bool = False) -> Quantities:
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
def observed_fake_quantisation(x: Tensor, *, ch_axis: int, per_row_fake_quant: bool) -> Quantities:
    """A range per tensor or per channel (elements - ranges comparisons for the minimum and for the maximum), its moving
    average low += c (min - low) and the same for high, the scale and zero point from it (two comparisons with 0, three
    for the zero point), and the fake quantisation with them. Observer and fake quantisation count as enabled: their
    switches are data."""
    elements = x.numel()
    ranges = x.shape[ch_axis] if per_row_fake_quant else 1
    return {"elements": elements, "ranges": ranges if elements else 0}


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
    return {"elements": elements, "scales": scale.numel() if elements else 0, "factored": int(grad_factor != 1)}
