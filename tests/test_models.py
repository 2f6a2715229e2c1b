"""Real models against the figures that torchvision publishes with their weights."""

import pytest
import torch
from torchvision import models

from fxcount import count_graph

NAMES = (
    "resnet50",
    "vgg16",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "densenet121",
    "vit_b_16",
    "swin_t",
    "convnext_tiny",
)


@pytest.mark.parametrize("name", NAMES)
def test_published_figures(name: str) -> None:
    weights = models.get_model_weights(name).DEFAULT
    size = weights.transforms().crop_size[0]
    with torch.device("meta"):
        model = models.get_model(name).eval()
    cost = count_graph(model, torch.empty(1, 3, size, size))
    assert round(cost.macs / 1e9, 3) == weights.meta["_ops"]
    assert cost.params == weights.meta["num_params"]
    assert cost.uncounted == {}
