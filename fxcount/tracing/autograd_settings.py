"""`AutogradSettings`: what autograd was told while the nodes of a graph were made."""

from collections import Counter

import torch
from torch import fx

from fxcount._torch import grad_mode_setter
from fxcount.engine.refusals import refused
from fxcount.errors import NO_VALUES, DataNeededError
from fxcount.tracing.saved_regions import SavedRegion, checkpoints_at_work


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
            if any(region.is_reentrant for region in self.inside):  # where another checkpoint does nothing yet
                hidden = checkpoints_at_work() > sum(region.is_checkpoint for region in self.inside)
                self.inside[-1].hides_another |= hidden

    def is_hooked(self, node: fx.Node) -> bool:
        """Whether hooks of the model's are run on what is saved of a call."""
        return any(region.is_hooked for region in self.regions.get(node, ()))

    def refuse_unseen(self) -> None:
        """Refuses gradients that would be others than those of a real run.

        Raises:
            DataNeededError: a checkpoint chooses what it keeps, or has inside what is not seen below autograd.
        """
        switched: Counter[SavedRegion] = Counter()
        for node, regions in self.regions.items():
            for depth, region in enumerate(regions):
                if region.is_under_modes:
                    raise refused(DataNeededError(f"a checkpoint that chooses what to keep {NO_VALUES}"))
                if not region.is_reentrant:
                    continue
                # Such a checkpoint switches gradients off and back itself: inside, a switch would change nothing.
                switched[region] += node.target is grad_mode_setter
                if depth + 1 < len(regions) or region.hides_another or switched[region] > 2:
                    inside = "a reentrant checkpoint in which gradients are switched off, or another one lies,"
                    raise refused(DataNeededError(f"{inside} {NO_VALUES}"))

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
