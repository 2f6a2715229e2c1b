"""`TensorsOf`: what stands for tensors, by their identity."""

import weakref
from typing import Any

import torch


class TensorsOf:
    """A tensor for each of others, by their identity, as long as those are there: nothing is kept alive by it."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Any, torch.Tensor]] = {}

    def get(self, tensor: torch.Tensor, otherwise: torch.Tensor) -> torch.Tensor:
        """The one that was set for ``tensor``."""
        found = self._found.get(id(tensor))
        return otherwise if found is None else found[1]

    def set(self, tensor: torch.Tensor, value: torch.Tensor) -> None:
        """From now on ``value`` is the one for ``tensor``."""
        place, found = id(tensor), self._found
        # Torch hands out the same object as long as the tensor is there, whoever in Python or C++ has it.
        found[place] = (weakref.ref(tensor, lambda gone: found.pop(place, None)), value)
