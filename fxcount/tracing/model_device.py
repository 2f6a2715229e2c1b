"""`ModelDevice`: where a model is, and what it is told about where its tensors are."""

from collections.abc import Callable
from typing import Any

import torch

DEVICE_QUESTIONS: dict[str, Callable[[torch.device], Any]] = {
    "device": lambda device: device,
    "is_meta": lambda device: device.type == "meta",
    "is_cpu": lambda device: device.type == "cpu",
    "is_cuda": lambda device: device.type == "cuda",
}
"""Properties of a tensor that say where it is."""


class ModelDevice:
    """The device of a model that runs on stand-ins, which are on the meta device."""

    def __init__(self, device: torch.device) -> None:
        self.actual = device
        self.type = device.type  # which takes long to read
        self.told = torch.device("cpu") if device.type == "meta" else device
        """What the model is told: on the meta device it would refuse to run, or go a way of its own."""

    def of(self, tensor: torch.Tensor) -> torch.device:
        """The device that the model sees: a stand-in is where the model is."""
        device = tensor.device
        return self.told if device.type == "meta" else device

    def in_graph(self, device: torch.device) -> torch.device:
        """A device that the model names, as a node names it."""
        return self.actual if device.type == "meta" or device == self.told else device
