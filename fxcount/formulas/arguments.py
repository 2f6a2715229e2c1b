"""Hands a function those arguments of a call that its parameters ask for."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch

from fxcount._torch import Operator, schema_of
from fxcount.errors import FormulaError

Arguments = tuple[list[Any], dict[str, Any]]
"""Positional and keyword arguments."""


class _Reader:
    """What the parameters of a function take of a call.

    Positional parameters take the arguments in order, under any name and only as many as there are; keyword-only
    parameters take the argument of that name, and ``out`` is the result of the call.
    """

    def __init__(self, function: Callable[..., Any], called: object, leading: int = 0) -> None:
        """``called`` is what is called; the first ``leading`` parameters of ``function`` are given otherwise."""
        self._name, self._called = getattr(function, "__name__", repr(function)), called
        try:
            self._parameters = list(inspect.signature(function).parameters.values())[leading:]
        except (TypeError, ValueError):
            raise FormulaError(f"the formula {self._name} does not say what its parameters are: give a def") from None

    def _pick(self, in_order: Sequence[Any], by_name: Mapping[str, Any]) -> Arguments:
        """
        Raises:
            FormulaError: the function asks for an argument that there is not.
        """
        positional: list[Any] = []
        keyword: dict[str, Any] = {}
        for position, parameter in enumerate(self._parameters):
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += in_order[position:]
            elif parameter.kind is not parameter.KEYWORD_ONLY and position < len(in_order):
                positional.append(in_order[position])
            elif parameter.name in by_name:
                keyword[parameter.name] = by_name[parameter.name]
            elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
                raise FormulaError(
                    f"the formula {self._name} reads {parameter.name!r}, which {self._called} does not have"
                )
        return positional, keyword


class ArgumentReader(_Reader):
    """For calls of one operator overload. What a call leaves out has the default of the operator's schema."""

    def __init__(self, operator: Operator, function: Callable[..., Any]) -> None:
        """
        Raises:
            FormulaError: the function asks for an argument that the operator does not have.
        """
        super().__init__(function, operator)
        self._places = [_Place.of(*each) for each in enumerate(schema_of(operator).arguments)]
        names = [place.name for place in self._places]
        self._pick(names, dict.fromkeys((*names, "out")))

    def read(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any = None) -> Arguments:
        """The positional and the keyword arguments for the function."""
        values = {place.name: place.pick(args, kwargs) for place in self._places}
        return self._pick([*values.values()], {**values, "out": out})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a call one argument stands, and its value where it is left out."""

    position: int | None
    name: str
    default: Any
    length: int | None
    """The length of an argument such as ``int[2]``, for which torch also takes one number for all."""

    @classmethod
    def of(cls, position: int, argument: torch.Argument) -> Self:
        default = argument.default_value if argument.has_default_value() else None
        return cls(None if argument.kwarg_only else position, argument.name, default, getattr(argument, "N", None))

    def pick(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self.position is not None and self.position < len(args):
            value = args[self.position]
        else:
            value = kwargs.get(self.name, self.default)
        if self.length and isinstance(value, list | tuple) and len(value) == 1:
            return list(value) * self.length
        return value


class CallReader(_Reader):
    """For calls of a Python function, whose own signature says what its arguments are."""

    def __init__(self, called: Callable[..., Any], function: Callable[..., Any], *, leading: int = 0) -> None:
        """The first ``leading`` parameters of ``function`` are given otherwise."""
        super().__init__(function, called, leading)
        self._signed = called

    def read(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> Arguments:
        """The positional and the keyword arguments for the function.

        Raises:
            FormulaError: it asks for an argument that the call does not have.
        """
        try:
            bound = inspect.signature(self._signed).bind(*args, **kwargs)
            bound.apply_defaults()
            values = dict(bound.arguments)
        except (TypeError, ValueError):  # a built-in function without a signature: what was named
            values = dict(kwargs)
        in_order = [*args, *(value for name, value in values.items() if name in kwargs)]
        return self._pick(in_order, {**values, "out": out})
