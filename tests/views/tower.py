"""A small network whose costs are worked out by hand, for the tests of the views."""

import re

import torch
from torch import nn

from fxcount import GraphCost, count_graph


class Block(nn.Module):
    """On [2, 4]: a linear layer of 2 * 4 * 4 macs and 16 + 4 parameters, and 8 multiplications by 4 scales."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * self.scale


class Tower(nn.Module):
    """On [2, 3]: 24 macs, three blocks, 24 macs; one more layer of 4 * 5 + 5 parameters is never called."""

    def __init__(self, blocks: int = 3) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 4, bias=False)
        self.layers = nn.ModuleList(Block() for _ in range(blocks))
        self.head = nn.Linear(4, 3, bias=False)
        self.unused = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


@torch.library.custom_op("fxcount_views::mystery", mutates_args=())
def mystery(x: torch.Tensor) -> torch.Tensor:
    """An operator that has no formula."""
    return x.clone()


@mystery.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


BLOCK_MACS, BLOCK_MUL, BLOCK_PARAMS = 2 * 4 * 4, 2 * 4, 4 * 4 + 4 + 4
EMBED_MACS, EMBED_PARAMS = 2 * 4 * 3, 3 * 4
HEAD_MACS, HEAD_PARAMS = 2 * 3 * 4, 4 * 3
UNUSED_PARAMS = 4 * 5 + 5
MACS = EMBED_MACS + 3 * BLOCK_MACS + HEAD_MACS
FLOPS = MACS + 3 * BLOCK_MUL
READ = 4 * ((2 * 3 + 12) + 3 * ((8 + 16 + 4) + (8 + 4)) + (8 + 12))  # of each layer the input and what it holds
WRITTEN = 4 * (8 + 3 * (8 + 8) + 2 * 3)
PARAMS = EMBED_PARAMS + 3 * BLOCK_PARAMS + HEAD_PARAMS + UNUSED_PARAMS


def tower_cost(blocks: int = 3, batch: int = 2) -> GraphCost:
    """The cost of a tower on [batch, 3], under the default convention."""
    return count_graph(Tower(blocks), torch.empty(batch, 3))


def body(table: str) -> str:
    """The table without the line above it, which says what it is of."""
    above, _, rest = table.partition("\n\n")
    return rest if "Tracer:" in above else table  # a count that an earlier version saved has none


def rows_of(table: str) -> list[list[str]]:
    """The cells that are not empty in each row of a plain table; the first keeps its indentation."""
    rows = []
    for line in body(table).split("\n\n")[0].split("\n")[2:]:
        text = line.strip()
        first, *rest = re.split(r" {2,}", text.replace("  x", " x"))
        rows.append([line[: line.index(text)] + first, *rest])
    return rows
