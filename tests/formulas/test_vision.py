"""The operators of torchvision, on shapes."""

import pytest
import torch

from fxcount.cost import Cost
from fxcount.formulas import REFUSED, find_formula
from tests.costing import cost_of
from tests.costing import formula_cost as priced

pytest.importorskip("torchvision")
from torchvision import ops  # only where it is installed

vision = torch.ops.torchvision


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


FEATURES, BOXES = meta(2, 8, 20, 30), meta(5, 5)
ALIGNED = 5 * 8 * 7 * 6
SAMPLES = 3 * 3


def aligned(outputs: int) -> Cost:
    """Nine samples of four taps each, and their mean."""
    return Cost(mul=outputs * SAMPLES * 4, add=outputs * (SAMPLES * 3 + SAMPLES - 1), div=outputs)


def test_roi_align() -> None:
    assert cost_of(ops.roi_align, FEATURES, BOXES, [7, 6], 0.5, 3) == aligned(ALIGNED)
    assert cost_of(ops.ps_roi_align, FEATURES, BOXES, [2, 2], 0.5, 3) == aligned(5 * 2 * 2 * 2)
    assert cost_of(ops.roi_align, FEATURES, meta(0, 5), [7, 6], 0.5, 3) == Cost()


def test_samples_that_depend_on_the_boxes_are_refused() -> None:
    formula = find_formula(vision.roi_align.default)
    assert formula is not None
    call = formula((FEATURES, BOXES, 0.5, 7, 6, 0, False), {}, meta(5, 8, 7, 6))
    assert "sampling_ratio" in call.uncounted
    assert {"torchvision.roi_pool", "torchvision.ps_roi_pool", "torchvision.box_iou_rotated"} <= REFUSED.keys()


def test_roi_backward() -> None:
    gradient = meta(5, 8, 7, 6)
    shape = (0.5, 7, 6, 2, 8, 20, 30)
    assert priced(vision._roi_align_backward.default, gradient, BOXES, *shape, 3, False, out=FEATURES) == Cost(
        mul=ALIGNED * SAMPLES * 4, add=ALIGNED * SAMPLES * 4, div=ALIGNED
    )
    assert priced(
        vision._roi_pool_backward.default, gradient, BOXES, gradient, 0.5, 7, 6, 2, 8, 20, 30, out=FEATURES
    ) == Cost(add=ALIGNED)


@pytest.mark.parametrize(("boxes", "pairs", "order"), [(7, 7 * 6 // 2, 7 * 3), (2, 1, 2), (1, 0, 0), (0, 0, 0)])
def test_nms(boxes: int, pairs: int, order: int) -> None:
    assert priced(vision.nms.default, meta(boxes, 4), meta(boxes), 0.5, out=meta(boxes)) == Cost(
        cmp=order + 7 * pairs, add=2 * boxes + 4 * pairs, mul=boxes + pairs, div=pairs
    )


def deformed(groups: int, mask: bool, bias: bool) -> Cost:
    x, weight = meta(2, 4, 9, 8), meta(6, 4 // groups, 3, 2)
    offset = meta(2, 2 * 3 * 2, 7, 7)
    return cost_of(
        ops.deform_conv2d, x, offset, weight, meta(6) if bias else None, mask=meta(2, 3 * 2, 7, 7) if mask else None
    )


OUTPUTS = 2 * 6 * 7 * 7
SAMPLED = 2 * 7 * 7 * 4 * 3 * 2  # each input channel at each tap of each place


@pytest.mark.parametrize(("groups", "mask"), [(1, False), (1, True), (2, True)])
def test_deformable_convolution(groups: int, mask: bool) -> None:
    assert deformed(groups, mask, bias=True) == Cost(
        macs=OUTPUTS * (4 // groups) * 3 * 2, mul=SAMPLED * (4 + mask), add=SAMPLED * 3 + OUTPUTS
    )


def test_deformable_convolution_backward() -> None:
    x, weight, gradient = meta(2, 4, 9, 8), meta(6, 4, 3, 2), meta(2, 6, 7, 7)
    offset, mask = meta(2, 12, 7, 7), meta(2, 6, 7, 7)
    args = (gradient, x, weight, offset, mask, meta(6), 1, 1, 0, 0, 1, 1, 1, 1)
    backward = vision._deform_conv2d_backward.default
    once = Cost(
        macs=2 * OUTPUTS * 4 * 3 * 2, mul=SAMPLED * (4 + 4 + 2 * 5), add=SAMPLED * (3 + 4 + 2 * 4) + OUTPUTS - 6
    )
    assert priced(backward, *args, False, out=(x, weight, offset, mask, meta(6))) == once
    masked = Cost(mul=SAMPLED * 3, add=SAMPLED)
    assert priced(backward, *args, True, out=(x, weight, offset, mask, meta(6))) == once + masked
