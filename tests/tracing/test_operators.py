"""What the graph tells of sums and products: whether they were called by name."""

import pytest
import torch
from torch import Tensor, nn

from fxcount import count_graph


class Spelled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.scale * x
        x = x.mul(self.scale)
        return sum([x.add(x), x])


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_a_method_knows_whether_it_was_called_by_an_operator(tracer: str) -> None:
    nodes = count_graph(Spelled(), torch.randn(3), tracer=tracer).graph.graph.nodes
    methods = [(node.target, node.meta.get("by_operator", False)) for node in nodes if node.op == "call_method"]
    assert ("mul", True) in methods
    assert ("mul", False) in methods
    assert ("add", False) in methods
