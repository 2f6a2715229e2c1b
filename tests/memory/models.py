"""The models whose memory is measured, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

BATCH = 2

TORCHVISION = (
    "alexnet", "vgg11", "resnet18", "resnext50_32x4d", "densenet121", "googlenet", "squeezenet1_0",
    "shufflenet_v2_x1_0", "mobilenet_v3_large", "mnasnet0_5", "swin_v2_t", "vit_b_16",
)  # fmt: skip

TIMM = (
    "vit_tiny_patch16_224", "deit_tiny_patch16_224", "efficientnet_b0", "convnext_tiny", "regnety_008", "mixer_s32_224",
    "coat_tiny", "swin_tiny_patch4_window7_224", "resmlp_12_224", "maxvit_tiny_tf_224",
)  # fmt: skip

_SMALL: Mapping[str, Any] = {
    "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4, "vocab_size": 1000,
}  # fmt: skip

TRANSFORMERS: Mapping[str, Mapping[str, Any]] = {
    "BertModel": _SMALL,
    "RobertaModel": _SMALL,
    "ElectraModel": {**_SMALL, "embedding_size": 256},
    "GPT2LMHeadModel": {"n_layer": 2, "n_embd": 256, "n_head": 4, "vocab_size": 1000},
    "OPTForCausalLM": {**_SMALL, "ffn_dim": 512, "word_embed_proj_dim": 256},
    "BloomForCausalLM": {"n_layer": 2, "hidden_size": 256, "n_head": 4, "vocab_size": 1000},
    "LlamaForCausalLM": _SMALL,
    "MistralForCausalLM": {**_SMALL, "num_key_value_heads": 2},
    "Qwen2ForCausalLM": {**_SMALL, "num_key_value_heads": 2},
    "GemmaForCausalLM": {**_SMALL, "num_key_value_heads": 2, "head_dim": 64},
    "MixtralForCausalLM": {**_SMALL, "num_key_value_heads": 2, "num_local_experts": 4},
    "MambaForCausalLM": {"num_hidden_layers": 2, "hidden_size": 256, "vocab_size": 1000, "state_size": 8},
    "T5EncoderModel": {"d_model": 256, "num_layers": 2, "num_heads": 4, "d_kv": 64, "d_ff": 512, "vocab_size": 1000},
}

Built = tuple[nn.Module, tuple[Any, ...]]


def _torchvision(name: str) -> Built:
    import torchvision

    more = {"init_weights": False} if name == "googlenet" else {}
    return getattr(torchvision.models, name)(weights=None, **more), (torch.randn(BATCH, 3, 224, 224),)


def _timm(name: str) -> Built:
    import timm

    return timm.create_model(name), (torch.randn(BATCH, 3, 224, 224),)


def _transformers(name: str) -> Built:
    import transformers

    config = getattr(transformers, name).config_class(**TRANSFORMERS[name], bos_token_id=0, eos_token_id=0)
    model: nn.Module = getattr(transformers, name)(config)
    return model, (torch.randint(0, 1000, (BATCH, 128)),)


MODELS: dict[str, Callable[[], Built]] = {
    **{f"torchvision {name}": lambda name=name: _torchvision(name) for name in TORCHVISION},
    **{f"timm {name}": lambda name=name: _timm(name) for name in TIMM},
    **{f"transformers {name}": lambda name=name: _transformers(name) for name in TRANSFORMERS},
}
"""From a name to a model and its inputs."""


def build(name: str, *, training: bool) -> Built:
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    return model.train(training), inputs
