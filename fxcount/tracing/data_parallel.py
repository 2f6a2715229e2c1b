"""What `DistributedDataParallel` sends: buffers before the model runs; gradients, in buckets, when they are there."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
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
"""The first bucket is closed at this many bytes, so that it is sent early; the others at what the wrapper was given."""


@dataclass(frozen=True)
class DataParallel:
    """A wrapper in a model."""

    path: str
    """Of the wrapper; empty where it is the model that was given, and its module is what is counted."""
    group: str
    """The axis of the mesh that it was given, or ``all ranks``."""
    ranks: int
    """How many ranks there are in it."""
    largest: int
    """The bytes at which a bucket of gradients is closed."""
    largest_of_buffers: int
    """The bytes at which one of buffers is."""
    as_views: bool
    """Whether gradients lie in the buckets, and have no memory of their own."""
    trained: tuple[tuple[str, nn.Parameter], ...]
    """The parameters whose gradients it sums, with their names, in their order in the model."""
    buffers: tuple[tuple[str, torch.Tensor], ...]
    """Those that every rank gets of the first before the model runs."""

    @classmethod
    def of(cls, path: str, wrapper: nn.parallel.DistributedDataParallel) -> DataParallel:
        """What is known of a wrapper.

        Raises:
            TracingError: what it sends is not the gradients.
        """
        sparse = any(getattr(each, "sparse", False) for each in wrapper.module.modules())
        if wrapper.mixed_precision is not None or what_sends(wrapper) or sparse:
            raise TracingError(
                f"{path or 'the model'} is a DistributedDataParallel with mixed_precision, a communication hook or "
                "sparse gradients: what it sends is not counted"
            )
        mesh, group = getattr(wrapper, "device_mesh", None), wrapper.process_group
        names = () if mesh is None else mesh.mesh_dim_names or ()
        everyone = "all ranks" if group.size() == torch.distributed.get_world_size() else group.group_name
        prefix, module, ignored = f"{path}.module." if path else "", wrapper.module, wrapper.parameters_to_ignore
        trained = ((prefix + name, each) for name, each in module.named_parameters() if name not in ignored)
        buffers = (item for item in module.named_buffers() if item[0] not in ignored)
        return cls(
            path,
            next(iter(names), everyone),
            int(group.size()),
            wrapper.bucket_bytes_cap,
            wrapper.broadcast_bucket_size,
            wrapper.gradient_as_bucket_view,
            tuple(item for item in trained if item[1].requires_grad and wrapper.require_backward_grad_sync),
            tuple(buffers) if wrapper.broadcast_buffers and wrapper.require_forward_param_sync else (),
        )

    def note(self, nodes: Iterable[fx.Node], backward: bool) -> None:
        """Writes into nodes what is sent: buffers at the first that the wrapped module runs, gradients at that which
        uses the last parameter of a bucket."""
        called: dict[str, fx.Node] = {}
        for node in nodes:
            owner = str(
                node.meta.get("called_as") or (node.target if node.op == "call_module" else node.meta["module"])
            )
            while called.setdefault(owner, node) is node and owner:
                owner = owner.rpartition(".")[0]
        first = called[_around(self.path, called)]
        if first.op != "call_module" and self.path not in called:
            return  # it does not run
        first.meta["operators"] = (*self._broadcasts(), *first.meta["operators"])
        for last, call in self._sums() if backward else ():
            node = called[_around(last.rpartition(".")[0], called)]
            node.meta["backward"] = (*node.meta.get("backward", ()), call)

    def _broadcasts(self) -> Iterator[OperatorCost]:
        """A call for each bucket of buffers."""
        for _, payload in _buckets(self.buffers, lambda: repeat(self.largest_of_buffers)):
            yield self._call("c10d.broadcast_", "forward", payload)

    def _sums(self) -> Iterator[tuple[str, OperatorCost]]:
        """A call for each bucket of gradients, which come from the last parameter to the first, and the name of that
        which closes it."""
        for last, payload in _buckets(reversed(self.trained), lambda: chain((FIRST_BUCKET,), repeat(self.largest))):
            yield last, self._call("c10d.allreduce_", "backward", payload)

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


def _buckets(
    named: Iterable[tuple[str, torch.Tensor]], limits: Callable[[], Iterator[int]]
) -> Iterator[tuple[str, int]]:
    """Of tensors of each dtype, in their order, the buckets, each closed as soon as it has the bytes of its limit: the
    name of the last tensor in it, and its bytes."""
    by_dtype: dict[torch.dtype, list[tuple[str, int]]] = {}
    for name, tensor in named:
        by_dtype.setdefault(tensor.dtype, []).append((name, part_of(tensor).numel() * tensor.dtype.itemsize))
    for some in by_dtype.values():
        held, limit = 0, limits()
        closed = next(limit)
        for name, size in some:
            held += size
            if held >= closed:
                yield name, held
                held, closed = 0, next(limit)
        if held:
            yield name, held
