"""The interpreter writes shapes and costs into a graph's nodes, and runs nothing on data."""

from __future__ import annotations

import operator
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import TensorMetadata

from fxcount import Cost, count_graph
from fxcount.interpreter import CostInterpreter
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.example_call import ExampleCall
from fxcount.tracing.symbolic import trace_symbolically
from fxcount.tracing.trace import Trace

X = torch.randn(2, 4)


def interpreted(model: Any, *inputs: Any) -> tuple[Trace, Any]:
    trace = trace_symbolically(CountedModel.of(model), ExampleCall.of(inputs))
    return trace, CostInterpreter(trace).propagate()


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> dict[str, Any]:
        left, right = self.layer(x).chunk(2, -1)
        return {"product": left @ right.t(), "parts": [left, 3]}


def test_every_node_is_annotated_as_shape_prop_does() -> None:
    trace, result = interpreted(nn.Sequential(nn.Linear(4, 6), nn.ReLU()).to(torch.bfloat16), X.to(torch.bfloat16))
    for node in trace.module.graph.nodes:
        assert {"tensor_meta", "cost", "operators", "type", "module"} <= set(node.meta)
        assert isinstance(node.meta["tensor_meta"], TensorMetadata)
        assert node.meta["tensor_meta"].dtype == torch.bfloat16
    shapes = [tuple(node.meta["tensor_meta"].shape) for node in trace.module.graph.nodes]
    assert shapes == [(2, 4), (2, 6), (2, 6), (2, 6)]
    assert result.is_meta


def test_results_that_are_not_one_tensor() -> None:
    cost = count_graph(lambda x: x.max(1), X)
    meta = next(node for node in cost.graph.graph.nodes if node.target == "max").meta["tensor_meta"]
    assert [(part.shape, part.dtype) for part in meta] == [((2,), torch.float32), ((2,), torch.int64)]
    nodes = {node.name: node for node in count_graph(lambda x: (x.shape[0], x * 2), X, tracer="symbolic").nodes}
    assert nodes["getitem"].output_shapes == ()
    assert nodes["getitem"].cost == Cost()
    assert nodes["output"].output_shapes == ((2, 4),)


def test_costs_are_the_sums_of_the_operators() -> None:
    cost = count_graph(nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8)), X)
    (node,) = (node for node in cost.nodes if node.op == "call_module")
    assert len(node.operators) > 1
    assert sum((call.cost for call in node.operators), Cost()) == node.cost == cost.total


def test_nothing_runs_on_data() -> None:
    """Layers of four gigabytes each, that are not there; an input as large, of one element."""
    with torch.device("meta"):
        layers = nn.Sequential(*(nn.Linear(2**15, 2**15) for _ in range(3)))
    assert count_graph(layers, torch.empty(1).expand(2**15, 2**15)).macs == 3 * 2**45


def test_inputs_keep_their_shape() -> None:
    def forward(x: Tensor) -> Tensor:
        x.unsqueeze_(0)
        x.resize_(8)
        return x * 2

    x = torch.randn(2, 4)
    count_graph(forward, x)
    assert x.shape == (2, 4)
    meta = torch.empty(2, 4, device="meta")
    count_graph(forward, meta)
    assert meta.shape == (2, 4)


@pytest.mark.parametrize(
    ("model", "inputs", "note"),
    [
        (nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), (X,), "at call_module 1 on _0 [2, 4], called in the model itself"),
        (nn.Sequential(nn.Sequential(nn.Linear(3, 2))), (X,), "at call_module 0.0 on input_1 [2, 4], called in 0"),
        (
            lambda x, y: (x * 2) @ y,
            (X, X.clone()),
            "at call_function matmul on mul [2, 4], y [2, 4], called in the model itself",
        ),
        (lambda x: x.view(3, 3), (X,), "at call_method view on x [2, 4], called in the model itself"),
    ],
)
def test_an_error_is_the_models_own_with_the_place(model: Any, inputs: tuple[Tensor, ...], note: str) -> None:
    with pytest.raises(RuntimeError) as raised:
        interpreted(model, *inputs)
    assert raised.value.__notes__ == [note]
    with pytest.raises(RuntimeError) as raised:
        count_graph(model, inputs)
    assert len(raised.value.__notes__) == 1


def test_a_graph_made_by_hand() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    weight = graph.get_attr("weight")
    product = graph.call_function(operator.matmul, (x, weight))
    graph.output(graph.call_method("relu", (product,)))
    owner = nn.Module()
    owner.weight = nn.Parameter(torch.randn(4, 3))
    cost = count_graph(fx.GraphModule(owner, graph), X)
    assert cost.total == Cost(macs=24, cmp=6)
    assert cost.params == 12


def test_a_chain_of_many_nodes() -> None:
    """No recursion, and no square: far more nodes than Python has stack."""

    def forward(x: Tensor) -> Tensor:
        for _ in range(3000):
            x = x + 1
        return x

    for tracer in ("symbolic", "recorded", "executed"):
        assert count_graph(forward, X, tracer=tracer).total == Cost(add=3000 * 8)


def test_deep_modules() -> None:
    model: nn.Module = nn.Linear(4, 4, bias=False)
    for _ in range(150):
        model = nn.Sequential(model)
    cost = count_graph(model, X)
    assert cost.total == Cost(macs=32)
    assert cost.by_module()[".".join("0" * 150)].cost == Cost(macs=32)
