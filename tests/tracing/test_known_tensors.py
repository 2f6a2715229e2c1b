"""Tensors that are neither parameters, buffers nor inputs are known: a model may ask for their values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fxcount import Cost, DataNeededError, count_graph

STRIDES = torch.tensor([8.0, 16.0])


class Detect(nn.Module):
    """A layer, and strides that are kept in different places."""

    def __init__(self, strides: Callable[[Detect], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.plain, self.listed = STRIDES.clone(), [STRIDES.clone()]
        self.register_buffer("buffer", STRIDES.clone())
        self.strides = strides

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)[..., : int(self.strides(self)[0] / 4)]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    "strides",
    [lambda model: model.plain, lambda model: model.listed[0], lambda model: STRIDES, lambda model: STRIDES.mul(2) / 2],
)
def test_they_are_known(strides: Callable[[Detect], Tensor], device: str) -> None:
    model = Detect(strides).to(device)
    cost = count_graph(model, torch.empty(1, 3, 4, 4, device=device))
    assert cost.tracer == "recorded"
    assert cost.macs == 3 * 4 * 16
    assert cost.nodes[-2].output_shapes == ((1, 4, 4, 2),)
    assert STRIDES.tolist() == [8, 16]


def test_a_buffer_is_not() -> None:
    model = Detect(lambda model: model.buffer)
    assert count_graph(model, torch.empty(1, 3, 4, 4)).tracer == "executed"
    with pytest.raises(DataNeededError):
        count_graph(model.to("meta"), torch.empty(1, 3, 4, 4, device="meta"))


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_what_is_written_to_one_is_put_back(tracer: str) -> None:
    model = Detect(lambda model: model.plain.add_(1) - 1)
    if tracer == "recorded":
        with pytest.raises(DataNeededError):  # it is not overwritten without data, and so not known from then on
            count_graph(model, torch.empty(1, 3, 4, 4), tracer=tracer)
    else:
        assert count_graph(model, torch.empty(1, 3, 4, 4), tracer=tracer).total == Cost(macs=192, add=64 + 2 + 2, div=1)
    assert model.plain.tolist() == [8, 16]
