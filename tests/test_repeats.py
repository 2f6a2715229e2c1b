"""An operator that ran before on the same shapes does not run again, and no total depends on it."""

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from fxcount import Cost, GraphCost, count_graph
from fxcount.repeats import Repeats
from tests.benchmarks.limits import Recurrent


def facts(cost: GraphCost) -> list[Any]:
    return [
        (node.name, node.target, node.input_shapes, node.output_shapes, node.params, node.operators)
        for node in cost.nodes
    ]


def llama() -> nn.Module:
    return LlamaForCausalLM(
        LlamaConfig(hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, vocab_size=100)
    ).eval()


MODELS = {
    "resnet50": lambda: (torchvision.models.resnet50(), torch.rand(2, 3, 64, 64)),
    "swin_t": lambda: (torchvision.models.swin_t().eval(), torch.rand(1, 3, 64, 64)),
    "mobilenetv3": lambda: (timm.create_model("mobilenetv3_large_100"), torch.rand(2, 3, 64, 64)),
    "coat": lambda: (timm.create_model("coat_tiny", img_size=64).eval(), torch.rand(1, 3, 64, 64)),
    "recurrent": lambda: (Recurrent(), torch.rand(20, 2, 32)),
    "llama": lambda: (llama(), torch.ones(1, 8, dtype=torch.long)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("tracer", ["auto", "recorded"])
def test_every_node_is_the_same_without_repeats(name: str, tracer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = MODELS[name]()
    found = []
    find = Repeats.find
    monkeypatch.setattr(Repeats, "find", lambda *call: found.append(find(*call)) or found[-1])
    with_repeats = count_graph(model, x, tracer=tracer)
    assert any(found)
    monkeypatch.setattr(Repeats, "find", lambda *call: None)
    without = count_graph(model, x, tracer=tracer)
    assert facts(with_repeats) == facts(without)
    assert with_repeats.total == without.total
    assert with_repeats.params == without.params


def test_a_formula_for_one_count_is_for_no_other() -> None:
    x = torch.rand(3, 5)
    assert count_graph(torch.tanh, x).total == Cost(special=15)
    assert count_graph(torch.tanh, x, formulas={torch.ops.aten.tanh: lambda x: x.numel()}).total == Cost(macs=15)
    assert count_graph(torch.tanh, x).total == Cost(special=15)


def test_the_default_dtype_of_a_later_count() -> None:
    ids = torch.empty(2**11, 2**10, dtype=torch.long, device="meta")
    dtypes = []
    for default in (torch.float32, torch.float64):
        before = torch.get_default_dtype()
        torch.set_default_dtype(default)
        try:
            graph = count_graph(lambda ids: ids / 2, ids).graph.graph
        finally:
            torch.set_default_dtype(before)
        dtypes.append([node.meta["tensor_meta"].dtype for node in graph.nodes if "tensor_meta" in node.meta][1])
    assert dtypes == [torch.float32, torch.float64]


def test_what_is_remembered_does_not_grow_without_end() -> None:
    repeats = Repeats()
    for number in range(repeats.LIMIT + 10):
        repeats.add(number, (), None, ())
    assert repeats.find(9, ()) is None
    assert repeats.find(10, ()) == (None, ())
