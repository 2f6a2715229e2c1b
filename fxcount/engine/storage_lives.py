"""`StorageLives`: the memory of tensors, from the operator that makes it to its end."""

import contextlib
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

from fxcount._torch import DispatchMode, Operator, entry_indices, entry_values, place_of, storage_identity
from fxcount.engine.operator_facts import facts_on
from fxcount.engine.sharding import part_of
from fxcount.fault_origin import for_the_model
from fxcount.formulas.number_kinds import tensors


@dataclass(eq=False, slots=True)
class StorageLife:
    """A piece of memory."""

    size: int
    """In bytes."""
    shape: tuple[int, ...]
    dtype: torch.dtype
    """The form of the tensor that it was made for."""
    made: int
    """The number of the operator that made it; -1 if it was there before."""
    kind: str = ""
    """What it is for; empty where only the operator tells."""
    name: str = ""
    """What it is called, if it was there before."""
    freed: int | None = None
    """The number of the first operator that ran without it; None if it was there to the end."""
    savers: set[str] = field(default_factory=set)
    """The modules whose operators autograd keeps it for."""
    grown_from: "StorageLife | None" = None
    """The memory of an input that it has the values of, and more."""


class OperatorRun(NamedTuple):
    """An operator that ran."""

    operator: str
    place: str
    phase: str


class StorageLives(DispatchMode):
    """Follows the storage of every tensor that an operator makes, until nobody in Python or C++ has it any more.

    It sees what ran below it, without data or with it, as one operator: what memory a kernel needs for itself it does
    not see.
    """

    supports_higher_order_operators = True

    def __init__(self, place: Callable[[], str]) -> None:
        """``place`` says where in the model the operator is called that has just run."""
        super().__init__()
        self.lives: list[StorageLife] = []
        """All, in the order in which they were made."""
        self.runs: list[OperatorRun] = []
        """All operators that ran, in order."""
        self.phase = "forward"
        self._place = place
        self._alive: dict[int, StorageLife] = {}
        self._ends: dict[int, Any] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, Operator) and not facts_on(func).lifts:
            self._look_at((args, tuple(kwargs.values())))
        out = for_the_model(func, *args, **kwargs)
        name, made = _made_by(func, out)
        grown = self._grown(func, args)
        for tensor in made:
            life = self.meet(tensor)
            if grown is not None:
                life.grown_from = grown
        if isinstance(func, Operator):
            for tensor in facts_on(func).tensors_written(args, kwargs):
                self._written(func, tensor)
        for tensor in tensors((out, kwargs.get("out", ()))) if name in _GATHER else ():
            self.meet(tensor).kind = "gathered"
        self.runs.append(OperatorRun(name, self._place(), self.phase))
        return out

    def meet(self, tensor: torch.Tensor) -> StorageLife:
        """The memory of ``tensor``, which begins here unless it is known."""
        return self._alive.get(storage_identity(tensor)[0]) or self._begin(tensor, None, len(self.runs))

    def was_there(self, tensor: torch.Tensor, size: int, kind: str, name: str) -> None:
        """The memory of ``tensor``, which stands for so many bytes, was there before."""
        life = self._begin(tensor, size, -1)
        life.kind, life.name = kind, name

    def _begin(self, tensor: torch.Tensor, size: int | None, made: int) -> StorageLife:
        place, storage = storage_identity(tensor)
        size = storage.nbytes() if size is None else size
        life = self._alive[place] = StorageLife(size, tuple(tensor.shape), tensor.dtype, made)
        self.lives.append(life)
        self._ends[place] = weakref.ref(storage, lambda gone: self._end(place))
        return life

    def find(self, tensor: torch.Tensor) -> StorageLife | None:
        """The memory of a tensor; None if it is none that was met."""
        return self._alive.get(storage_identity(tensor)[0])

    def _look_at(self, given: Any) -> None:
        """What no operator has made was there before; only numbers come from elsewhere."""
        for tensor in tensors((given,)):
            for part in parts_of(tensor):
                place, storage = storage_identity(part)
                if place not in self._alive and part.dim() > 0:
                    kind = "parameters" if isinstance(part, torch.nn.Parameter) else "buffers"
                    self.was_there(part, storage.nbytes(), kind, "")

    def _end(self, place: int) -> None:
        self._alive.pop(place).freed = len(self.runs)

    @contextlib.contextmanager
    def following_sizes(self) -> Iterator[None]:
        """While it lasts, memory is followed that its holder frees and takes again, as `fully_shard` does with what it
        has gathered: no operator shows it."""
        resize = torch.UntypedStorage.resize_

        def resize_(storage: torch.UntypedStorage, size: int) -> Any:
            done = resize(storage, size)
            self._resized(storage)
            return done

        torch.UntypedStorage.resize_ = resize_  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            del torch.UntypedStorage.resize_

    def _resized(self, storage: torch.UntypedStorage) -> None:
        """What is there from now on is another piece of memory, for the same."""
        place, size = place_of(storage), storage.nbytes()
        before = self._alive.get(place)
        if before is not None and before.size != size:
            before.freed = len(self.runs)
            self._alive[place] = life = replace(before, size=size, made=len(self.runs), freed=None, savers=set())
            self.lives.append(life)

    def _written(self, func: Operator, tensor: torch.Tensor) -> None:
        """What is written to may have grown, as by ``resize_``."""
        life = self.find(tensor)
        if life is None:
            return
        place, storage = storage_identity(tensor)
        if life.made >= 0 and storage.nbytes() != life.size:
            self._end(place)
            self._begin(tensor, None, len(self.runs)).kind = life.kind
        elif life.kind == "inputs" and func in _FILL and tensor.is_floating_point() and _is_part(func, tensor, life):
            life.grown_from = life

    def _grown(self, func: Any, args: Sequence[Any]) -> StorageLife | None:
        """The input to which the call adds values at one end."""
        if func is not torch.ops.aten.cat.default:
            return None
        lives = [self.find(tensor) for tensor in tensors(args[:1])]
        found = [each for each in lives if each is not None and (each.kind == "inputs" or each.grown_from is not None)]
        return (found[0].grown_from or found[0]) if found and found[0].dtype.is_floating_point else None


_GATHER = ("fsdp.all_gather_copy_in", "fsdp.split_with_sizes_copy")
"""Operators of `fully_shard` whose results are what is gathered: all of it in a row, and then each parameter."""

_FILL = frozenset({torch.ops.aten.index_copy_.default, torch.ops.aten.index_put_.default, torch.ops.aten.copy_.default})
"""Operators that write new values into a part of what is there."""


def _is_part(func: Operator, tensor: torch.Tensor, life: StorageLife) -> bool:
    """Whether no more than a part of the memory is filled."""
    return func is not torch.ops.aten.copy_.default or tensor.numel() * tensor.itemsize < life.size


def _made_by(func: Any, out: Any) -> tuple[str, Iterable[torch.Tensor]]:
    """The name of an operator, and the tensors in its result that may be memory of their own."""
    made = (part for tensor in tensors((out,)) for part in parts_of(tensor))
    if not isinstance(func, Operator):
        return f"higher_order.{func.name()}", made
    facts = facts_on(func)
    return facts.name, () if facts.may_return_views and not facts.lifts else made


_COMPRESSED: Mapping[torch.layout, tuple[str, ...]] = {
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


def parts_of(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The tensors that have the memory of a tensor: itself, what this rank has of one that is split, or the places and
    the values of a sparse one."""
    tensor = part_of(tensor)
    if tensor.layout is torch.strided:
        return (tensor,)
    if tensor.layout is torch.sparse_coo:
        return entry_indices(tensor), entry_values(tensor)
    return tuple(getattr(tensor, part)() for part in _COMPRESSED.get(tensor.layout, ()))
