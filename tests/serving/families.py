"""Small language models of transformers, one for each kind of cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import nn

VOCABULARY = 97
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 97}
GROUPED = {**SMALL, "num_key_value_heads": 2}
HEADS = {**GROUPED, "head_dim": 8}
STATES = {"mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8}
LATENT = {"q_lora_rank": 16, "kv_lora_rank": 12, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 8}
ROUTED = {"moe_intermediate_size": 16, "n_routed_experts": 8, "n_group": 2, "topk_group": 1}

CONFIGURATIONS: dict[str, Callable[[], Any]] = {
    # A cache of keys and values for every head, or for groups of heads.
    "gpt2": lambda: transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=97),
    "bloom": lambda: transformers.BloomConfig(hidden_size=32, n_layer=2, n_head=4, vocab_size=97),
    "opt": lambda: transformers.OPTConfig(**{**SMALL, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "llama": lambda: transformers.LlamaConfig(**GROUPED),
    "qwen2": lambda: transformers.Qwen2Config(**GROUPED),
    "phi3": lambda: transformers.Phi3Config(**GROUPED, pad_token_id=0),
    # Experts.
    "mixtral": lambda: transformers.MixtralConfig(**GROUPED, num_local_experts=4),
    # A window that slides, in all layers or in some.
    "mistral": lambda: transformers.MistralConfig(**GROUPED, sliding_window=16),
    "gemma2": lambda: transformers.Gemma2Config(**HEADS, sliding_window=16),
    "gpt_oss": lambda: transformers.GptOssConfig(
        **HEADS, num_local_experts=4, num_experts_per_tok=2, sliding_window=16
    ),
    # Attention inside of chunks.
    "llama4": lambda: transformers.Llama4TextConfig(
        **HEADS, num_local_experts=4, attention_chunk_size=16, intermediate_size_mlp=48
    ),
    # A latent vector in the place of keys and values.
    "deepseek_v3": lambda: transformers.DeepseekV3Config(
        **{
            **GROUPED,
            **LATENT,
            **ROUTED,
            "num_key_value_heads": 4,
            "num_experts_per_tok": 2,
            "first_k_dense_replace": 1,
        }
    ),
    # A state of a fixed size.
    "mamba": lambda: transformers.MambaConfig(hidden_size=32, num_hidden_layers=2, vocab_size=97, state_size=8),
    "mamba2": lambda: transformers.Mamba2Config(
        hidden_size=32,
        num_hidden_layers=2,
        vocab_size=97,
        state_size=8,
        num_heads=8,
        head_dim=8,
        n_groups=2,
        chunk_size=8,
    ),
    "rwkv": lambda: transformers.RwkvConfig(hidden_size=32, num_hidden_layers=2, vocab_size=97),
    # Both.
    "bamba": lambda: transformers.BambaConfig(
        **{**GROUPED, **STATES, "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_n_groups": 2}
    ),
    "falcon_h1": lambda: transformers.FalconH1Config(**{**GROUPED, **STATES, "mamba_d_ssm": 32, "mamba_n_heads": 4}),
}


def model_of(family: str) -> nn.Module:
    """The model, with weights, whose attention and experts are run in the parts that torch's own counter knows."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGURATIONS[family](), attn_implementation="eager")
    assert isinstance(model, nn.Module)
    return model.eval()
