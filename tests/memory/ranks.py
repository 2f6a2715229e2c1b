"""What a real rank holds: the storages of its own tensors, and not those of torch's fake ones, which have no memory."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Block(nn.Module):
    """A layer of a decoder, of width 64 with four heads."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.norm_up = nn.LayerNorm(64), nn.LayerNorm(64)
        self.qkv, self.out, self.up, self.down = (
            nn.Linear(*sizes) for sizes in ((64, 192), (64, 64), (64, 256), (256, 64))
        )

    def forward(self, x: Tensor) -> Tensor:
        heads = (each.unflatten(-1, (4, 16)).transpose(1, 2) for each in self.qkv(self.norm(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm_up(x))))


class Decoder(nn.Module):
    """Three layers, a vocabulary of 128 and 32 positions."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.positions = nn.Embedding(128, 64), nn.Parameter(torch.zeros(32, 64))
        self.layers = nn.ModuleList(Block() for _ in range(3))
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 128, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids) + self.positions[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def gathered_decoder(mesh: Any, device: str = "cpu") -> nn.Module:
    """Each layer gathered by itself, and the rest."""
    with torch.device(device):
        decoder = Decoder()
    for layer in (*decoder.layers, decoder):
        fully_shard(layer, mesh=mesh)
    return decoder


class Followed(TorchDispatchMode):
    """The bytes of all storages that are there when an operator has run."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[int] = []
        self._storages: dict[int, Any] = {}

    def know(self, *given: Tensor) -> None:
        """These are there already."""
        for tensor in given:
            part = tensor.to_local() if isinstance(tensor, DTensor) else tensor
            storage = getattr(part, "elem", part).untyped_storage()
            place = storage._cdata
            self._storages[place] = weakref.ref(storage, lambda gone, place=place: self._storages.pop(place, None))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(each, DTensor | AsyncCollectiveTensor) for each in types):
            return NotImplemented
        out = func(*args, **(kwargs or {}))
        if "c10d" in func.name():
            time.sleep(0.02)  # the threads of gloo let go of tensors a moment later
        given = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, Tensor)]
        if func in _OF_GLOO or any(isinstance(each, FakeTensor) or each.is_meta for each in given):
            return out
        self.know(*given)
        self.held.append(sum(held.nbytes() for each in [*self._storages.values()] if (held := each()) is not None))
        return out


_OF_GLOO = (torch.ops.aten.split.Tensor, torch.ops.aten.copy_.default)
"""How gloo takes the result of a scatter out of a buffer of its own."""


def step(model: nn.Module, inputs: Tensor, make: Callable[..., Any]) -> int:
    """The most bytes at once in a step of training, whose outputs are given their gradients."""
    optimizer, followed = make([each for each in model.parameters() if each.requires_grad]), Followed()
    gc.collect()
    followed.know(*model.parameters(), *model.buffers(), inputs)
    with followed:
        result = model(inputs)
        given = torch.ones_like(result)
        result.backward(given)
        del given
        optimizer.step()
    return max(followed.held)
