"""Tensors of which each rank has a part: as a whole they cost what no rank does."""

import sys
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from fxcount.errors import TracingError

NOT_COUNTED = "and what one rank computes is not counted: count the model as it is before it is parallelised"


def refuse_sharded(named: Iterable[tuple[str, torch.Tensor]]) -> None:
    """
    Raises:
        TracingError: one of these tensors is in parts on several ranks.
    """
    module = sys.modules.get("torch.distributed.tensor")
    if module is None:  # there are none
        return
    for name, tensor in named:
        if isinstance(tensor, module.DTensor) and tensor.device_mesh.size() > 1 and _shards(tensor):
            raise TracingError(f"{name} is in parts on {tensor.device_mesh.size()} ranks, {NOT_COUNTED}")


def refuse_sharded_model(modules: Mapping[str, nn.Module], parameters: Iterable[tuple[str, torch.Tensor]]) -> None:
    """As ``refuse_sharded``, but for parameters that ``fully_shard`` gathers while the model runs.

    Raises:
        TracingError: a parameter stays in parts, or there is a ``FullyShardedDataParallel``, which cannot run here.
    """
    fsdp = sys.modules.get("torch.distributed.fsdp")
    gathered: set[int] = set()
    kinds = {*map(type, modules.values())} if fsdp is not None else set()
    if fsdp is not None and any(issubclass(kind, fsdp.FullyShardedDataParallel | fsdp.FSDPModule) for kind in kinds):
        for path, module in modules.items():
            if isinstance(module, fsdp.FullyShardedDataParallel):
                raise TracingError(f"{path or 'the model'} is a FullyShardedDataParallel, {NOT_COUNTED}")
            if isinstance(module, fsdp.FSDPModule):
                gathered.update(id(each) for each in module.parameters() if _shards(each) == 1)
    refuse_sharded((name, each) for name, each in parameters if id(each) not in gathered)


def _shards(tensor: torch.Tensor) -> int:
    """In how many ways a tensor is split over ranks."""
    return sum(not placement.is_replicate() for placement in getattr(tensor, "placements", ()))
