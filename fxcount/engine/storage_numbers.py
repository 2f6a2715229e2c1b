"""`StorageNumbers`: which tensors of a call lie in the same memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fxcount._torch import Operator, entry_indices, entry_values, is_alias_of, storage_identity
from fxcount.cost import OperatorCost, Place, TensorInfo, moved
from fxcount.engine.operator_facts import facts_on
from fxcount.errors import NESTED, TracingError
from fxcount.formulas.number_kinds import tensors


class StorageNumbers:
    """The storages that the call of a node meets: first those of the tensors that it is given, by their places, then
    the others as they come.

    The numbers are those of every equal call, so one that repeats needs no memory of its own. The places in a storage
    are counted from the first element of the tensor that it is numbered for.
    """

    def __init__(self, given: Iterable[Any] = ()) -> None:
        self._places: dict[int, Place] = {}
        self._of_storages: dict[int, Place] = {}
        self._kept: list[Any] = []  # so that no other gets the identity of one that is gone
        self.given = 0
        """How many tensors the call is given."""
        for tensor in tensors(given):
            if id(tensor) not in self._places:
                self._keep(tensor, (self.given, 0))
                self._of_storages.setdefault(storage_identity(tensor)[0], (self.given, -offset_of(tensor)))
            self.given += 1
        self._next = self.given

    def of(self, value: Any) -> tuple[Place, ...]:
        """Where the tensors in ``value`` lie; a storage that is met for the first time gets the next number."""
        return tuple(map(self._place, tensors((value,))))

    def describe(self, values: Iterable[Any]) -> tuple[TensorInfo, ...]:
        """The tensors among ``values``."""
        return tuple(_described(tensor, *self._place(tensor)) for tensor in tensors(values))

    def views(self, operator: Operator, given: Sequence[Any], ran_on: Sequence[Any], out: Any) -> None:
        """Results that lie in the memory of an argument have its number. ``given`` and ``ran_on`` are the positional
        and keyword arguments as they came, and as the operator ran on them."""
        places = facts_on(operator).returned
        if not places:
            return
        pairs = [
            pair
            for place in places
            for pair in zip(tensors((_at(place, *given),)), tensors((_at(place, *ran_on),)), strict=True)
        ]
        for result in tensors((out,)):
            pair = next((each for each in pairs if is_alias_of(result, each[1])), None)
            if pair is not None and id(result) not in self._places:
                number, place = self._place(pair[0])
                self._keep(result, (number, place + offset_of(result) - offset_of(pair[1])))

    def adopt(
        self, operators: Iterable[OperatorCost], numbers: tuple[int, tuple[Place, ...]], given: Iterable[Any], out: Any
    ) -> list[OperatorCost]:
        """The records of a call that were numbered by themselves, in these numbers."""
        known = dict(enumerate(map(self._place, tensors(given))))

        def start(number: int) -> Place:
            if number not in known:
                known[number] = (self._next, 0)
                self._next += 1
            return known[number]

        adopted = [moved(each, start) for each in operators]
        for tensor, (number, offset) in zip(tensors((out,)), numbers[1], strict=True):
            if id(tensor) not in self._places:
                storage, place = start(number)
                self._keep(tensor, (storage, place + offset))
        return adopted

    def _place(self, tensor: torch.Tensor) -> Place:
        if id(tensor) in self._places:
            return self._places[id(tensor)]
        identity, storage = storage_identity(tensor)
        if identity not in self._of_storages:
            self._of_storages[identity] = (self._next, -offset_of(tensor))
            self._next += 1
            self._kept.append(storage)  # and not the tensor: torch makes a copy of a new one that somebody holds
        number, start = self._of_storages[identity]
        return number, start + offset_of(tensor)

    def _keep(self, tensor: torch.Tensor, place: Place) -> None:
        self._places[id(tensor)] = place
        self._kept.append(tensor)


def tensors_of(called: Any) -> tuple[torch.Tensor, ...]:
    """The parameters and buffers of what a node calls, if that is a module."""
    return (*called.parameters(), *called.buffers()) if isinstance(called, nn.Module) else ()


def _at(place: tuple[int, str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    position, name = place
    return args[position] if position < len(args) else kwargs.get(name)


def offset_of(tensor: torch.Tensor) -> int:
    """The place of the first element of a tensor in its storage; 0 where it has none."""
    return tensor.storage_offset() if tensor.layout is torch.strided else 0  # type: ignore[return-value]


def _described(tensor: torch.Tensor, number: int, place: int) -> TensorInfo:
    if tensor.is_nested:
        raise TracingError(NESTED)
    if tensor.layout is torch.strided:
        return TensorInfo(tensor.shape, tensor.dtype, tensor.stride(), number, place)
    stored = 0
    if tensor.layout is torch.sparse_coo:
        stored = sum(each.numel() * each.itemsize for each in (entry_indices(tensor), entry_values(tensor)))
    return TensorInfo(tensor.shape, tensor.dtype, (), number, place, stored)
