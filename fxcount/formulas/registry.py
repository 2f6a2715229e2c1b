"""The registry: which operator has which formula, which are free, which are refused and why.

Families register their formulas when they are imported, in any order: an alias finds what it stands for when it is
asked for.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fxcount._torch import Operator
from fxcount.cost import Cost, Quantities
from fxcount.errors import FormulaError
from fxcount.formulas.formula import EachFormula, Formula, Measure, OperatorFormula
from fxcount.formulas.schema import functional_names, is_free, operator_name

AnyMeasure = TypeVar("AnyMeasure", bound=Measure)


@dataclass(frozen=True)
class Alias:
    """Another name of an operator, or of several that are done one after the other."""

    operators: Sequence[str]
    adapt: Callable[[Measure], Measure]
    """Makes the measure of the first one read the arguments as they are here."""
    complex_stated: bool

    @functools.cached_property
    def formula(self) -> Formula:
        """That of the first one, with the equations of all side by side."""
        first, *rest = (FORMULAS[operator] for operator in self.operators)
        equation = ", ".join(str(each.equation_text) for each in (first, *rest))
        return Formula(self.adapt(first.measure), first.family, equation, first.complex_stated or self.complex_stated)


FORMULAS: dict[str, Formula] = {}
"""Operator name, such as ``aten.conv2d``, to its formula; an in-place operator has that of its functional form."""

OF_COMPLEX: dict[str, Formula] = {}
"""Operator name to its formula for calls with a complex tensor, where not all numbers of such a call are complex: the
other operators cost what `Arithmetic.perform` makes of their formula for real numbers."""

ALIASES: dict[str, Alias] = {}
"""Operator name, such as ``quantized.conv2d``, to the operators that have the formula."""

REFUSED: dict[str, str] = {}
"""Operators that are deliberately not counted, with the reason that a user reads."""


def formula(operators: str, equation: str, *, complex_stated: bool = False) -> Callable[[AnyMeasure], AnyMeasure]:
    """Registers the decorated function as the formula of ``operators``, names parted by blanks, ``aten.`` left out."""

    def register(measure: AnyMeasure) -> AnyMeasure:
        family = measure.__module__.rpartition(".")[2]
        priced = Formula(measure, family, equation, complex_stated)
        for name in operators.split():
            FORMULAS[_new(name)] = priced
        return measure

    return register


def formulas(table: Mapping[str, str], *, complex_stated: bool = False) -> Callable[[AnyMeasure], AnyMeasure]:
    """Registers a family whose members differ only in their equation: a table from equation to operators."""

    def register(measure: AnyMeasure) -> AnyMeasure:
        for equation, operators in table.items():
            formula(operators, equation, complex_stated=complex_stated)(measure)
        return measure

    return register


def of_complex(table: Mapping[str, str]) -> Callable[[AnyMeasure], AnyMeasure]:
    """Registers the decorated function for calls with a complex tensor: a table from equation to operators."""

    def register(measure: AnyMeasure) -> AnyMeasure:
        family = measure.__module__.rpartition(".")[2]
        for equation, operators in table.items():
            priced = Formula(measure, family, equation, complex_stated=True)
            for name in map(_qualified, operators.split()):
                if name in OF_COMPLEX:
                    raise FormulaError(f"{name} has a formula for complex numbers already")
                OF_COMPLEX[name] = priced
        return measure

    return register


def given(**values: object) -> Callable[[Measure], Measure]:
    """An ``adapt`` for operators that lack arguments of the other one: the measure, where these parameters have a
    default, gets these values instead."""

    def adapt(measure: Measure) -> Measure:
        @functools.wraps(measure)
        def adapted(*args: Any, **kwargs: Any) -> Quantities | Cost | int:
            return measure(*args, **kwargs, **values)

        return adapted

    return adapt


def aliases(
    table: Mapping[str, str],
    *,
    adapt: Callable[[Measure], Measure] = lambda measure: measure,
    complex_stated: bool = False,
) -> None:
    """Gives operators the formulas of others: a table from the others to the operators.

    ``conv2d relu`` stands for a convolution, then a rectifier: the first reads the arguments, through ``adapt``, and
    the equations of all stand side by side, so those of the rest are over quantities that the first has too.
    """
    for others, operators in table.items():
        alias = Alias([_qualified(name) for name in others.split()], adapt, complex_stated)
        for name in operators.split():
            ALIASES[_new(name)] = alias


def refuse(operators: str, reason: str) -> None:
    """Declares that ``operators`` are not counted, and why."""
    for name in operators.split():
        REFUSED[_new(name)] = reason


def _qualified(name: str) -> str:
    return name if "." in name else f"aten.{name}"


def _new(name: str) -> str:
    """The full name of an operator that has not been registered yet."""
    name = _qualified(name)
    if name in FORMULAS:
        raise FormulaError(f"{name} has a formula already, in {FORMULAS[name].measure.__module__}")
    if name in ALIASES:
        raise FormulaError(f"{name} has a formula already, that of {' and '.join(ALIASES[name].operators)}")
    if name in REFUSED:
        raise FormulaError(f"{name} is refused already: {REFUSED[name]}")
    return name


def formula_named(name: str) -> Formula | None:
    """The formula that is registered for the full name of an operator."""
    return ALIASES[name].formula if name in ALIASES else FORMULAS.get(name)


def formulas_by_name() -> dict[str, Formula]:
    """Every name that has a formula, aliases among them."""
    return {**FORMULAS, **{name: alias.formula for name, alias in ALIASES.items()}}


def formula_of(operator: Operator) -> Formula | None:
    """The formula that an operator has by its name, or by what its schema says."""
    for name in functional_names(operator):
        if (found := formula_named(name)) is not None:
            return found
    return FORMULAS["aten.view"] if is_free(operator) else None


@functools.cache
def find_registered(operator: Operator) -> OperatorFormula | None:
    """The formula of an operator, fitted to its arguments; None where none is known."""
    found = formula_of(operator)
    names = functional_names(operator)
    return None if found is None else fit(operator, found, next(filter(None, map(OF_COMPLEX.get, names)), None))


def fit(operator: Operator, found: Formula, of_complex: Formula | None = None) -> OperatorFormula:
    """A formula, and the one for complex numbers, fitted to the arguments of an operator."""
    fitted = EachFormula if "._foreach_" in operator_name(operator) else OperatorFormula
    return fitted(operator, operator_name(operator), found, of_complex)
