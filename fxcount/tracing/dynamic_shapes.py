"""`DynamicShapes`: which sizes of an example are symbols, as ``dynamic_shapes`` says it."""

from __future__ import annotations

import copy
import keyword
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch

from fxcount._torch import pytree
from fxcount.engine.symbolic_sizes import SymbolicSizes
from fxcount.engine.with_symbols import SymbolicInputs
from fxcount.errors import InputError
from fxcount.fault_origin import for_the_model
from fxcount.sizes.conditions import Condition, within
from fxcount.sizes.example_numbers import several
from fxcount.sizes.expressions import put_in, symbol
from fxcount.tracing.example_call import ExampleCall, parameter_names
from fxcount.tracing.reach import Reach

Axes = Mapping[int, Any]
"""The axes of a tensor that are symbols, each to its size, an expression in names."""


@dataclass
class DynamicShapes:
    """The symbols of an example: names, where they stand, and what is known of them."""

    example: dict[str, int] = field(default_factory=dict)
    """Every name, and its size in the example."""
    bounds: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    """The least and the largest size of a name, None for any."""
    axes: dict[int, Axes] = field(default_factory=dict)
    """The axes of tensors, by their place among those of the call."""
    _places: dict[str, str] = field(default_factory=dict)
    _place_of: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, specification: Any, call: ExampleCall, function: Callable[..., Any]) -> Self:
        """
        ``specification`` is a mapping of the names of arguments, or a tuple, to what says which axes are symbols:
        nested as the argument is, a mapping of axes to names, a tuple with a name or None for every axis, or None. A
        name may be a text or a ``torch.export.Dim``.

        Raises:
            InputError: it does not fit the call; the message says where, and what fits.
        """
        made = cls()
        made._place_of = {id(tensor): place for place, tensor in reversed([*enumerate(_held(call))])}
        names = parameter_names(function, len(call.args))
        arguments = dict(zip(names, call.args, strict=True)) | call.kwargs
        for name, part in _by_argument(specification, arguments).items():
            if name not in arguments:
                raise InputError(f"dynamic_shapes names {name!r}, and the arguments are {', '.join(arguments)}")
            made._add(part, arguments[name], name)
        if not made.example:
            raise InputError("dynamic_shapes names no size; write such as {'input': {0: 'batch'}}")
        made._place_of = {}
        return made

    def several(self) -> dict[str, int]:
        """The sizes of the example, or others where they are one."""
        return several(self.example, {name: largest for name, (_, largest) in self.bounds.items()})

    def elsewhere(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Others of the same order."""
        return {name: size - 3 if size - 3 > max(3, self.bounds[name][0]) else size + 6 for name, size in sizes.items()}

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The bounds."""
        return tuple(
            Condition(relation, "dynamic_shapes")
            for name, bounds in self.bounds.items()
            for relation in within(name, bounds)
        )

    def with_symbols(self, call: ExampleCall) -> ExampleCall:
        """The call with symbolic sizes, for one attempt to count; what objects hold, such as a cache, has such sizes in
        the place of its own."""
        held = _held(call)
        shapes = {
            id(held[place]): [axes.get(axis, int(size)) for axis, size in enumerate(held[place].shape)]
            for place, axes in self.axes.items()
        }
        inputs = SymbolicInputs(SymbolicSizes(self.example), shapes)
        made = _with_tensors(call, lambda tensor: inputs.of(tensor) if id(tensor) in shapes else None)
        return replace(made, symbols=inputs)

    def resized(self, call: ExampleCall, sizes: Mapping[str, int]) -> ExampleCall:
        """The call with inputs of other sizes: those of the example, cut, or repeated."""
        held, made = _held(call), {}
        for place, axes in self.axes.items():
            sizes_there = {axis: put_in(size, sizes) for axis, size in axes.items()}
            made[id(held[place])] = _resized(held[place], sizes_there)
        others = _with_tensors(call, lambda tensor: made.get(id(tensor)))
        return others.replace_tensors(lambda name, tensor: made.get(id(tensor), tensor), lambda: None)

    def at(self, sizes: Mapping[str, int], without: Container[str] = ()) -> DynamicShapes:
        """The symbols of the call that was resized to these sizes, but those ``without`` which it is to be."""
        numbers = {name: size for name, size in sizes.items() if name in without}
        made = DynamicShapes()
        made.example |= {name: size for name, size in sizes.items() if name not in without}
        made.bounds |= {name: bounds for name, bounds in self.bounds.items() if name not in without}
        for place, axes in self.axes.items():
            left = {axis: put_in(size, numbers) for axis, size in axes.items()}
            if left := {axis: size for axis, size in left.items() if not isinstance(size, int)}:
                made.axes[place] = left
        return made

    def _add(self, part: Any, value: Any, place: str) -> None:
        if part is None:
            return
        tensors = [*_tensors_in(value)]
        if isinstance(value, torch.Tensor):
            self._add_tensor(part, value, place)
        elif isinstance(value, Mapping) and isinstance(part, Mapping) and not _are_axes(part):
            for key, inner in part.items():
                if key not in value:
                    raise InputError(f"dynamic_shapes names {place}[{key!r}], and there is no such key")
                self._add(inner, value[key], f"{place}[{key!r}]")
        elif isinstance(value, list | tuple) and isinstance(part, list | tuple):
            if len(part) != len(value):
                raise InputError(
                    f"dynamic_shapes gives {len(part)} shapes for {place}, which holds {len(value)} values"
                )
            for position, (inner, each) in enumerate(zip(part, value, strict=True)):
                self._add(inner, each, f"{place}[{position}]")
        elif tensors and _are_axes(part):
            for position, tensor in enumerate(tensors):  # the same axes of every tensor in it
                self._add_tensor(part, tensor, f"{place}, tensor {position}")
        elif tensors and isinstance(part, list | tuple):
            self._add(part, tensors, place)
        else:
            raise InputError(f"dynamic_shapes gives {part!r} for {place}, which is a {type(value).__name__}")

    def _add_tensor(self, part: Any, tensor: torch.Tensor, place: str) -> None:
        if isinstance(part, list | tuple):
            if len(part) != tensor.dim():
                raise InputError(f"dynamic_shapes gives {len(part)} sizes for {place}, which has {tensor.dim()} axes")
            part = dict(enumerate(part))
        if not isinstance(part, Mapping):
            raise InputError(f"dynamic_shapes gives {part!r} for {place}: a mapping of axes to names is expected")
        if tensor.layout is not torch.strided:
            raise InputError(f"{place} is a {tensor.layout} tensor, whose sizes cannot be symbols")
        axes: dict[int, Any] = {}
        for axis, size in part.items():
            if type(axis) is not int or not -tensor.dim() <= axis < tensor.dim():
                raise InputError(f"dynamic_shapes names axis {axis!r} of {place}, which has {tensor.dim()} axes")
            if size is not None and not isinstance(size, int):
                axes[axis % tensor.dim()] = self._size(size, int(tensor.shape[axis]), f"axis {axis} of {place}")
            elif isinstance(size, int) and size != tensor.shape[axis]:
                raise InputError(
                    f"dynamic_shapes says that axis {axis} of {place} is {size}, and it is {tensor.shape[axis]}"
                )
        if axes:
            known = self.axes.setdefault(self._place_of[id(tensor)], axes)
            if known != axes:
                raise InputError(f"dynamic_shapes names the sizes of {place} twice, as {known} and {axes}")

    def _size(self, size: Any, number: int, place: str) -> Any:
        """The expression of an axis, whose size in the example is ``number``."""
        name, expression, bounds = _named_size(size, place)
        if number < 1:
            raise InputError(f"{place} is {number} in the example; a size that is a symbol is at least 1")
        factor, rest = _linear(expression, name, place)
        example, left = divmod(number - rest, factor)
        if left or example < 1:
            raise InputError(f"{place} is {number} in the example, which is no {expression}")
        if self.example.setdefault(name, example) != example:
            raise InputError(
                f"{name} is {self.example[name]} at {self._places[name]} and {example} at {place}: one name is one size"
            )
        self._places.setdefault(name, place)
        least, largest = self.bounds.get(name, (1, None))
        largest = bounds[1] if largest is None else largest if bounds[1] is None else min(largest, bounds[1])
        self.bounds[name] = max(least, bounds[0]), largest
        if not self.bounds[name][0] <= example <= (largest or example):
            raise InputError(f"{name} is {example} at {place}, and a Dim says {_range_text(self.bounds[name])}")
        return expression


def _by_argument(specification: Any, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of each argument, by its name."""
    if isinstance(specification, list | tuple):
        if len(specification) > len(arguments):
            raise InputError(f"dynamic_shapes is for {len(specification)} arguments, and there are {len(arguments)}")
        return dict(zip(arguments, specification, strict=False))
    if not isinstance(specification, Mapping):
        raise InputError(
            "dynamic_shapes is a mapping of arguments to their axes, such as {'input': {0: 'batch'}}, or a tuple of "
            f"these, not {type(specification).__name__}"
        )
    keys = [*specification]
    if len(arguments) == 1 and _are_axes(specification) and any(map(_is_size, specification.values())):
        return {next(iter(arguments)): specification}
    positions = [*arguments]
    if not all(0 <= key < len(positions) for key in keys if type(key) is int):
        raise InputError(f"dynamic_shapes names positions {', '.join(map(str, keys))}, and there are {len(positions)}")
    return {positions[key] if type(key) is int else key: part for key, part in specification.items()}


def _is_size(value: Any) -> bool:
    return isinstance(value, str) or hasattr(value, "__name__")


def _are_axes(part: Any) -> bool:
    return isinstance(part, Mapping) and len(part) > 0 and all(type(key) is int for key in part)


def _named_size(size: Any, place: str) -> tuple[str, Any, tuple[int, int | None]]:
    """The name, the expression in it, and the bounds of a size that is a text or a ``torch.export.Dim``."""
    if isinstance(size, str):
        if not size.isidentifier() or keyword.iskeyword(size):
            raise InputError(f"dynamic_shapes calls {place} {size!r}, which is no name")
        return size, symbol(size), (1, None)
    root = getattr(size, "root", size)
    name = getattr(root, "__name__", None)
    if not isinstance(name, str) or not hasattr(root, "min"):
        raise InputError(
            f"dynamic_shapes gives {size!r} for {place}: a name or a torch.export.Dim with one is expected"
        )
    expression = symbol(name) if root is size else size.fn(symbol(name))
    largest = root.max if isinstance(root.max, int) and root.max < 2**31 else None
    return name, expression, (max(1, int(root.min)), largest)


def _linear(expression: Any, name: str, place: str) -> tuple[int, int]:
    """The factor and the rest of an expression in one name."""
    import sympy

    try:
        factor, rest = sympy.Poly(expression, symbol(name)).all_coeffs()
        return int(factor), int(rest)
    except (ValueError, sympy.PolynomialError):
        raise InputError(
            f"{place} is {expression}; a size derived of another is a multiple of it, plus a number"
        ) from None


def _range_text(bounds: tuple[int, int | None]) -> str:
    return f"at least {bounds[0]}" if bounds[1] is None else f"from {bounds[0]} to {bounds[1]}"


def _tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in an argument, also those that objects in it hold."""
    for leaf in for_the_model(pytree.tree_leaves, value):
        if isinstance(leaf, torch.Tensor):
            yield leaf
        elif _is_object(leaf):
            reached = Reach()
            reached.follow([leaf])
            yield from (each for each in reached.others if isinstance(each, torch.Tensor))


def _is_object(value: Any) -> bool:
    plain = (str, bytes, int, float, complex, torch.dtype, torch.device, torch.nn.Module, type)
    return value is not None and not isinstance(value, plain) and not callable(value)


def _held(call: ExampleCall) -> list[torch.Tensor]:
    return [*_tensors_in((call.args, call.kwargs))]


def _with_tensors(call: ExampleCall, other: Callable[[torch.Tensor], torch.Tensor | None]) -> ExampleCall:
    """The call with copies of the objects that hold tensors for which there is another."""

    def changed(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) or not _is_object(leaf):
            return leaf
        held = [*_tensors_in(leaf)]
        others = {id(tensor): found for tensor in held if (found := other(tensor)) is not None}
        kept = {id(tensor): tensor for tensor in held if id(tensor) not in others}
        return copy.deepcopy(leaf, others | kept) if others else leaf

    args, kwargs = for_the_model(pytree.tree_map, changed, (call.args, call.kwargs))
    return replace(call, args=args, kwargs=kwargs)


def _resized(tensor: torch.Tensor, axes: Axes) -> torch.Tensor:
    """A tensor with other sizes: what it holds is cut, or repeated."""
    with torch.no_grad():
        made = tensor.detach()
        for axis, size in axes.items():
            if size != made.shape[axis]:
                places = torch.arange(size, device=tensor.device) % made.shape[axis]
                made = made.index_select(axis, places)
        strides = tensor.stride()
        order = sorted(range(tensor.dim()), key=lambda axis: (-strides[axis], axis))
        made = made.permute(order).contiguous().permute([order.index(axis) for axis in range(tensor.dim())])
        return made.requires_grad_(tensor.requires_grad)
