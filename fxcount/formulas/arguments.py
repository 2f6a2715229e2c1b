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
    parameters take the argument of that name, and ``out`` is the result of the call. ``*args`` takes the rest in order,
    and ``**kwargs`` what no other parameter has taken, by name; beside ``**kwargs`` only arguments that may be given by
    position stand in order.
    """

    def __init__(self, function: Callable[..., Any], called: object, leading: int = 0) -> None:
        """``called`` is what is called; the first ``leading`` parameters of ``function`` are given otherwise."""
        self._name, self._called = getattr(function, "__name__", repr(function)), called
        try:
            parameters = [*inspect.signature(function).parameters.values()]
        except (TypeError, ValueError):
            raise FormulaError(f"the formula {self._name} does not say what its parameters are: give a def") from None
        given = [each for each in parameters[:leading] if each.kind is not each.VAR_POSITIONAL]
        self._parameters = parameters[len(given) :]
        self._takes_rest_by_name = any(each.kind is each.VAR_KEYWORD for each in self._parameters)

    def _pick(self, in_order: Sequence[Any], names: Sequence[str], by_name: Mapping[str, Any]) -> Arguments:
        """``names`` are those of the arguments ``in_order``, as far as they have one.

        Raises:
            FormulaError: the function asks for an argument that there is not.
        """
        positional: list[Any] = []
        keyword: dict[str, Any] = {}
        for position, parameter in enumerate(self._parameters):
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += in_order[position:]
            elif parameter.kind is parameter.VAR_KEYWORD:
                taken = {*names[: len(positional)], *keyword}
                keyword |= {name: value for name, value in by_name.items() if name not in taken}
            elif parameter.kind is not parameter.KEYWORD_ONLY and position < len(in_order):
                positional.append(in_order[position])
            elif parameter.name in by_name:
                keyword[parameter.name] = by_name[parameter.name]
            elif parameter.default is parameter.empty:
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
        in_order = [each for each in self._places if each.position is not None or not self._takes_rest_by_name]
        self._names = [place.name for place in in_order]  # the first ones: those by name alone stand last in a schema
        self._pick(self._names, self._names, dict.fromkeys((*(place.name for place in self._places), "out")))

    def read(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any = None) -> Arguments:
        """The positional and the keyword arguments for the function."""
        values = {place.name: place.pick(args, kwargs) for place in self._places}
        return self._pick([*values.values()][: len(self._names)], self._names, {**values, "out": out})


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
        names: list[str] = []
        try:
            bound = inspect.signature(self._signed).bind(*args, **kwargs)
            bound.apply_defaults()
            values = {**bound.arguments, **kwargs}
            for name, parameter in bound.signature.parameters.items():
                if parameter.kind is parameter.VAR_KEYWORD:  # what it holds has names of its own
                    del values[name]
                elif parameter.kind is not parameter.KEYWORD_ONLY:
                    names.append(name)
        except (TypeError, ValueError):  # a built-in function without a signature: what was named
            values = dict(kwargs)
        named = () if self._takes_rest_by_name else (value for name, value in values.items() if name in kwargs)
        return self._pick([*args, *named], names[: len(args)], {**values, "out": out})
