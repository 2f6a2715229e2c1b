"""`WithSymbols`: the counter that computes on shapes whose sizes may be symbols."""

import contextlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch

from fxcount._torch import Operator
from fxcount.engine.operator_facts import facts_on
from fxcount.engine.symbolic_sizes import SymbolicSizes, has_symbols
from fxcount.engine.tensors_of import TensorsOf
from fxcount.engine.without_data import WithoutData
from fxcount.formulas.number_kinds import tensors


class SymbolicInputs:
    """The sizes of one attempt to count, and a tensor of these sizes for each input that has any."""

    def __init__(self, sizes: SymbolicSizes, shapes: Mapping[int, Sequence[Any]]) -> None:
        """``shapes`` are expressions in the names, by the identity of the tensor that has such a shape."""
        self.sizes = sizes
        self._shapes = shapes
        self._made = TensorsOf()

    def of(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The tensor on the meta device that stands for an input; None where all its sizes are numbers."""
        if id(tensor) not in self._shapes:
            return None
        made = self._made.get(tensor, tensor)
        if made is tensor:
            shape = [*map(self.sizes.size, self._shapes[id(tensor)])]
            with self.sizes.at_work():
                self._made.set(tensor, made := _laid_out_as(tensor, shape))
        return made


def _laid_out_as(tensor: torch.Tensor, shape: Sequence[Any]) -> torch.Tensor:
    """A tensor of this shape on the meta device whose axes lie in memory in the same order; those that are expanded are
    so again."""
    strides = tensor.stride()
    order = sorted(range(len(shape)), key=lambda axis: (-strides[axis], axis))
    held = [size if strides[axis] or tensor.shape[axis] < 2 else 1 for axis, size in enumerate(shape)]
    made = torch.empty([held[axis] for axis in order], dtype=tensor.dtype, device="meta")
    made = made.permute([order.index(axis) for axis in range(len(shape))])
    return made.expand(*shape) if held != [*shape] else made


class WithSymbols(WithoutData):
    """A `WithoutData` for inputs of symbolic sizes. What is known has its values at the example's sizes, beside a
    stand-in whose shape is in symbols."""

    def __init__(self, owned: Iterable[torch.Tensor] | None, inputs: SymbolicInputs) -> None:
        super().__init__(owned, shares_repeats=False)
        self._inputs = inputs
        self.sizes = inputs.sizes

    def rules(self) -> contextlib.AbstractContextManager[None]:
        return self.sizes.at_work()

    def represent(self, tensor: torch.Tensor) -> torch.Tensor:
        stand_in = self._inputs.of(tensor)
        if stand_in is None:
            return super().represent(tensor)
        represented = stand_in.detach()
        if not tensor.is_floating_point() and not tensor.is_complex() and self.knows(tensor):
            self._known.set(represented, tensor.detach())
        return represented

    def without_gradient(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if self._inputs.of(tensor) is None else self.represent(tensor)

    def hashable(self, key: Hashable | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable | None:
        """The key of a call with expressions for sizes; None if a value that stands beside a shape counts."""
        if key is None or any(map(self._is_paired, tensors((args, tuple(kwargs.values()))))):
            return None
        return self.sizes.settled(key)  # type: ignore[no-any-return]

    def _is_paired(self, tensor: torch.Tensor) -> bool:
        return self._known.get(tensor, tensor) is not tensor

    def _key_of(self, func: Operator, args: Sequence[Any], kwargs: Any) -> Hashable | None:
        return self.hashable(super()._key_of(func, args, kwargs), args, kwargs)

    def _on_values(self, value: Any) -> Any:
        return self.sizes.in_example(super()._on_values(value))

    def _has_stand_ins(self, func: Operator, given: Sequence[Any], out: Any) -> bool:
        if super()._has_stand_ins(func, given, out):
            return True
        symbols = any(map(self._is_paired, tensors(given))) or has_symbols(given)
        if symbols and facts_on(func).needs_values:
            self.sizes.value_asked()
            return False
        return symbols and any(True for _ in tensors((out,)))

    def _integers_of(self, tensor: torch.Tensor) -> torch.Tensor:
        value = super()._integers_of(tensor)
        if value is not tensor:  # how many there are is the example's
            self.sizes.value_asked()
        return value

    def is_large(self, result: Any) -> bool:
        return any(self.sizes.number(tensor.numel()) > self.LARGEST_KNOWN for tensor in tensors((result,)))


def without_data(owned: Iterable[torch.Tensor], inputs: SymbolicInputs | None) -> WithoutData:
    """A counter on shapes, for inputs with symbols in them if there are such."""
    return WithoutData(owned) if inputs is None else WithSymbols(owned, inputs)
