"""The registry: which operator has which formula, which are free, which are refused and why."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

from fxcount._torch import Operator
from fxcount.errors import FormulaError
from fxcount.formulas.formula import EachFormula, Formula, Measure, OperatorFormula
from fxcount.formulas.schema import functional_names, is_free, operator_name

AnyMeasure = TypeVar("AnyMeasure", bound=Measure)

FORMULAS: dict[str, Formula] = {}
"""Operator name, such as ``aten.conv2d``, to its formula; an in-place operator has that of its functional form."""

REFUSED: dict[str, str] = {}
"""Operators that are deliberately not counted, with the reason that a user reads."""


def formula(operators: str, equation: str, *, complex_stated: bool = False) -> Callable[[AnyMeasure], AnyMeasure]:
    """Registers the decorated function as the formula of ``operators``, names parted by blanks, ``aten.`` left out."""

    def register(measure: AnyMeasure) -> AnyMeasure:
        family = measure.__module__.rpartition(".")[2]
        priced = Formula(measure, family, equation, complex_stated)
        for name in operators.split():
            _register(name, priced)
        return measure

    return register


def formulas(table: Mapping[str, str], *, complex_stated: bool = False) -> Callable[[AnyMeasure], AnyMeasure]:
    """Registers a family whose members differ only in their equation: a table from equation to operators."""

    def register(measure: AnyMeasure) -> AnyMeasure:
        for equation, operators in table.items():
            formula(operators, equation, complex_stated=complex_stated)(measure)
        return measure

    return register


def refuse(operators: str, reason: str) -> None:
    """Declares that ``operators`` are not counted, and why."""
    for name in map(_qualified, operators.split()):
        if name in REFUSED or name in FORMULAS:
            raise FormulaError(f"{name} is refused or has a formula already")
        REFUSED[name] = reason


def _qualified(name: str) -> str:
    return name if "." in name else f"aten.{name}"


def _register(name: str, priced: Formula) -> None:
    name = _qualified(name)
    if name in FORMULAS:
        raise FormulaError(f"{name} has a formula already, in {FORMULAS[name].measure.__module__}")
    FORMULAS[name] = priced


def formula_of(operator: Operator) -> Formula | None:
    """The formula that an operator has by its name, or by what its schema says."""
    for name in functional_names(operator):
        if name in FORMULAS:
            return FORMULAS[name]
    return FORMULAS["aten.view"] if is_free(operator) else None


@functools.cache
def find_registered(operator: Operator) -> OperatorFormula | None:
    """The formula of an operator, fitted to its arguments; None where none is known."""
    found = formula_of(operator)
    return None if found is None else fit(operator, found)


def fit(operator: Operator, found: Formula) -> OperatorFormula:
    """A formula fitted to the arguments of an operator."""
    fitted = EachFormula if "._foreach_" in operator_name(operator) else OperatorFormula
    return fitted(operator, operator_name(operator), found)
