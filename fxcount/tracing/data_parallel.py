"""What `DistributedDataParallel` sends: buffers before the model runs; gradients, in buckets, when they are there."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, repeat

import torch
from torch import fx, nn

from fxcount._torch import what_sends
from fxcount.cost import Cost, OperatorCost
from fxcount.engine.sharding import part_of
from fxcount.errors import TracingError
from fxcount.formulas import formula_named

FIRST_BUCKET = 2**20
"""Where the wrapper was given no size, the first bucket is closed at this many bytes, so that it is sent early."""


@dataclass(frozen=True)
class DataParallel:
    """A wrapper in a model."""

    path: str
    """Of the wrapper; empty where it is the model that was given, and its module is what is counted."""
    group: str
    """The axis of the mesh that it was given, or ``all ranks``."""
    ranks: int
    """How many ranks there are in it."""
    limits: tuple[int, ...]
    """The bytes at which each bucket of gradients is closed, the last for all further ones."""
    largest_of_buffers: int
    """The bytes at which one of buffers is."""
    as_views: bool
    """Whether gradients lie in the buckets, and have no memory of their own."""
    finds_unused: bool
    """Whether it asks in every step which parameters some rank has used. Then buckets stay as they are first made, from
    the first parameter on."""
    may_lack: bool
    """Whether some parameters may have no gradient."""
    sums: bool
    """Whether it sums gradients now, and not only gathers them."""
    trained: tuple[tuple[str, nn.Parameter], ...]
    """The parameters whose gradients it sums, with their names, in their order in the model."""
    buffers: tuple[tuple[str, torch.Tensor], ...]
    """Those that every rank gets of the first before the model runs."""

    @classmethod
    def of(cls, path: str, wrapper: nn.parallel.DistributedDataParallel) -> DataParallel:
        """What is known of a wrapper.

        Raises:
            TracingError: what it sends is not the gradients, or the model in it is split.
        """
        sparse = any(getattr(each, "sparse", False) for each in wrapper.module.modules())
        if wrapper.mixed_precision is not None or what_sends(wrapper) or sparse:
            raise TracingError(
                f"{path or 'the model'} is a DistributedDataParallel with mixed_precision, a communication hook or "
                "sparse gradients: what it sends is not counted"
            )
        if any(hasattr(kept, "placements") for each in wrapper.module.parameters() for kept in vars(each).values()):
            raise TracingError(
                f"{path or 'the model'} is a DistributedDataParallel around a model that is split, whose parameters it "
                "makes anew in each call: count the split model, of whose gradients it has the sum"
            )
        mesh, group = getattr(wrapper, "device_mesh", None), wrapper.process_group
        names = () if mesh is None else mesh.mesh_dim_names or ()
        everyone = "all ranks" if group.size() == torch.distributed.get_world_size() else group.group_name
        prefix, module, ignored = f"{path}.module." if path else "", wrapper.module, wrapper.parameters_to_ignore
        trained = ((prefix + name, each) for name, each in module.named_parameters() if name not in ignored)
        buffers = (item for item in module.named_buffers() if item[0] not in ignored)
        largest = wrapper.bucket_bytes_cap
        limits = (FIRST_BUCKET, largest) if wrapper.bucket_bytes_cap_default else (largest,)
        may_lack = wrapper.find_unused_parameters or wrapper.static_graph
        return cls(
            path,
            next(iter(names), everyone),
            int(group.size()),
            tuple(getattr(wrapper, "bucket_bytes_cap_list", ())) or limits,  # torch 2.9 has no list
            wrapper.broadcast_bucket_size,
            wrapper.gradient_as_bucket_view,
            wrapper.find_unused_parameters and not wrapper.static_graph,
            may_lack,
            wrapper.require_backward_grad_sync,
            tuple(item for item in trained if item[1].requires_grad),
            tuple(buffers) if wrapper.broadcast_buffers and wrapper.require_forward_param_sync else (),
        )

    def note(self, nodes: Iterable[fx.Node], calls: int, gradients: Container[int]) -> None:
        """Writes into nodes what is sent: buffers, as often as the wrapper is called, at the first that the wrapped
        module runs; gradients at that which uses the last parameter of a bucket. ``gradients`` are the identities of
        the parameters that have one.

        Raises:
            TracingError: some parameters have a gradient and some have none, and the wrapper waits for all.
        """
        if not calls:
            return
        called: dict[str, fx.Node] = {}
        for node in nodes:
            owner = str(
                node.meta.get("called_as") or (node.target if node.op == "call_module" else node.meta["module"])
            )
            while called.setdefault(owner, node) is node and owner:
                owner = owner.rpartition(".")[0]
        first = called[_around(self.path, called)]
        first.meta["operators"] = (*calls * [*self._broadcasts()], *first.meta["operators"])
        for last, call in self._sums() if self._are_there(gradients) else ():
            node = called[_around(last.rpartition(".")[0], called)]
            node.meta["backward"] = (*node.meta.get("backward", ()), call)

    def _are_there(self, gradients: Container[int]) -> bool:
        """Whether there are gradients to be summed; none are of a wrapper that runs without autograd."""
        lacking = [name for name, each in self.trained if id(each) not in gradients]
        if not self.sums or len(lacking) == len(self.trained):
            return False
        if lacking and not self.may_lack:
            raise TracingError(
                f"{lacking[0]} has no gradient, and {self.path or 'the model'} is a DistributedDataParallel that waits "
                "for it: its next step is an error of torch, unless it is made with find_unused_parameters=True"
            )
        return True

    def _broadcasts(self) -> Iterator[OperatorCost]:
        """A call for each bucket of buffers."""
        for bucket in _buckets(self.buffers, (self.largest_of_buffers,)):
            yield self._call("c10d.broadcast_", "forward", sum(bucket.values()))

    def _sums(self) -> Iterator[tuple[str, OperatorCost]]:
        """A call for each bucket of gradients, which come from the last parameter to the first, and the name of that
        which closes it."""
        in_order = self.trained if self.finds_unused else self.trained[::-1]
        buckets = [*_buckets(in_order, self.limits)]
        first = self.trained[0][0]
        for bucket in reversed(buckets) if self.finds_unused else buckets:
            first = [*bucket][0 if self.finds_unused else -1]
            yield first, self._call("c10d.allreduce_", "backward", sum(bucket.values()))
        if self.finds_unused:  # a whole number for each parameter
            yield first, self._call("c10d.allreduce_", "backward", torch.int32.itemsize * len(self.trained))

    def _call(self, name: str, phase: str, payload: int) -> OperatorCost:
        formula = formula_named(name)
        assert formula is not None
        assert formula.equation is not None
        quantities = {"payload": payload, "ranks": self.ranks}
        text, sent = formula.equation.text, formula.equation.sent(quantities)
        return replace(OperatorCost(name, Cost(), text, quantities, phase=phase), sent=sent, group=self.group)


def _around(path: str, called: Container[str]) -> str:
    """The path of the innermost module that was called and is or holds the one there."""
    return path if path in called else _around(path.rpartition(".")[0], called)


def _buckets(named: Iterable[tuple[str, torch.Tensor]], limits: tuple[int, ...]) -> Iterator[dict[str, int]]:
    """Of tensors of each dtype, in their order, the buckets, each closed as soon as it has the bytes of its limit: the
    names of the tensors in it, and their bytes."""
    by_dtype: dict[torch.dtype, dict[str, int]] = {}
    for name, tensor in named:
        by_dtype.setdefault(tensor.dtype, {})[name] = part_of(tensor).numel() * tensor.dtype.itemsize
    for some in by_dtype.values():
        left = iter(some.items())
        for limit in chain(limits, repeat(limits[-1])):
            bucket: dict[str, int] = {}
            held = 0
            for name, size in left:
                bucket[name] = size
                held += size
                if held >= limit:
                    break
            if not bucket:
                break
            yield bucket
