"""Collectives against real runs of two and of four processes: what each of them really hands to gloo."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fxcount import count_graph
from tests.tracing.on_ranks import PAIRS, network


class Sent(TorchDispatchMode):
    """The collectives that run, and what a rank sends in each by the usual algorithm for a ring."""

    def __init__(self, ranks: int) -> None:
        super().__init__()
        self.ranks = ranks
        self.found = Counter[tuple[str, int]]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(each, DTensor) for each in types):
            return NotImplemented
        out = func(*args, **(kwargs or {}))
        name = func.name().rpartition("::")[2].replace("_", "")
        if "c10d" in func.name():
            held = [each.nbytes for each in tree_leaves((args, out)) if isinstance(each, torch.Tensor)]
            for kind, factor in (("allreduce", 2), ("allgather", 1), ("reducescatter", 1), ("alltoall", 1)):
                if kind in name:
                    self.found[kind, factor * max(held) * (self.ranks - 1) // self.ranks] += 1
            if "broadcast" in name:
                self.found["broadcast", sum(held) // 2] += 1  # they are argument and result
        return out


def on_one_rank(rank: int, ranks: int, path: str) -> None:
    """All pairs, on one of several processes; an error ends them all."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=ranks)
    shapes = {"gathered": (ranks, 1), "split and gathered": (2, 2)}
    for name, (make, shape) in PAIRS.items():
        if name == "split and gathered" and ranks < 4:
            continue
        mesh = init_device_mesh("cpu", shapes.get(name, (1, ranks)), mesh_dim_names=("dp", "tp"))
        x = torch.ones(shape, requires_grad=True)
        cost = count_graph(make(mesh), x, backward=True)
        counted = Counter[tuple[str, int]]()
        for node in cost.nodes:
            for each in (*node.operators, *(node.backward_operators or ())):
                if each.sent:
                    kind = next(
                        kind
                        for kind in ("allreduce", "allgather", "reducescatter", "alltoall")
                        if kind in each.name.rpartition(".")[2].replace("_", "")
                    )
                    counted[kind, each.sent] += 1
        model = make(mesh)
        with Sent(2 if name == "split and gathered" else ranks) as real:
            out = model(x)
            out = out.to_local() if isinstance(out, DTensor) else out
            out.backward(torch.ones_like(out))
        assert counted == real.found, (name, counted, real.found)
        assert counted, name
    _gradients_that_are_summed(ranks)
    dist.destroy_process_group()


def _gradients_that_are_summed(ranks: int) -> None:
    """Wrappers for data parallel training, around a model and in one: the bytes of all gradients, in as many calls as
    they make from their third step on: the second sends in which order gradients came in the first; and of buffers."""
    for inside in (False, True):
        model: nn.Module = nn.Sequential(network("cpu"), nn.BatchNorm1d(64), *(nn.Linear(64, 4096) for _ in range(2)))
        model[3] = nn.Linear(4096, 64)
        model = nn.parallel.DistributedDataParallel(model, bucket_cap_mb=1)
        model = nn.Sequential(model, nn.Linear(64, 2)) if inside else model
        for _ in range(2):
            model(torch.ones(8, 64)).sum().backward()
        cost = count_graph(model, torch.ones(8, 64), backward=True)
        with Sent(ranks) as real:
            model(torch.ones(8, 64)).sum().backward()
        counted = Counter[tuple[str, int]]()
        for node in cost.nodes:
            for each in (*node.operators, *(node.backward_operators or ())):
                if each.group:
                    counted[each.name.rpartition(".")[2].strip("_"), each.sent] += 1
        assert counted == real.found, (counted, real.found)
        assert counted.total() == 5


@pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")
@pytest.mark.parametrize("ranks", [2, 4])
def test_what_real_processes_send(ranks: int, tmp_path: Path) -> None:
    mp.spawn(on_one_rank, (ranks, str(tmp_path / "store")), nprocs=ranks)
