"""What ``torch.distributed._tools.mem_tracker.MemTracker`` says of a step of training."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.memory.real_run import prepared, step


def tracked(model: nn.Module, inputs: tuple[Any, ...]) -> dict[str, int]:
    """The bytes at its peak by its own kinds, and ``Total``."""
    from torch.distributed._tools.mem_tracker import MemTracker

    optimizer, tracker = prepared(model, torch.optim.AdamW), MemTracker()
    tracker.track_external(model, optimizer, *inputs)
    with tracker:
        step(model, inputs, optimizer)
    (peak,) = tracker.get_tracker_snapshot("peak").values()
    return {str(getattr(kind, "value", kind)): size for kind, size in peak.items()}
