"""`StorageNumbers`: which tensors of a call lie in the same memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fxcount._torch import Operator, is_alias_of, storage_identity
from fxcount.cost import OperatorCost, TensorInfo, renumbered
from fxcount.engine.operator_facts import facts_on
from fxcount.errors import NESTED, TracingError
from fxcount.formulas.number_kinds import tensors


class StorageNumbers:
    """The storages that the call of a node meets: first those of the tensors that it is given, by their places, then
    the others as they come.

    The numbers are those of every equal call, so one that repeats needs no memory of its own.
    """

    def __init__(self, given: Iterable[Any] = ()) -> None:
        self._numbers: dict[int, int] = {}
        self._of_storages: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no other gets the identity of one that is gone
        self.given = 0
        """How many tensors the call is given."""
        for tensor in tensors(given):
            if id(tensor) not in self._numbers:
                self._keep(tensor, self.given)
                self._of_storages.setdefault(storage_identity(tensor)[0], self.given)
            self.given += 1
        self._next = self.given

    def of(self, value: Any) -> tuple[int, ...]:
        """The numbers of the tensors in ``value``; one that is met for the first time gets the next."""
        return tuple(map(self._number, tensors((value,))))

    def describe(self, values: Iterable[Any]) -> tuple[TensorInfo, ...]:
        """The tensors among ``values``."""
        return tuple(_described(tensor, self._number(tensor)) for tensor in tensors(values))

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
            owner = next((came for came, ran in pairs if is_alias_of(result, ran)), None)
            if owner is not None and id(result) not in self._numbers:
                self._keep(result, self._number(owner))

    def adopt(
        self, operators: Iterable[OperatorCost], numbers: tuple[int, tuple[int, ...]], given: Iterable[Any], out: Any
    ) -> list[OperatorCost]:
        """The records of a call that were numbered by themselves, in these numbers."""
        known = dict(enumerate(map(self._number, tensors(given))))

        def translated(number: int) -> int:
            if number not in known:
                known[number] = self._next
                self._next += 1
            return known[number]

        adopted = [renumbered(each, translated) for each in operators]
        for tensor, number in zip(tensors((out,)), numbers[1], strict=True):
            if id(tensor) not in self._numbers:
                self._keep(tensor, translated(number))
        return adopted

    def _number(self, tensor: torch.Tensor) -> int:
        if id(tensor) in self._numbers:
            return self._numbers[id(tensor)]
        place, storage = storage_identity(tensor)
        if place not in self._of_storages:
            self._of_storages[place] = self._next
            self._next += 1
            self._kept.append(storage)  # and not the tensor: torch makes a copy of a new one that somebody holds
        return self._of_storages[place]

    def _keep(self, tensor: torch.Tensor, number: int) -> None:
        self._numbers[id(tensor)] = number
        self._kept.append(tensor)


def tensors_of(called: Any) -> tuple[torch.Tensor, ...]:
    """The parameters and buffers of what a node calls, if that is a module."""
    return (*called.parameters(), *called.buffers()) if isinstance(called, nn.Module) else ()


def _at(place: tuple[int, str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    position, name = place
    return args[position] if position < len(args) else kwargs.get(name)


def _described(tensor: torch.Tensor, number: int) -> TensorInfo:
    if tensor.is_nested:
        raise TracingError(NESTED)
    stride = tensor.stride() if tensor.layout is torch.strided else ()
    return TensorInfo(tensor.shape, tensor.dtype, stride, number)
