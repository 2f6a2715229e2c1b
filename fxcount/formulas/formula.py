"""`Formula`: the sizes that a call's arguments state, put into an equation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fxcount.cost import Cost, OperatorCost, total_cost
from fxcount.errors import FormulaError
from fxcount.formulas.arithmetic import Arithmetic
from fxcount.formulas.equation import Equation

Quantities = Mapping[str, int]
Measure = Callable[..., Quantities | Cost | int]


class RefusedError(Exception):
    """Raised inside a formula: this call cannot be counted, and why."""


@dataclass(frozen=True, eq=False)
class Formula:
    """What one operator costs.

    ``measure`` takes arguments of the operator and its result, and returns the named quantities of the equation. Its
    positional parameters take the operator's arguments in order, under any name and only as many as it reads; its
    keyword-only parameters take the operator's argument of that name, defaults filled in; ``out`` is the result.
    Without an equation it returns a `Cost`, or an int of macs.
    """

    measure: Measure
    family: str
    equation: Equation | None = None
    complex_stated: bool = False
    """The equation already says what complex numbers cost."""

    @property
    def reason(self) -> str:
        """Where the equation comes from, in a sentence or more."""
        return inspect.getdoc(self.measure) or ""

    def apply(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], numbers: Arithmetic) -> OperatorCost:
        """The cost of one call of the operator ``name``, measured on these arguments in this arithmetic."""
        try:
            measured = self.measure(*args, **kwargs)
        except RefusedError as refused:
            return OperatorCost(name, Cost(), uncounted=str(refused))
        if isinstance(measured, Cost):
            return OperatorCost(name, measured)
        if isinstance(measured, Mapping):
            if self.equation is None:
                raise FormulaError(f"the formula of {name} returns quantities but states no equation for them")
            cost = self.equation.cost(measured)
            if not self.complex_stated:
                cost = numbers.perform(cost)
            return OperatorCost(name, cost, self.equation.text, measured)
        if isinstance(measured, int) and not isinstance(measured, bool):
            return OperatorCost(name, Cost(macs=measured))
        raise FormulaError(
            f"the formula of {name} returned {type(measured).__name__}; a formula returns a Cost, an int of macs, "
            "or the quantities of its equation"
        )


class OperatorFormula:
    """A formula fitted to one operator overload: it knows where in a call each of its parameters stands."""

    def __init__(self, operator: torch._ops.OpOverload, name: str, formula: Formula) -> None:
        """
        Raises:
            FormulaError: the formula asks for an argument that the operator does not have.
        """
        self.name = name
        self.formula = formula
        self._positional: list[_Place] = []
        self._keyword: list[_Place] = []
        self._wants_out = False
        arguments = operator._schema.arguments
        position_of = {argument.name: position for position, argument in enumerate(arguments)}
        for position, parameter in enumerate(inspect.signature(formula.measure).parameters.values()):
            if parameter.name == "out" and parameter.kind is parameter.KEYWORD_ONLY:
                self._wants_out = True
            elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD and position < len(arguments):
                self._positional.append(_Place.of(arguments[position], position, parameter))
            elif parameter.kind is parameter.KEYWORD_ONLY and parameter.name in position_of:
                position = position_of[parameter.name]
                self._keyword.append(_Place.of(arguments[position], position, parameter))
            elif parameter.default is parameter.empty:
                raise FormulaError(f"the formula of {name} reads {parameter.name!r}, which {operator} does not have")

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> OperatorCost:
        """The cost of the call ``operator(*args, **kwargs)``, whose result is ``out``."""
        positional = [place.pick(args, kwargs) for place in self._positional]
        values = {place.name: place.pick(args, kwargs) for place in self._keyword}
        if self._wants_out:
            values["out"] = out
        return self.formula.apply(self.name, positional, values, Arithmetic.of(args, tuple(kwargs.values()), out))


class EachFormula(OperatorFormula):
    """The formula of an operator that takes lists and treats each tensor in them as the operator for one does."""

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> OperatorCost:
        count = len(args[0])

        def item(value: Any, position: int) -> Any:
            return value[position] if isinstance(value, list | tuple) and len(value) == count else value

        each = [
            OperatorFormula.__call__(
                self,
                [item(value, position) for value in args],
                {name: item(value, position) for name, value in kwargs.items()},
                item(args[0] if out is None else out, position),
            ).cost
            for position in range(count)
        ]
        return OperatorCost(self.name, total_cost(each))


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
