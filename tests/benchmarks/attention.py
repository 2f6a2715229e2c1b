"""Whether tools count attention, on which most of them differ."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.benchmarks.tools import FORWARD, TOOLS, macs_of

HEADS, TOKENS, WIDTH = 12, 197, 64
MACS = 2 * HEADS * TOKENS**2 * WIDTH
"""Each head contracts queries with keys over the width, and weights with values over the tokens."""


class Attention(nn.Module):
    """One attention of vit_base_patch16_224, called as a function."""

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x)


def counted_macs() -> Mapping[str, int | str]:
    """What each tool makes of it, or why it fails."""
    found: dict[str, int | str] = {}
    for name, tool in TOOLS.items():
        if name != FORWARD:
            try:
                found[name] = macs_of(tool.count(Attention(), torch.rand(1, HEADS, TOKENS, WIDTH, device=tool.device)))
            except Exception as error:
                found[name] = f"{type(error).__name__}: {error}".split("\n")[0]
    return found
