"""Every model of timm at its own input size."""

from __future__ import annotations

import functools

import timm
import torch
from torch import nn

from tests.zoo.entry import Entry

EXECUTED = {
    "resnet18",
    "mobilenetv3_small_050",
    "vit_tiny_patch16_224",
    "convnext_atto",
    "coat_lite_tiny",
    "mixer_s32_224",
}


def entries() -> list[Entry]:
    kinds = {name: module for module in timm.list_modules() for name in timm.list_models(module=module)}
    return [
        Entry(
            "timm",
            kinds.get(name, ""),
            name,
            build=functools.partial(timm.create_model, name, pretrained=False),
            example=example,
            executes=name in EXECUTED,
        )
        for name in timm.list_models()
    ]


def example(model: nn.Module) -> torch.Tensor:
    """One image of the size that the model's configuration states."""
    return torch.rand(1, *model.pretrained_cfg["input_size"])
