"""One total, whichever way it is added up: by node, by module at every depth, by operator, in every export."""

import csv
import io
from collections.abc import Callable
from math import prod

import pytest
import timm
import torch
import transformers
from torch import nn
from torchvision import models

from fxcount import Cost, GraphCost, count_graph
from fxcount.cost import total_cost
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.module_paths import depth_of, parent_of
from fxcount.views.folding import lines
from fxcount.views.tree import module_tree
from tests.optional import TORCH

TOKENS = {"input_ids": torch.arange(6)[None]}
IMAGE = torch.empty(1, 3, 224, 224)

TORCHVISION = ("resnet18", "mobilenet_v3_small", "densenet121", "googlenet", "vit_b_16", "swin_t", "convnext_tiny")
TIMM = ("resnet18", "vit_tiny_patch16_224", "mixer_s16_224", "convnext_atto", "eva02_tiny_patch14_224", "coat_tiny")
SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 99}
TRANSFORMERS = {
    "BertForMaskedLM": (transformers.BertConfig(**SMALL), TOKENS),
    "AlbertModel": (transformers.AlbertConfig(**SMALL, embedding_size=16), TOKENS),
    "GPT2LMHeadModel": (transformers.GPT2Config(n_embd=32, n_layer=3, n_head=4, vocab_size=99), TOKENS),
    "LlamaForCausalLM": (transformers.LlamaConfig(**SMALL), TOKENS),
    "Qwen3ForCausalLM": (transformers.Qwen3Config(**SMALL, head_dim=8, num_key_value_heads=2), TOKENS),
    "MixtralForCausalLM": (transformers.MixtralConfig(**SMALL, num_key_value_heads=2, num_local_experts=4), TOKENS),
    "MambaForCausalLM": (transformers.MambaConfig(hidden_size=32, num_hidden_layers=3, vocab_size=99), TOKENS),
    "T5ForConditionalGeneration": (
        transformers.T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, vocab_size=99),
        {**TOKENS, "decoder_input_ids": torch.arange(4)[None]},
    ),
    "ViTModel": (
        transformers.ViTConfig(**{name: SMALL[name] for name in SMALL if name != "vocab_size"}),
        {"pixel_values": IMAGE},
    ),
    "WhisperForConditionalGeneration": (
        transformers.WhisperConfig(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                                   decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48),
        {"input_features": torch.empty(1, 80, 3000), "decoder_input_ids": torch.arange(4)[None]},
    ),
}  # fmt: skip

ASK_FOR_ADDRESSES = ("MixtralForCausalLM",)


def count(make: Callable[[], nn.Module], example: object) -> tuple[nn.Module, GraphCost]:
    with torch.device("meta"):
        model = make().eval()
    return model, count_graph(model, example)


def check(model: nn.Module, cost: GraphCost) -> None:
    assert cost.params == sum(parameter.numel() for parameter in model.parameters())
    check_modules(cost)
    check_tree(cost)
    check_exports(cost)
    check_exports(GraphCost.from_json(cost.to_json()))
    for name in (*list(cost.modules)[:20], *(node.name for node in cost.nodes[:20])):
        assert f"{cost.convention.name}: macs + mul = " in cost.explain(name)
    named, parameters = dict(model.named_modules()), dict(model.named_parameters())  # each parameter by its first name
    for path, module in cost.by_module().items():
        if path in named:
            held = [value for name, value in parameters.items() if not path or name.startswith(f"{path}.")]
            assert module.params == sum(parameter.numel() for parameter in held)


def check_modules(cost: CostedGraph) -> None:
    """Each module is what it does itself and its submodules; so every level adds up to the total."""
    modules = cost.by_module()
    inside: dict[str, list[str]] = {path: [] for path in modules}
    for path in filter(None, modules):
        inside[parent_of(path)].append(path)
    for path, module in modules.items():
        children = [modules[child] for child in inside[path]]
        assert module.cost == module.own_cost + total_cost(child.cost for child in children)
        assert module.params == module.own_params + sum(child.params for child in children)
    for depth in range(max(map(depth_of, modules)) + 1):
        shallow = cost.by_module(depth)
        deepest = [module.cost if depth_of(path) == depth else module.own_cost for path, module in shallow.items()]
        assert total_cost(deepest) == cost.total
    assert (modules[""].cost, modules[""].params, modules[""].nodes) == (cost.total, cost.params, len(cost.nodes))


def check_tree(cost: CostedGraph) -> None:
    """In the folded tree, the rows inside a row add up to it."""
    for branch, _, times in lines(module_tree(cost)):
        if branch.children:
            values = [(child.value * (times * child.times)) for child in branch.children]
            assert total_cost(value.counts.cost for value in values) == branch.value.counts.cost * times
            assert sum(value.counts.params for value in values) == branch.value.counts.params * times


def check_exports(cost: CostedGraph) -> None:
    assert isinstance(cost, GraphCost)
    fields = (*Cost().to_dict(), "flops", "read", "written")
    total = {**cost.total.to_dict(), "flops": cost.flops, "read": cost.read, "written": cost.written}
    for by, prefix in (("node", ""), ("module", "own_"), ("operator", "")):
        rows = list(csv.DictReader(io.StringIO(cost.to_csv(by))))
        frame = cost.to_dataframe(by)
        assert {name: sum(int(row[prefix + name]) for row in rows) for name in fields} == total
        assert {name: int(frame[prefix + name].sum()) for name in fields} == total
        if by != "operator":
            assert sum(int(row[f"{prefix}params"]) for row in rows) == frame[f"{prefix}params"].sum() == cost.params
        line = next(line for line in cost.table(by).split("\n") if line.startswith(("total", "(model)")))
        assert f" {cost.flops:,} " in line
    found = cost.to_dict()
    for by, prefix in (("nodes", ""), ("modules", "own_"), ("operators", "")):
        assert {name: sum(row[prefix + name] for row in found[by]) for name in fields} == total
    assert found["total"] == {"params": cost.params, "trainable": cost.trainable, **total}
    assert sum(map(prod, found["parameters"].values())) == cost.params


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str) -> None:
    extra = {"init_weights": False} if name == "googlenet" else {}
    check(*count(lambda: models.get_model(name, **extra), IMAGE))


@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    check(*count(lambda: timm.create_model(name), IMAGE))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str) -> None:
    if name in ASK_FOR_ADDRESSES and TORCH < (2, 11):
        pytest.skip("below torch 2.11 transformers asks where the weights of experts lie")
    config, example = TRANSFORMERS[name]
    model, cost = count(lambda: getattr(transformers, name)(config), example)
    assert cost.tracer == "recorded"
    check(model, cost)
