"""`AutogradSettings`: what autograd was told while the nodes of a graph were made."""

import torch
from torch import fx

from fxcount.tracing.saved_regions import SavedRegion


class AutogradSettings:
    """Which nodes it was to leave out, and which lie in stretches where the model decides what is kept."""

    def __init__(self) -> None:
        self.without_gradients: set[fx.Node] = set()
        """The nodes of calls that autograd was told to leave out."""
        self.inside: tuple[SavedRegion, ...] = ()
        """The stretches that the run is in now, the innermost last."""
        self.regions: dict[fx.Node, tuple[SavedRegion, ...]] = {}
        """Those of the nodes that lie in any."""

    def note(self, node: fx.Node) -> None:
        """``node`` has been made now."""
        if not torch.is_grad_enabled():
            self.without_gradients.add(node)
        if self.inside:
            self.regions[node] = self.inside

    def is_hooked(self, node: fx.Node) -> bool:
        """Whether hooks of the model's are run on what is saved of a call."""
        return any(region.is_hooked for region in self.regions.get(node, ()))

    def note_modes(self) -> None:
        """Modes of the dispatcher of the model's own are at work now."""
        for region in self.inside:
            region.is_under_modes = True

    def enter(self, region: SavedRegion) -> None:
        """A stretch begins."""
        self.inside = (*self.inside, region)

    def leave(self, hooks: object) -> None:
        """The stretch that has these hooks ends, if it is the innermost."""
        if self.inside and self.inside[-1].hooks is hooks:
            self.inside = self.inside[:-1]
