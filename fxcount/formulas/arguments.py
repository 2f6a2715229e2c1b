"""`ArgumentReader`: hands a function those arguments of an operator's call that its parameters ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fxcount.errors import FormulaError


class ArgumentReader:
    """Where in a call of one operator overload each parameter of a function stands.

    Positional parameters take the operator's arguments in order, under any name and only as many as there are;
    keyword-only parameters take the argument of that name. What a call leaves out has the default of the operator's
    schema, else of the parameter, else None. ``out`` is the result of the call.
    """

    def __init__(self, operator: torch._ops.OpOverload, function: Callable[..., Any]) -> None:
        """
        Raises:
            FormulaError: the function asks for an argument that the operator does not have.
        """
        self._positional: list[_Place] = []
        self._keyword: list[_Place] = []
        self._wants_out = False
        arguments = operator._schema.arguments
        position_of = {argument.name: position for position, argument in enumerate(arguments)}
        for position, parameter in enumerate(inspect.signature(function).parameters.values()):
            if parameter.name == "out" and parameter.kind is parameter.KEYWORD_ONLY:
                self._wants_out = True
            elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD and position < len(arguments):
                self._positional.append(_Place.of(arguments[position], position, parameter))
            elif parameter.kind is parameter.KEYWORD_ONLY and parameter.name in position_of:
                position = position_of[parameter.name]
                self._keyword.append(_Place.of(arguments[position], position, parameter))
            elif parameter.default is parameter.empty:
                raise FormulaError(
                    f"the formula {function.__name__} reads {parameter.name!r}, which {operator} does not have"
                )

    def read(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any = None) -> tuple[list[Any], dict[str, Any]]:
        """The positional and the keyword arguments for the function."""
        positional = [place.pick(args, kwargs) for place in self._positional]
        keyword = {place.name: place.pick(args, kwargs) for place in self._keyword}
        if self._wants_out:
            keyword["out"] = out
        return positional, keyword


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a call one argument stands, and its value where it is left out."""

    position: int | None
    name: str
    default: Any
    length: int | None
    """The length of an argument such as ``int[2]``, for which torch also takes one number for all."""

    @classmethod
    def of(cls, argument: torch.Argument, position: int, parameter: inspect.Parameter) -> _Place:
        default = None if parameter.default is parameter.empty else parameter.default
        if argument.has_default_value():
            default = argument.default_value
        return cls(None if argument.kwarg_only else position, argument.name, default, getattr(argument, "N", None))

    def pick(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self.position is not None and self.position < len(args):
            value = args[self.position]
        else:
            value = kwargs.get(self.name, self.default)
        if self.length and isinstance(value, list | tuple) and len(value) == 1:
            return list(value) * self.length
        return value
