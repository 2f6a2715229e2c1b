"""`ArgumentReader`: hands a function those arguments of an operator's call that its parameters ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fxcount._torch import Operator, schema_of
from fxcount.errors import FormulaError


class ArgumentReader:
    """Where in a call of one operator overload each parameter of a function stands.

    Positional parameters take the operator's arguments in order, under any name and only as many as there are;
    keyword-only parameters take the argument of that name. What a call leaves out has the default of the operator's
    schema, else of the parameter, else None. ``out`` is the result of the call.
    """

    def __init__(self, operator: Operator, function: Callable[..., Any]) -> None:
        """
        Raises:
            FormulaError: the function asks for an argument that the operator does not have.
        """
        self._positional: list[_Place] = []
        self._keyword: list[_Place] = []
        self._wants_out = False
        arguments = schema_of(operator).arguments
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


class CallReader:
    """As an `ArgumentReader`, for a call of a Python function: its own signature says what its arguments are."""

    def __init__(self, function: Callable[..., Any], reader: Callable[..., Any], *, leading: int = 0) -> None:
        """``reader`` is what asks; its first ``leading`` parameters are given otherwise."""
        self._function = function
        self._parameters = list(inspect.signature(reader).parameters.values())[leading:]
        self._reader = reader

    def read(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> tuple[list[Any], dict[str, Any]]:
        """The positional and the keyword arguments for the reader.

        Raises:
            FormulaError: it asks for an argument that the function does not have.
        """
        values = {**self._named(args, kwargs), "out": out}
        in_order = list(args) + [value for name, value in values.items() if name in kwargs]
        positional: list[Any] = []
        keyword: dict[str, Any] = {}
        for position, parameter in enumerate(self._parameters):
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += in_order[position:]
            elif parameter.kind is not parameter.KEYWORD_ONLY and position < len(in_order):
                positional.append(in_order[position])
            elif parameter.name in values:
                keyword[parameter.name] = values[parameter.name]
            elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
                name = self._reader.__name__
                raise FormulaError(f"the formula {name} reads {parameter.name!r}, which {self._function} does not have")
        return positional, keyword

    def _named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults filled in; of a built-in function without a signature what was named."""
        try:
            bound = inspect.signature(self._function).bind(*args, **kwargs)
        except (TypeError, ValueError):
            return dict(kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)
