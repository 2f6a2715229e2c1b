"""`ExampleCall`: the example input as the arguments of one call of the model."""

import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch

from fxcount._torch import pytree
from fxcount.engine.with_symbols import SymbolicInputs
from fxcount.errors import FxcountError, InputError
from fxcount.fault_origin import for_the_model, is_model_code


@dataclass(frozen=True)
class ExampleCall:
    """The arguments with which the model is called."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    symbols: SymbolicInputs | None = None
    """What stands for its tensors where sizes of theirs are symbols; None where all are numbers."""

    @classmethod
    def of(cls, example_input: Any, example_kwargs: Mapping[str, Any] | None = None) -> Self:
        """A tuple is the positional arguments, a mapping the keyword arguments, anything else the one argument.

        Raises:
            InputError: an argument name is not a string, or is given twice.
        """
        if example_kwargs is not None and not isinstance(example_kwargs, Mapping):
            raise InputError(f"example_kwargs is a mapping of names to arguments, not {type(example_kwargs).__name__}")
        kwargs = dict(example_kwargs or {})
        if isinstance(example_input, Mapping):
            twice = sorted(set(example_input) & set(kwargs))
            if twice:
                raise InputError(f"given in both example_input and example_kwargs: {', '.join(map(str, twice))}")
            return cls((), _named({**example_input, **kwargs}))
        if type(example_input) is tuple:
            return cls(example_input, _named(kwargs))
        return cls((example_input,), _named(kwargs))

    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes that the arguments are, where there are no tensors: of one or of several, as other tools take
        them; none where they are anything else."""
        values = self.args or tuple(self.kwargs.values())
        if _is_shape(values):
            return [values]
        if len(values) == 1 and type(values[0]) is list and not _is_shape(values[0]):
            values = tuple(values[0])
        return [tuple(value) for value in values] if all(map(_is_shape, values)) and not self.tensors() else []

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """The tensors among the arguments, also nested ones, in order."""
        leaves, _ = for_the_model(pytree.tree_flatten, (self.args, self.kwargs))
        return tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))

    def replace_tensors(self, replace: Callable[[str, torch.Tensor], Any], function: Callable[..., Any]) -> Self:
        """The same call with each tensor replaced by ``replace(name, tensor)``; names are those of ``function``.

        Each place has a name; a tensor that is given twice is replaced by the same in both.
        """
        same: dict[int, Any] = {}

        def replace_once(name: str, tensor: torch.Tensor) -> Any:
            replaced = replace(name, tensor)
            return same.setdefault(id(tensor), replaced)

        named = [*zip(parameter_names(function, len(self.args)), self.args, strict=True), *self.kwargs.items()]
        taken: set[str] = set()
        replaced = [_replace(name, value, replace_once, taken) for name, value in named]
        positional = len(self.args)
        kwargs = dict(zip(self.kwargs, replaced[positional:], strict=True))
        return type(self)(tuple(replaced[:positional]), kwargs, self.symbols)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(type(size) is int for size in value)


def refuse_shapes(call: ExampleCall, error: Exception) -> None:
    """
    Raises:
        InputError: the call has shapes in the place of tensors, and the model cannot take numbers: the ``error`` is one
            of their type, or arose before any code of the model's own ran.
    """
    frames = traceback.walk_tb(error.__traceback__)
    reached = any(is_model_code(frame.f_globals.get("__name__")) for frame, _ in frames)
    of_type = isinstance(error, TypeError | AttributeError) or not reached
    if of_type and not isinstance(error, FxcountError) and (shapes := call.shapes()):
        tensors = ", ".join(f"torch.empty({', '.join(map(str, shape))})" for shape in shapes)
        write = tensors if len(shapes) == 1 else f"({tensors})"
        fails = f"on numbers the model fails with a {type(error).__name__}"
        raise InputError(f"a shape is no example input: write {write}, for {fails}") from error


def _named(kwargs: dict[Any, Any]) -> dict[str, Any]:
    for name in kwargs:
        if not isinstance(name, str):
            raise InputError(f"a mapping as input is the keyword arguments, its keys are names, not {name!r}")
    return kwargs


def _replace(name: str, value: Any, replace: Callable[[str, torch.Tensor], Any], taken: set[str]) -> Any:
    def replace_leaf(path: tuple[Any, ...], leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return replace(_new_name("_".join((name, *map(_key_text, path))), taken), leaf)

    return for_the_model(pytree.tree_map_with_path, replace_leaf, value)


def _key_text(key: Any) -> str:
    """A key of a container as part of a name: its attribute, index or key."""
    found = next((str(getattr(key, each)) for each in ("name", "idx", "key") if hasattr(key, each)), "")
    return re.sub(r"\W", "_", found)


def _new_name(name: str, taken: set[str]) -> str:
    new, number = name, 1
    while new in taken:
        number += 1
        new = f"{name}_{number}"
    taken.add(new)
    return new


_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


def parameter_names(function: Callable[..., Any], count: int) -> list[str]:
    """The names of the first ``count`` positional parameters; of those under ``*args``, its name and a number."""
    try:
        parameters = [each for each in inspect.signature(function).parameters.values() if each.kind in _POSITIONAL]
    except (TypeError, ValueError):
        parameters = []
    names = []
    for position in range(count):
        parameter = parameters[min(position, len(parameters) - 1)] if parameters else None
        if parameter is None or parameter.kind is parameter.VAR_POSITIONAL or position >= len(parameters):
            names.append(f"{parameter.name if parameter else 'input'}_{position}")
        else:
            names.append(parameter.name)
    return names
