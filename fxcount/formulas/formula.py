"""`Formula`: the sizes that a call's arguments state, put into an equation."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fxcount._torch import Operator
from fxcount.cost import Cost, Equation, OperatorCost, Quantities, total_cost
from fxcount.errors import FormulaError
from fxcount.fault_origin import for_the_model
from fxcount.formulas.arguments import ArgumentReader
from fxcount.formulas.number_kinds import Arithmetic

Measure = Callable[..., Quantities | Cost | int]


class RefusedError(Exception):
    """Raised inside a formula: this call cannot be counted, and why."""


@dataclass(frozen=True, eq=False)
class Formula:
    """What one operator costs.

    ``measure`` takes arguments of the operator and its result, as an `ArgumentReader` hands them out, and returns the
    named quantities of the equation. Without an equation it returns a `Cost`, or an int of macs.
    """

    measure: Measure
    family: str
    equation_text: str | None = None
    complex_stated: bool = False
    """The equation already says what complex numbers cost."""

    @functools.cached_property
    def equation(self) -> Equation | None:
        """The equation, parsed when it is first asked for: parsing all of them takes longer than all else together.

        Raises:
            FormulaError: the text is no equation.
        """
        return None if self.equation_text is None else Equation(self.equation_text)

    @property
    def reason(self) -> str:
        """Where the equation comes from, in a sentence or more."""
        return inspect.getdoc(self.measure) or ""

    def apply(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], numbers: Arithmetic) -> OperatorCost:
        """The cost of one call of the operator ``name``, measured on these arguments in this arithmetic."""
        try:
            measured = for_the_model(self.measure, *args, **kwargs)  # it may be anybody's
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
            return OperatorCost(name, cost, self.equation.text, measured, sent=self.equation.sent(measured))
        if isinstance(measured, int) and not isinstance(measured, bool):
            return OperatorCost(name, Cost(macs=measured))
        raise FormulaError(
            f"the formula of {name} returned {type(measured).__name__}; a formula returns a Cost, an int of macs, "
            "or the quantities of its equation"
        )


class OperatorFormula:
    """A formula, and the one for complex numbers if there is one, fitted to one operator overload."""

    def __init__(self, operator: Operator, name: str, formula: Formula, of_complex: Formula | None = None) -> None:
        """
        Raises:
            FormulaError: a formula asks for an argument that the operator does not have.
        """
        self.name = name
        self.formula = formula
        self._reader = ArgumentReader(operator, formula.measure)
        self._of_complex = None if of_complex is None else (of_complex, ArgumentReader(operator, of_complex.measure))

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> OperatorCost:
        """The cost of the call ``operator(*args, **kwargs)``, whose result is ``out``."""
        formula, reader, numbers = self.formula, self._reader, Arithmetic.of(args, tuple(kwargs.values()), out)
        if self._of_complex is not None and numbers is Arithmetic.COMPLEX:
            formula, reader = self._of_complex
        positional, keyword = reader.read(args, kwargs, out)
        return formula.apply(self.name, positional, keyword, numbers)


class EachFormula(OperatorFormula):
    """The formula of an operator that takes lists and treats each tensor in them as the operator for one does."""

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> OperatorCost:
        lists = [value for value in args if isinstance(value, list | tuple)]
        count = len(lists[0])

        def item(value: Any, position: int) -> Any:
            return value[position] if isinstance(value, list | tuple) and len(value) == count else value

        each = [
            OperatorFormula.__call__(
                self,
                [item(value, position) for value in args],
                {name: item(value, position) for name, value in kwargs.items()},
                item(lists[0] if out is None else out, position),
            ).cost
            for position in range(count)
        ]
        return OperatorCost(self.name, total_cost(each))
