"""Gradients of fake quantisation against counts worked out by hand."""

from functools import partial

import pytest
import torch

from fxcount import Cost
from tests.costing import formula_cost

meta = partial(torch.empty, device="meta")
X = meta(3, 5)
aten = torch.ops.aten


@pytest.mark.parametrize(("factor", "factored"), [(1.0, 0), (0.5, 1)])
def test_learnable_fake_quantization(factor: float, factored: int) -> None:
    # per element x / s, + zero, round, two bounds, - zero, - v, g *; two sums; per scale -s *, and the factor twice
    tensor = aten._fake_quantize_learnable_per_tensor_affine_backward.default
    cost = formula_cost(tensor, X, X, meta(1), meta(1), 0, 255, factor)
    assert cost == 15 * Cost(div=1, add=3, cmp=3, mul=1) + Cost(add=2 * (15 - 1), mul=1 + 2 * factored, cmp=1)
    channel = aten._fake_quantize_learnable_per_channel_affine_backward.default
    cost = formula_cost(channel, X, X, meta(5), meta(5), 1, 0, 255, factor)
    assert cost == 15 * Cost(div=1, add=3, cmp=3, mul=1) + Cost(add=2 * (15 - 5), mul=5 * (1 + 2 * factored), cmp=5)
