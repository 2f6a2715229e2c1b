"""Every model of torchvision, at the size that its published figures are about."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models

from tests.zoo.entry import Entry, Published

KINDS = {
    "classification": models,
    "quantisable": models.quantization,
    "detection": models.detection,
    "segmentation": models.segmentation,
    "video": models.video,
    "optical flow": models.optical_flow,
}

EXECUTED = {"alexnet", "mobilenet_v3_small", "shufflenet_v2_x0_5", "quantized_resnet18", "lraspp_mobilenet_v3_large"}

BOXES_DECIDE = {
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
}
"""Detectors whose macs depend on how many boxes the trained weights find in some image that is not stated."""


def entries() -> list[Entry]:
    kinds = {name: kind for kind, module in KINDS.items() for name in list_models(module=module)}
    return [entry(kinds[name], name) for name in list_models()]


def entry(kind: str, name: str, weights: WeightsEnum | None = None) -> Entry:
    """The model at the size that goes with ``weights``, by default the ones that torchvision recommends."""
    size = image_size(kind, name, weights or get_model_weights(name).DEFAULT)
    return Entry(
        "torchvision",
        kind,
        name,
        build=functools.partial(build, kind, name, size),
        example=lambda _: example(kind, size),
        needs_data=kind == "detection",
        executes=name in EXECUTED,
        published=functools.partial(published, kind, name),
    )


def image_size(kind: str, name: str, weights: WeightsEnum) -> int:
    """The side of the square image that the figures beside ``weights`` are about."""
    transforms = vars(weights.transforms())
    for size in ("crop_size", "resize_size"):
        if size in transforms:
            return int(transforms[size][0])
    if name.startswith("ssd"):  # they resize every image to one size
        return 320 if "320" in name else 300
    return 512 if kind == "optical flow" else 224


def build(kind: str, name: str, size: int) -> nn.Module:
    """The model as its weights fit it, but without them."""
    options: dict[str, Any] = {}
    if kind in ("detection", "segmentation"):
        options["weights_backbone"] = None
    if kind == "segmentation" and not name.startswith("lraspp"):
        options["aux_loss"] = True
    if name.endswith("googlenet"):
        options["aux_logits"] = False
    if name.startswith("vit_"):
        options["image_size"] = size
    device = torch.get_default_device()
    with torch.device("cpu") if name.startswith("regnet") else device:  # it computes its widths with tensors
        model = get_model(name, weights=None, **options).to(device)
    if kind == "detection" and not name.startswith("ssd") and not name.endswith("_v2"):
        freeze_norms(model.backbone)
    return model


def freeze_norms(backbone: nn.Module) -> None:
    """Scale and shift of norms become buffers, as in torchvision's FrozenBatchNorm2d, which only loaded weights get."""
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name in ("weight", "bias"):
                value = getattr(module, name).detach()
                delattr(module, name)
                module.register_buffer(name, value)


def example(kind: str, size: int) -> Any:
    if kind == "detection":
        return [torch.rand(3, size, size)]
    if kind == "optical flow":
        return torch.rand(1, 3, size, size), torch.rand(1, 3, size, size)
    if kind == "video":
        return torch.rand(1, 3, 16, size, size)
    return torch.rand(1, 3, size, size)


def published(kind: str, name: str) -> tuple[Published, ...]:
    """What stands beside each of the model's weights; of weights with the same figures, the first."""
    found: dict[tuple[Any, ...], Published] = {}
    for weights in get_model_weights(name):
        params, giga_macs = weights.meta["num_params"], weights.meta["_ops"]
        figures = Published(
            str(weights), params, None if name in BOXES_DECIDE else giga_macs, entry(kind, name, weights)
        )
        found.setdefault((params, giga_macs, image_size(kind, name, weights)), figures)
    return tuple(found.values())
