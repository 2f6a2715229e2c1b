"""Nested tensors are refused, in one sentence, wherever a model meets them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fxcount import Cost, TracingError, count_graph
from tests.tracing.graphs import TRACERS

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = [torch.randn(2, 4), torch.randn(5, 4)]
LAYOUTS = (torch.jagged, torch.strided)


@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("model", [nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3), nn.ReLU()), lambda x: x * 2])
def test_an_input(model: Callable[..., Any], layout: torch.layout, tracer: str) -> None:
    with pytest.raises(TracingError, match="nested tensors are not counted") as caught:
        count_graph(model, torch.nested.nested_tensor(ROWS, layout=layout), tracer=tracer)
    assert not any("a fault of fxcount" in note for note in getattr(caught.value, "__notes__", ()))


class Packs(nn.Module):
    """Makes a nested tensor of its inputs."""

    def __init__(self, layout: torch.layout) -> None:
        super().__init__()
        self.layer, self.layout = nn.Linear(4, 3), layout

    def forward(self, *rows: Tensor) -> Tensor:
        return self.layer(torch.nested.as_nested_tensor([*rows], layout=self.layout)).to_padded_tensor(0.0)


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_that_the_model_makes(layout: torch.layout, tracer: str) -> None:
    with pytest.raises(TracingError, match="nested tensors are not counted"):
        count_graph(Packs(layout), tuple(ROWS), tracer=tracer)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_on_the_meta_device(layout: torch.layout) -> None:
    with torch.device("meta"):
        model, rows = Packs(layout), (torch.empty(2, 4), torch.empty(5, 4))
    with pytest.raises(TracingError, match="nested tensors are not counted"):
        count_graph(model, rows)


def test_a_list_of_the_same_rows_is_counted() -> None:
    layer = nn.Linear(4, 3)
    assert count_graph(lambda rows: [layer(row) for row in rows], ROWS).total == Cost(macs=84, add=21)
