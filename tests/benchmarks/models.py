"""The models that are measured: of different shapes, and deep or irregular each in its own way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

BuiltModel = tuple[nn.Module, Tensor]
"""A model in eval mode, and its one input."""

TIMM = (
    "resnet50",
    "vit_base_patch16_224",
    "swin_base_patch4_window7_224",
    "efficientnet_b0",
    "convnext_base",
    "densenet121",
    "mobilenetv3_large_100",
    "regnety_032",
    "mixer_b16_224",
    "maxvit_tiny_tf_224",
    "coat_tiny",
    "eva02_base_patch14_448",
)


def _timm(name: str) -> Callable[[str], BuiltModel]:
    def build(device: str) -> BuiltModel:
        import timm

        with torch.device(device):
            model = timm.create_model(name, pretrained=False).eval()
            return model, torch.zeros(1, *model.pretrained_cfg["input_size"])

    return build


class WithMask(nn.Module):
    """A language model with its mask and positions given, which it would else make by asking for values."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        tokens = ids.shape[1]
        mask = torch.zeros(1, 1, tokens, tokens, device=ids.device)
        positions = torch.arange(tokens, device=ids.device)[None]
        return self.model(ids, attention_mask=mask, position_ids=positions).logits


def llama_32_layers(device: str) -> BuiltModel:
    """Llama's depth at a width that fits into memory with real weights; 128 tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=512,
        intermediate_size=1376,
        num_hidden_layers=32,
        num_attention_heads=8,
        num_key_value_heads=8,
        use_cache=False,
    )
    with torch.device(device):
        return WithMask(LlamaForCausalLM(config)).eval(), torch.zeros(1, 128, dtype=torch.long)


def mamba(device: str) -> BuiltModel:
    """Mamba at its default size, 32 layers, whose scan is a loop in Python; 32 tokens."""
    from transformers import MambaConfig, MambaForCausalLM

    with torch.device(device):
        return MambaForCausalLM(MambaConfig(use_cache=False)).eval(), torch.zeros(1, 32, dtype=torch.long)


MODELS: dict[str, Callable[[str], BuiltModel]] = {
    **{name: _timm(name) for name in TIMM},
    "llama, 32 layers": llama_32_layers,
    "mamba": mamba,
}
"""The name of a model to a function of the device that builds it."""
