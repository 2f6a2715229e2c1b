"""The models on which the rules are held to the tools; all are built without weights from a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

Made = tuple[nn.Module, Tensor]


class Logits(nn.Module):
    """A language model of transformers on token ids alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(ids, use_cache=False)[0] if hasattr(self.model.config, "use_cache") else self.model(ids)[0]


class Tagger(nn.Module):
    """An LSTM over words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(1000, 128)
        self.lstm = nn.LSTM(128, 256, num_layers=2, batch_first=True)
        self.tags = nn.Linear(256, 32)

    def forward(self, ids: Tensor) -> Tensor:
        return self.tags(self.lstm(self.words(ids))[0])


class Recurrent(nn.Module):
    """A recurrent network of both directions, and a cell."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.network = getattr(nn, kind)(16, 24, num_layers=2, bidirectional=True)
        self.cell = getattr(nn, f"{kind}Cell")(48, 8)

    def forward(self, x: Tensor) -> Tensor:
        state = self.cell(self.network(x)[0][-1])
        return state if isinstance(state, Tensor) else state[0]


class UNet(nn.Module):
    """Down and up again."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.GroupNorm(4, 16), nn.SiLU())
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), nn.ConvTranspose2d(16, 8, 2, stride=2))
        end = nn.Conv2d(8, 3, 4, padding="same")
        self.end = nn.Sequential(nn.InstanceNorm2d(8, affine=True), nn.LeakyReLU(), end)

    def forward(self, x: Tensor) -> Tensor:
        deep = nn.functional.interpolate(self.down(x), scale_factor=0.5, mode="bilinear")
        deep = nn.functional.interpolate(deep, size=(60, 60))
        return self.end(self.up(deep))


class Attention(nn.Module):
    """The attention of torch.nn, with and without its weights, and one of matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.MultiheadAttention(32, 4, batch_first=True) for _ in range(2))
        self.norm = nn.LayerNorm(32)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x + self.first(x, x, x)[0])
        x = torch.add(x, self.second(x, x, x, need_weights=False)[0])
        return torch.matmul(nn.functional.softmax(x @ x.transpose(1, 2), dim=-1), x).mul(2)


def _torchvision(name: str, side: int = 224, batch: int = 1) -> Made:
    import torchvision

    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, name)(weights=None, **options), torch.randn(batch, 3, side, side)


def _timm(name: str) -> Made:
    import timm

    return timm.create_model(name), torch.randn(1, 3, 224, 224)


def _transformers(kind: str, tokens: int, **options: Any) -> Made:
    import transformers

    config = getattr(transformers, f"{kind}Config")(**options)
    name = {"Bert": "BertModel", "GPT2": "GPT2LMHeadModel"}.get(kind, f"{kind}ForCausalLM")
    return Logits(getattr(transformers, name)(config)), torch.arange(tokens)[None] % 100


LLAMA, LSTM = "a Llama of 4 layers, 128 tokens", "an LSTM of 256, 40 words"
HEADLINES = ("resnet50", "vit_base_patch16_224", "swin_t", LLAMA, LSTM)
"""The models of which the differences are taken apart."""

_NAMES = (
    *("resnet18", "resnext50_32x4d", "alexnet", "vgg11_bn", "squeezenet1_1"),
    *("densenet121", "googlenet", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x1_0"),
    *("mnasnet1_0", "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny"),
)

MODELS: dict[str, Callable[[], Made]] = {
    **{name: partial(_torchvision, name) for name in ("resnet50", "vit_b_16", "swin_t")},
    **{name: partial(_torchvision, name, side=64) for name in _NAMES},
    "inception_v3": partial(_torchvision, "inception_v3", side=75),
    "resnet18, batch 2": partial(_torchvision, "resnet18", side=64, batch=2),
    **{name: partial(_timm, name) for name in ("vit_base_patch16_224", "mixer_s32_224", "ghostnet_100")},
    LLAMA: partial(
        *(_transformers, "Llama", 128),
        **{"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 4, "num_attention_heads": 4},
        vocab_size=1000,
    ),
    "a BERT of 4 layers, 64 tokens": partial(
        *(_transformers, "Bert", 64),
        **{"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4},
    ),
    "a GPT-2 of 4 layers, 64 tokens": partial(_transformers, "GPT2", 64, n_embd=128, n_layer=4, n_head=4),
    LSTM: lambda: (Tagger(), torch.arange(40)[None]),
    "a GRU in both directions, and a cell": lambda: (Recurrent("GRU"), torch.randn(7, 3, 16)),
    "an RNN in both directions, and a cell": lambda: (Recurrent("RNN"), torch.randn(7, 3, 16)),
    "an LSTM in both directions, and a cell": lambda: (Recurrent("LSTM"), torch.randn(7, 3, 16)),
    "a small U-Net": lambda: (UNet(), torch.randn(1, 3, 224, 224)),
    "attention of torch.nn": lambda: (Attention(), torch.randn(2, 10, 32)),
}


def made(name: str) -> Made:
    """The model, in eval mode, and its argument."""
    torch.manual_seed(0)
    model, x = MODELS[name]()
    return model.eval(), x
