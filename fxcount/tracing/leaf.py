"""The leaf rule, one for all tracers: which modules are one node."""

from __future__ import annotations

from torch import nn

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def is_leaf(module: nn.Module) -> bool:
    """Modules of ``torch.nn`` are one node each, except containers; the user's own are traced into."""
    return type(module).__module__.startswith(("torch.nn", "torch.ao.nn")) and not isinstance(module, _CONTAINERS)
