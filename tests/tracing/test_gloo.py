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

from fxcount import count_graph, count_pipeline
from tests.tracing import pipelines
from tests.tracing.on_ranks import PAIRS, network

KINDS = {"allreduce": 2, "allgather": 1, "reducescatter": 1, "alltoall": 1}
"""Collectives, and how often all but its own part of the payload a rank sends in a ring."""


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
            for kind, factor in KINDS.items():
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
                    kind = next(kind for kind in KINDS if kind in each.name.rpartition(".")[2].replace("_", ""))
                    counted[kind, each.sent] += 1
        model = make(mesh)
        with Sent(2 if name == "split and gathered" else ranks) as real:
            out = model(x)
            out = out.to_local() if isinstance(out, DTensor) else out
            out.backward(torch.ones_like(out))
        assert counted == real.found, (name, counted, real.found)
        assert counted, name
    _what_an_optimizer_sends(ranks)
    _gradients_that_are_summed(ranks)
    _what_stages_send(rank, ranks)
    dist.destroy_process_group()


def _what_an_optimizer_sends(ranks: int) -> None:
    """AdamW has gradients summed of which each rank has a part, those of a norm whose rows are split; Muon multiplies
    matrices that are split."""
    for name, make in {"sequence parallel": torch.optim.AdamW, "gathered": torch.optim.Muon}.items():
        shape = (ranks, 1) if name == "gathered" else (1, ranks)
        model = PAIRS[name][0](init_device_mesh("cpu", shape, mesh_dim_names=("dp", "tp")))
        cost = count_graph(model, torch.ones(8, 64), optimizer=make)
        assert cost.optimizer is not None
        optimizer = make(model.parameters())
        model(torch.ones(8, 64)).sum().backward()
        with Sent(ranks) as real:
            optimizer.step()
        counted = Counter[tuple[str, int]]()
        for each in cost.optimizer.collectives:
            kind = next(kind for kind in KINDS if kind in each.name.rpartition(".")[2].replace("_", ""))
            counted[kind, each.sent] += 1
        assert counted == real.found, (name, counted, real.found)
        assert counted, name


def _gradients_that_are_summed(ranks: int) -> None:
    """Wrappers for data parallel training, around a model, in one, and called twice: the bytes of all gradients, in as
    many calls as they make from their fourth step on: one before sends in which order gradients came; and of buffers,
    and which parameters are used."""
    given: dict[str, dict[str, Any]] = {
        "around": {"bucket_cap_mb": 2},
        "inside": {},
        "twice": {"bucket_cap_mb": 0.01, "find_unused_parameters": True},
        "unused": {"find_unused_parameters": True},
        "static": {"static_graph": True},
    }
    for name, options in given.items():
        model: nn.Module = nn.Sequential(network("cpu"), nn.BatchNorm1d(64), *(nn.Linear(64, 4096) for _ in range(2)))
        model[3] = nn.Linear(4096, 64)
        model = nn.parallel.DistributedDataParallel(model, **options)
        model = nn.Sequential(model, nn.Linear(64, 2)) if name == "inside" else model
        model = nn.Sequential(model, model) if name == "twice" else model
        for _ in range(3):
            model(torch.ones(8, 64)).sum().backward()
        cost = count_graph(model, torch.ones(8, 64), backward=True)
        with Sent(ranks) as real:
            model(torch.ones(8, 64)).sum().backward()
        counted = Counter[tuple[str, int]]()
        for node in cost.nodes:
            for each in (*node.operators, *(node.backward_operators or ())):
                if each.group:
                    counted[each.name.rpartition(".")[2].strip("_"), each.sent] += 1
        assert counted == real.found, (name, counted, real.found)
        assert counted.total() >= 4


class SentOn(TorchDispatchMode):
    """How often a rank sends so many bytes to another one."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Counter[int]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name() == "c10d::send":
            self.found[sum(each.nbytes for each in tree_leaves(args) if isinstance(each, torch.Tensor))] += 1
        return func(*args, **(kwargs or {}))


def _what_stages_send(rank: int, ranks: int) -> None:
    """Results and gradients, by their sizes, which differ from stage to stage."""
    for case in pipelines.cases(ranks, rank):
        schedule, made, example = case
        trained = schedule._loss_fn is not None
        pipeline = count_pipeline(schedule, made, example, backward=trained)
        counted = Counter[int]()
        for stage in pipeline.stages:
            for each in stage.received:
                source = pipeline.stages[each.source]
                if stage.rank != source.rank:
                    counted[each.size] += pipeline.microbatches * (source.rank == rank)
                    counted[each.size] += pipeline.microbatches * (stage.rank == rank and each.has_gradient)
        pipelines.run(case, rank, ranks)  # the first time it is also sent which shapes there are
        with SentOn() as real:
            pipelines.run(case, rank, ranks)
        assert +counted == real.found, (pipeline, rank, counted, real.found)
        sent = [each for stage in pipeline.stages if stage.rank == rank for each in stage.communication]
        assert pipeline.microbatches * sum(each.calls for each in sent) == real.found.total(), (pipeline, rank)
        whole = sum(size * times for size, times in real.found.items())
        assert pipeline.microbatches * sum(each.sent for each in sent) == whole, (pipeline, rank)
        assert whole or (rank == ranks - 1 and not trained)


@pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")
@pytest.mark.parametrize("ranks", [2, 4])
def test_what_real_processes_send(ranks: int, tmp_path: Path) -> None:
    mp.spawn(on_one_rank, (ranks, str(tmp_path / "store")), nprocs=ranks)
