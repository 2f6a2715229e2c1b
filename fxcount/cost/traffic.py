"""`Traffic`: the bytes that a call of an operator reads and writes, from the tensors of its record.

It is the least that any implementation of the call moves: each distinct element that its arguments hold is read once,
each element of its result written once. Views move nothing; what selects reads what it selects.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from math import gcd, prod
from operator import add, or_
from typing import Self

import torch

from fxcount.cost.operator_cost import OperatorCost, TensorInfo
from fxcount.sizes.example_numbers import ExampleNumber, as_example, expression_of, least
from fxcount.sizes.expressions import symbol


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that are read and written."""

    read: int = 0
    """Those of arguments."""
    written: int = 0
    """Those of results, and of what is written to in place."""

    @classmethod
    def of(cls, call: OperatorCost) -> Self:
        """What one call moves."""
        given, name = call.inputs, call.name
        known = {each.storage for each in given}
        made = [each for each in call.outputs if each.storage not in known]
        if name in NO_VALUES or (call.outputs and not made and not call.written):
            return cls()
        written = [given[place] for place in call.written]
        place = place_of_table(call)
        if place is not None:
            table, others = given[place], [*given[:place], *given[place + 1 :]]
            return cls(_selected(call, table, others) + bytes_held(others), bytes_held(made[:1]))
        if name in FILLS_PLACES and written:
            table, *others = given
            filled = _filled(call, table, others) * table.dtype.itemsize
            return cls(bytes_held(others) + (filled if name in ADDS_AT_PLACES else 0), filled)
        if name in MAKES_LIKE:
            return cls(0, bytes_held(made))
        unread = {*call.unread, *(call.written if name in OVERWRITES else ())}
        read = [each for place, each in enumerate(given) if place not in unread]
        return cls(bytes_held(read), bytes_held(made) + bytes_held(written))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.read + other.read, self.written + other.written)

    def __mul__(self, times: int) -> Self:
        return type(self)(self.read * times, self.written * times)

    @classmethod
    def in_sizes(cls, call: OperatorCost, example: Mapping[str, int]) -> Self:
        """What a call moves whose tensors have symbolic sizes; which of them lie where is decided as in the example."""
        found = cls.of(as_example(call, example))
        return cls(expression_of(found.read), expression_of(found.written))

    @property
    def total(self) -> int:
        """What is read and what is written."""
        return self.read + self.written


def total_traffic(some: Iterable[Traffic]) -> Traffic:
    """The sum."""
    return reduce(add, some, Traffic())


def _aten(names: str) -> frozenset[str]:
    return frozenset(f"aten.{name}" for name in names.split())


NO_VALUES = _aten(
    "empty empty_like empty_strided empty_permuted new_empty new_empty_strided "
    "detach_ squeeze_ unsqueeze_ t_ transpose_ swapaxes_ swapdims_ as_strided_ set_ resize_"
)
"""Operators that make room, and write nothing there, or change in place how a tensor looks."""

MAKES_LIKE = _aten("zeros_like ones_like full_like rand_like randn_like randint_like new_zeros new_ones new_full")
"""Operators that are given a tensor for its form alone."""

SELECTS = _aten(
    "embedding embedding_bag _embedding_bag _embedding_bag_forward_only index _unsafe_index index_select gather take "
    "take_along_dim masked_select"
)
"""Operators that read as many elements of their first argument as they select."""

SELECTS_GROUPS = _aten("_grouped_mm _scaled_grouped_mm _scaled_grouped_mm_v2")
"""Products of which each row meets one of the matrices in their second argument, where that holds several."""

FILLS_PLACES = _aten(
    "index_put_ _index_put_impl_ index_copy_ index_add_ index_reduce_ scatter_ scatter_add_ "
    "scatter_reduce_ put_ masked_scatter_"
)
"""Operators that write, in place, as many elements as they are given places or values."""

ADDS_AT_PLACES = _aten("index_add_ index_reduce_ scatter_add_ scatter_reduce_")
"""Those of them that read what is there before."""

OVERWRITES = _aten("copy_ fill_ zero_ normal_ uniform_ random_ bernoulli_ exponential_ geometric_ log_normal_ cauchy_")
"""Operators that write all of their first argument and do not read it."""


def _filled(call: OperatorCost, table: TensorInfo, others: Sequence[TensorInfo]) -> int:
    """How many elements of ``table`` are written: as many as there are values, or places, each with all that lies
    behind it where the values are one for all."""
    sizes = [each.elements for each in others if each.dtype is not torch.bool]
    if "index_put" in call.name and others and others[-1].elements == 1:
        return max(sizes[:-1], default=1) * prod(table.shape[len(sizes) - 1 :])
    return max(sizes, default=0)


def place_of_table(call: OperatorCost) -> int | None:
    """The place, among the tensors that a call is given, of the one that it selects from; None where it reads all."""
    given = call.inputs
    if call.name in SELECTS_GROUPS and [len(each.shape) for each in given[:2]] == [2, 3]:
        return 1
    return 0 if call.name in SELECTS and given else None


def _selected(call: OperatorCost, table: TensorInfo, others: Sequence[TensorInfo]) -> int:
    """The bytes of what is selected of ``table``; that each of them is another one, as long as there are as many."""
    selected = call.outputs[0].elements if call.outputs else 0
    if "embedding_bag" in call.name:
        selected = others[0].elements * table.shape[-1]
    if call.name in SELECTS_GROUPS:
        selected = others[0].shape[0] * prod(table.shape[1:])
    return least(selected * table.dtype.itemsize, bytes_held((table,)))


def bytes_held(tensors: Iterable[TensorInfo]) -> int:
    """The bytes of all distinct elements that these tensors hold."""
    forms: dict[int, set[TensorInfo]] = {}
    for each in tensors:
        if each.stored is not None or 0 not in each.shape:
            forms.setdefault(each.storage, set()).add(each)
    return sum(_held_in_one_storage([*some]) for some in forms.values())


def _held_in_one_storage(some: Sequence[TensorInfo]) -> int:
    if any(each.stored is not None for each in some):
        return max(each.stored or 0 for each in some)
    whole = {(each.dtype, each.offset, _end(each)) for each in some}
    if len(whole) == 1 and all(_is_even(each) and _elements(each) == _end(each) - each.offset for each in some):
        return _elements(some[0]) * some[0].dtype.itemsize  # each takes all of the same stretch
    if all(map(_is_even, some)) and all(_are_apart(*pair) for pair in combinations(some, 2)):
        return sum(_elements(each) * each.dtype.itemsize for each in some)
    unit = reduce(gcd, (each.dtype.itemsize for each in some))
    start = min(each.offset * each.dtype.itemsize for each in some)
    held = reduce(or_, (_places(each, start, unit) for each in some)).bit_count() * unit
    if any(isinstance(size, ExampleNumber) for each in some for size in (*each.shape, *each.stride, each.offset)):
        return ExampleNumber(held, symbol(OVERLAPPING))
    return held


OVERLAPPING = "bytes_of_overlaps"
"""What stands in an expression for the bytes of views that overlap, of which there is none in sizes."""


def _axes(tensor: TensorInfo) -> list[tuple[int, int]]:
    """The size and the stride of each axis along which elements differ, from the inside out."""
    axes = zip(tensor.shape, tensor.stride, strict=True)
    return sorted(((size, step) for size, step in axes if size > 1 and step), key=lambda axis: axis[1])


def _elements(tensor: TensorInfo) -> int:
    """How many elements differ, if none of them is met twice."""
    return prod(size for size, _ in _axes(tensor))


def _is_even(tensor: TensorInfo) -> bool:
    """Whether no two places of a tensor are the same element, but along axes that are expanded."""
    reach = 0
    for size, step in _axes(tensor):
        if step <= reach:
            return False
        reach += (size - 1) * step
    return True


def _are_apart(one: TensorInfo, other: TensorInfo) -> bool:
    """Whether two tensors in the same memory are known to have no element in common: they lie one after the other, or
    are parts of one tensor along one axis."""
    one, other = sorted((one, other), key=lambda each: each.offset * each.dtype.itemsize)
    if one.dtype != other.dtype:
        return _end(one) * one.dtype.itemsize <= other.offset * other.dtype.itemsize
    if _end(one) <= other.offset:
        return True
    axes, others = _axes(one), _axes(other)
    if [step for _, step in axes] != [step for _, step in others]:
        return False
    left, room, apart = other.offset - one.offset, None, False
    for (size, step), (other_size, _) in zip(reversed(axes), reversed(others), strict=True):
        places, left = divmod(left, step)
        if room is not None and max(size, places + other_size) * step > room:
            return False
        room, apart = step, apart or places >= size
    return apart and left == 0


def _end(tensor: TensorInfo) -> int:
    """The place after the last element."""
    return tensor.offset + sum((size - 1) * step for size, step in _axes(tensor)) + 1


def _places(tensor: TensorInfo, start: int, unit: int) -> int:
    """A number whose bits are the units of memory that the elements take, from ``start`` on."""
    size = tensor.dtype.itemsize
    places = (1 << size // unit) - 1
    for times, step in _axes(tensor):
        done, distance = 1, step * size // unit
        while done < times:  # all so far once more, and once more than that, as far as there are any left
            more = min(done, times - done)
            places |= places << more * distance
            done += more
    return places << (tensor.offset * size - start) // unit
