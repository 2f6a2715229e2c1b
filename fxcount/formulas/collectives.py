"""Collectives: what a rank sends to others, by the usual algorithm of each.

They compute nothing that counts here: the sums of an all-reduce are done by what sends them. A payload is the largest
tensor of the call, in bytes: of an all-gather its result, of a reduce-scatter what it is given.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from fxcount._torch import group_resolver
from fxcount.cost import Quantities, Size
from fxcount.errors import RANKS_DIFFER, ROUTED, TracingError
from fxcount.formulas.registry import formula, formulas, refuse
from fxcount.formulas.tensor import Tensor

RING = "sent = payload * (ranks - 1) // ranks"

Given = Tensor | Sequence[Tensor]

Sizes = Sequence[Size]
"""How many rows of a tensor are for each rank; none where all get as many."""


def process_group(named: Any) -> Any:
    """The process group of that name, or in that box, as collectives are given it."""
    if isinstance(named, torch.ScriptObject):
        return torch.distributed.ProcessGroup.unbox(named)
    return group_resolver(torch)(named) if isinstance(named, str) else named


def group_size(named: Any) -> int:
    """How many ranks there are in a process group."""
    return int(process_group(named).size())


def _bytes(given: Any) -> Size:
    """Those of a tensor, or of all in a list, also of lists."""
    if isinstance(given, list | tuple):
        return sum(map(_bytes, given))
    size: Size = given.numel() * given.dtype.itemsize
    return size


@formulas(
    {
        "sent = 2 * payload * (ranks - 1) // ranks": (
            "_c10d_functional.all_reduce _c10d_functional.all_reduce_coalesced"
        ),
        "sent = payload": "_c10d_functional.broadcast",
    }
)
def of_input(given: Given, *, group_name: Any) -> Quantities:
    """An all-reduce in a ring is a reduce-scatter and an all-gather, each of which sends a part of the payload to the
    next rank, ranks - 1 times. A broadcast sends on what it gets, piece by piece."""
    return {"payload": _bytes(given), "ranks": group_size(group_name)}


@formula(
    "_c10d_functional.reduce_scatter_tensor _c10d_functional.reduce_scatter_tensor_coalesced "
    "_c10d_functional.reduce_scatter_tensor_out _c10d_functional_autograd.reduce_scatter_tensor "
    "_dtensor.shard_dim_alltoall",
    RING,
)
def reduce_scatter(given: Given, *, group_name: Any) -> Quantities:
    """Of each of the parts but its own a rank sends one: to the next rank in a ring, which adds its own to it, or to
    the rank that it is for."""
    return {"payload": _bytes(given), "ranks": group_size(group_name)}


@formula("_c10d_functional.all_to_all_single _c10d_functional_autograd.all_to_all_single", RING)
def exchange(given: Tensor, output_split_sizes: Sizes, input_split_sizes: Sizes, *, group_name: Any) -> Quantities:
    """Of each of the parts but its own a rank sends one to the rank that it is for."""
    refuse_unequal(given, output_split_sizes, input_split_sizes)
    return {"payload": _bytes(given), "ranks": group_size(group_name)}


@formula("c10d.alltoall_base_", RING)
def exchange_into(
    output: Tensor, given: Tensor, *, process_group: Any, output_split_sizes: Sizes, input_split_sizes: Sizes
) -> Quantities:
    """As the functional collective."""
    return exchange(given, output_split_sizes, input_split_sizes, group_name=process_group)


def refuse_unequal(given: Tensor, *sizes: Sizes) -> None:
    """
    Raises:
        TracingError: what is sent are numbers of rows, or as many rows as there happen to be for each rank.
    """
    if given.dtype in (torch.int32, torch.int64) or any(len(set(each)) > 1 for each in sizes):
        raise TracingError(f"{ROUTED}: an all-to-all sends as many rows as there are for each rank; {RANKS_DIFFER}")


@formula(
    "_c10d_functional.all_gather_into_tensor _c10d_functional.all_gather_into_tensor_coalesced "
    "_c10d_functional.all_gather_into_tensor_out _c10d_functional_autograd.all_gather_into_tensor",
    RING,
)
def all_gather(given: Given, *, group_name: Any, out: Given) -> Quantities:
    """In a ring, a rank sends each of the parts but one to the next rank."""
    return {"payload": _bytes(out), "ranks": group_size(group_name)}


def _place(position: int) -> Callable[..., Quantities]:
    """The measure of an operator on tensors and a process group, whose payload stands at that place."""

    def measure(*given: Any, process_group: Any) -> Quantities:
        """As the functional collective of that name: an all-reduce in a ring sends all but its own part twice, the
        others once."""
        return {"payload": _bytes(given[position]), "ranks": group_size(process_group)}

    return measure


formulas(
    {
        "sent = 2 * payload * (ranks - 1) // ranks": "c10d.allreduce_ c10d.allreduce_coalesced_",
        RING: "c10d._allgather_base_ c10d.allgather_ c10d.allgather_into_tensor_coalesced_",
        "sent = payload": "c10d.broadcast_ c10d.send",
    }
)(_place(0))

formula("c10d._reduce_scatter_base_ c10d.reduce_scatter_ c10d.reduce_scatter_tensor_coalesced_ c10d.alltoall_", RING)(
    _place(1)
)


@formula(
    "_c10d_functional.wait_tensor _c10d_functional._wrap_tensor_autograd c10d.recv_ c10d.barrier "
    "c10d.monitored_barrier_ fsdp.all_gather_copy_in fsdp.split_with_sizes_copy fsdp.chunk_cat",
    "",
)
def nothing_sent() -> Quantities:
    """It waits for others, takes what they send, or lays out what is sent."""
    return {}


refuse(
    "c10d.gather_ c10d.gather_into_tensor_ c10d.scatter_ c10d.reduce_",
    "what a rank sends depends on which of them it is",
)
