"""An operator that ran before on the same shapes does not run again, and no total depends on it."""

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from fxcount import GraphCost, count_graph
from fxcount.repeats import Repeats


def facts(cost: GraphCost) -> list[Any]:
    return [
        (node.name, node.target, node.input_shapes, node.output_shapes, node.params, node.operators)
        for node in cost.nodes
    ]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x:
            state = self.cell(step, state)
        return state[0]


def llama() -> nn.Module:
    return LlamaForCausalLM(
        LlamaConfig(hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, vocab_size=100)
    ).eval()


MODELS = {
    "resnet50": lambda: (torchvision.models.resnet50(), torch.rand(2, 3, 64, 64)),
    "swin_t": lambda: (torchvision.models.swin_t().eval(), torch.rand(1, 3, 64, 64)),
    "mobilenetv3": lambda: (timm.create_model("mobilenetv3_large_100"), torch.rand(2, 3, 64, 64)),
    "coat": lambda: (timm.create_model("coat_tiny", img_size=64).eval(), torch.rand(1, 3, 64, 64)),
    "recurrent": lambda: (Recurrent(), torch.rand(20, 2, 4)),
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
