"""Models that transformers splits after its own plans: what a rank does of each module, beside what one alone does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from fxcount import Cost, GraphCost, InputError, TracingError, count_graph
from fxcount.cli.split_models import split_over
from tests.optional import TORCH

pytestmark = pytest.mark.filterwarnings("ignore")

SMALL = {"vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8}
GROUPED = {**SMALL, "num_key_value_heads": 4, "intermediate_size": 128}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}
DEEPSEEK = {**SMALL, "intermediate_size": 128, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1}
DEEPSEEK |= {**EXPERTS, **LATENT, "n_routed_experts": 4}

HEADS = "self_attn q_proj k_proj v_proj o_proj"
MLP = "gate_proj up_proj down_proj"

PLANS: dict[str, tuple[dict[str, Any], str, str]] = {
    "LlamaForCausalLM": (GROUPED, f"{HEADS} {MLP} lm_head", ""),
    "Qwen3ForCausalLM": ({**GROUPED, "head_dim": 8}, f"{HEADS} {MLP} lm_head", ""),
    "Phi3ForCausalLM": (
        {**GROUPED, "pad_token_id": None, "eos_token_id": 1},
        "qkv_proj o_proj gate_up_proj down_proj lm_head",
        "self_attn",  # what the joint projection gives is gathered, for its parts are not those of ranks
    ),
    "MixtralForCausalLM": ({**GROUPED, "num_local_experts": 4}, f"{HEADS} experts lm_head", "gate"),
    "Qwen3MoeForCausalLM": (
        {**GROUPED, **EXPERTS, "num_experts": 4, "head_dim": 8},
        f"{HEADS} experts lm_head",
        "gate",
    ),
    "DeepseekV2ForCausalLM": (
        {**DEEPSEEK, "topk_method": "greedy", "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
        f"self_attn q_b_proj kv_b_proj o_proj {MLP} experts lm_head",
        "q_a_proj kv_a_proj_with_mqa gate",
    ),
    "DeepseekV3ForCausalLM": (
        DEEPSEEK,
        f"{MLP} experts lm_head",
        "self_attn q_a_proj q_b_proj kv_a_proj_with_mqa kv_b_proj o_proj gate",  # its plan leaves attention whole
    ),
    "GptOssForCausalLM": (
        {**GROUPED, "num_local_experts": 4, "head_dim": 8},
        "lm_head",
        f"{HEADS} router experts",  # its plan is one for experts on ranks of their own
    ),
}
"""The sizes of each model, which of its modules are split over the ranks, and which each of them does as a whole."""


def made(name: str, sizes: dict[str, Any]) -> nn.Module:
    if TORCH < (2, 11) and any("experts" in each for each in sizes):
        pytest.skip("below torch 2.11 transformers asks where the weights of experts lie")
    with torch.device("meta"):
        return getattr(transformers, name)(getattr(transformers, name).config_class(**sizes)).eval()


def counted(model: nn.Module, **axes: int) -> GraphCost:
    with split_over(axes, model):
        return count_graph(model, {"input_ids": torch.ones(2, 16, dtype=torch.long)}, backward=True)


def by_module(cost: GraphCost) -> dict[tuple[str, str], Cost]:
    """What each module does itself, in the forward and in the backward pass."""
    found: dict[tuple[str, str], Cost] = {}
    for node in cost.nodes:
        for operator in (*node.operators, *(node.backward_operators or ())):
            key = (node.owner, operator.phase)
            found[key] = found.get(key, Cost()) + operator.cost
    return found


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("name", PLANS)
def test_a_rank_does_its_part_of_what_is_split_and_all_of_the_rest(name: str, ranks: int) -> None:
    sizes, split, whole = PLANS[name]
    alone, one = by_module(counted(made(name, sizes))), by_module(counted(made(name, sizes), tp=ranks))
    met = set()
    for (path, phase), cost in alone.items():
        module = path.rpartition(".")[2]
        parts = ranks if module in split.split() else 1
        if cost.macs:
            assert one[path, phase].macs * parts == cost.macs, (path, phase)
            met.add(module)
        if module in ("input_layernorm", "post_attention_layernorm", "norm"):
            assert one[path, phase] == cost, (path, phase)
    assert met == {*split.split(), *whole.split()}


def test_a_model_is_split_and_gathered() -> None:
    """Of a Mixtral, all but norms and routers is split over four ranks, and all over two others."""
    sizes = PLANS["MixtralForCausalLM"][0]
    norms, routers = 5 * 64, 2 * 4 * 64
    alone, one = counted(made("MixtralForCausalLM", sizes)), counted(made("MixtralForCausalLM", sizes), dp=2, tp=4)
    assert one.params == (alone.params - norms - routers) // 8 + (norms + routers) // 2
    assert one.macs == (alone.macs - routers * 2 * 16) // 4 + routers * 2 * 16
    assert one.call is not None
    assert one.call.mesh == "dp=2, tp=4"
    assert set(one.communication.by_axis()) == {"dp", "tp"}
    assert not one.uncounted


def test_weights_that_are_one_stay_one() -> None:
    """The embedding is the head too: 96 x 64 numbers, split once."""
    sizes = {**GROUPED, "tie_word_embeddings": True}
    alone, one = counted(made("LlamaForCausalLM", sizes)), counted(made("LlamaForCausalLM", sizes), tp=4)
    assert one.params == (alone.params - 5 * 64) // 4 + 5 * 64
    assert 4 * one.macs == alone.macs


def test_each_experts_sums_what_its_ranks_have() -> None:
    """Of 32 rows of 64 numbers: the results, what is given, and the weights of two experts for each row."""
    communication = counted(made("MixtralForCausalLM", PLANS["MixtralForCausalLM"][0]), tp=4).communication
    of_first = [each for each in communication if each.module == "model.layers.0.mlp.experts"]
    sent = Counter({(each.name, each.phase): (each.calls, each.sent) for each in of_first})
    assert sent == {
        ("all_reduce", "forward"): (1, 2 * 32 * 64 * 4 * 3 // 4),
        ("all_reduce", "backward"): (2, 2 * (32 * 64 + 32 * 2) * 4 * 3 // 4),
    }


def test_packed_layers_in_unequal_parts_are_refused() -> None:
    """260 rows are two layers of 130, which are no multiple of four."""
    with pytest.raises(TracingError, match=r"\[4, 260, 64\] is split unevenly, axis 1 over 4 ranks, in 8 pieces"):
        counted(made("MixtralForCausalLM", {**PLANS["MixtralForCausalLM"][0], "intermediate_size": 130}), tp=4)


def test_a_plan_that_cannot_be_carried_out() -> None:
    model: Any = made("LlamaForCausalLM", GROUPED)
    model._tp_plan = {"lm_head": "by_magic"}
    with pytest.raises(InputError, match=r"transformers does not split Llama.* over 2 ranks of tp: .*by_magic"):
        counted(model, tp=2)
    with pytest.raises(InputError, match="GPT2LMHeadModel has no plan of how to split it over tp"):
        counted(made("GPT2LMHeadModel", {"n_embd": 32, "n_layer": 1, "n_head": 4, "vocab_size": 97}), tp=2)
