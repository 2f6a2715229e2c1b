"""The operators of torchvision. They exist once ``torchvision`` is imported; their formulas stand by name."""

from math import prod

from fxcount.cost import Quantities, Size
from fxcount.formulas.formula import RefusedError
from fxcount.formulas.number_kinds import first_tensor
from fxcount.formulas.registry import formula, refuse
from fxcount.formulas.tensor import Tensor

PAIR = (
    "cmp = boxes * ceil_log2(boxes) + 7 * (boxes * (boxes - 1) // 2), "
    "add = 2 * boxes + 4 * (boxes * (boxes - 1) // 2), mul = boxes + boxes * (boxes - 1) // 2, "
    "div = boxes * (boxes - 1) // 2"
)


@formula("torchvision.nms torchvision.qnms", PAIR, complex_stated=True)
def nms(boxes: Tensor) -> Quantities:
    """Boxes in the order of their scores; each is compared with each later one, n (n - 1) / 2 pairs in dense
    accounting: a kernel that skips boxes which are suppressed already does fewer. A box has an area (2 sub, 1 mul). A
    pair has an overlap: the larger of two lower and the smaller of two upper bounds per axis (cmp 4), their difference
    (sub 2), not below 0 (cmp 2), multiplied (mul 1); IoU = overlap / (area + area - overlap) (add 2, div 1) is compared
    with the threshold (cmp 1)."""
    return {"boxes": boxes.shape[0]}


def _samples(sampling_ratio: int) -> Size:
    """The sampling points of a bin.

    Raises:
        RefusedError: there are as many as the box is large.
    """
    if sampling_ratio <= 0:
        raise RefusedError(
            "with a sampling_ratio of 0 the number of sampling points depends on the sizes of the boxes, which are data"
        )
    return sampling_ratio * sampling_ratio


@formula(
    "torchvision.roi_align torchvision.ps_roi_align torchvision.qroi_align",
    "mul = 4 * outputs * samples, add = 3 * outputs * samples + outputs * (samples - 1), div = outputs",
    complex_stated=True,
)
def roi_align(*, sampling_ratio: int, out: object) -> Quantities:
    """Every output is the mean of sampling_ratio^2 samples, each a weighted sum of its 4 bilinear taps. As for
    ``grid_sample``, coordinates and weights of the taps are not counted."""
    return {"outputs": first_tensor(out).numel(), "samples": _samples(sampling_ratio)}


@formula(
    "torchvision._roi_align_backward torchvision._ps_roi_align_backward",
    "mul = 4 * gradients * samples, add = 4 * gradients * samples, div = gradients",
)
def roi_align_backward(gradient: Tensor, *, sampling_ratio: int) -> Quantities:
    """Every gradient is divided by the number of samples, and for each sample weighted for its 4 taps and added to
    their gradients."""
    return {"gradients": gradient.numel(), "samples": _samples(sampling_ratio)}


@formula("torchvision._roi_pool_backward", "add = gradients")
def roi_pool_backward(gradient: Tensor) -> Quantities:
    """Every gradient is added to that of the element which was the largest of its bin."""
    return {"gradients": gradient.numel()}


refuse(
    "torchvision.roi_pool torchvision.ps_roi_pool torchvision._ps_roi_pool_backward",
    "how many elements a bin has depends on the sizes of the boxes, which are data",
)
refuse("torchvision.box_iou_rotated", "how many corners the overlap of two rotated boxes has depends on the data")


def _sampled(x: Tensor, weight: Tensor, places: Tensor) -> Size:
    """The values that are sampled: every input channel at every tap of every place of the output."""
    return x.shape[1] * prod(weight.shape[2:]) * places.shape[0] * prod(places.shape[2:])


@formula(
    "torchvision.deform_conv2d", "macs = outputs * taps, mul = sampled * (4 + masked), add = 3 * sampled + outputs"
)
def deformable_convolution(x: Tensor, weight: Tensor, *, use_mask: bool, out: Tensor) -> Quantities:
    """y(p) = sum_k w_k x(p + p_k + dp_k) m_k + b: every tap is sampled (a weighted sum of 4 bilinear taps), multiplied
    with its mask in version 2, and convolved with taps = (C_in / groups) * prod(kernel). The operator always takes a
    bias. As for ``grid_sample``, coordinates and weights of the bilinear taps are not counted."""
    return {
        "outputs": out.numel(),
        "taps": prod(weight.shape[1:]),
        "sampled": _sampled(x, weight, out),
        "masked": int(use_mask),
    }


@formula(
    "torchvision._deform_conv2d_backward",
    "macs = 2 * gradients * taps, mul = sampled * (18 + 3 * masked), add = sampled * (15 + masked) + summed",
)
def deformable_convolution_backward(gradient: Tensor, x: Tensor, weight: Tensor, *, use_mask: bool) -> Quantities:
    """The gradients of the sampled values and of the weight are one convolution's products each, and for the latter the
    values are sampled again (mul 4, add 3, mask mul 1). A value's gradient (mask mul 1) goes to its 4 taps (mul 4, add
    4) and, for each of the two axes, to the offset: the derivative of the weighted sum (mul 4, add 3), times the
    gradient, summed over the channels (mul 1, add 1); and to the mask (mul 1, add 1). The bias sums the gradient over
    all places of a channel."""
    channels = weight.shape[0] if gradient.numel() else 0
    return {
        "gradients": gradient.numel(),
        "taps": prod(weight.shape[1:]),
        "sampled": _sampled(x, weight, gradient),
        "masked": int(use_mask),
        "summed": gradient.numel() - channels,
    }
