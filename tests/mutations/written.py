"""The equations as they are written, each with the operators that use it."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import torch

from fxcount.cost import Equation
from fxcount.formulas import FORMULAS, OF_COMPLEX, find_formula
from fxcount.formulas.registry import ALIASES


@dataclass(frozen=True)
class Use:
    """An equation over the quantities of one measure, with all operators that share both. Other names of operators are
    a use of their own, one for each row of a table of aliases."""

    operators: list[str] = field(default_factory=list)
    stated: set[Equation] = field(default_factory=set)
    """The objects that are computed."""

    def add(self, operator: str, equation: Equation) -> None:
        if operator not in self.operators:
            self.operators.append(operator)
        self.stated.add(equation)

    def __str__(self) -> str:
        first, others = self.operators[:3], len(self.operators) - 3
        return ", ".join(first) + (f" and {others} more" if others > 0 else "")


@dataclass(frozen=True)
class Written:
    """An equation that is written once: for one measure, or under a name for several."""

    equation: Equation
    uses: list[Use]


def written_equations() -> list[Written]:
    """The equations of all formulas, and those that a module of fxcount holds."""
    found: dict[Hashable, dict[Hashable, Use]] = defaultdict(lambda: defaultdict(Use))
    for operator, use, measure, module, equation in (*_stated(), *_stated_by_aliases()):
        key = equation.text if equation.text in _named(module) else (equation.text, measure)
        found[key][use].add(operator, equation)
    return [Written(next(iter(first.stated)), [first, *others]) for first, *others in map(dict.values, found.values())]


Stated = tuple[str, Hashable, Hashable, str, Equation]
"""An operator, what tells its use from others, the measure, the module where that is, and the equation."""


def _stated() -> Iterator[Stated]:
    of_complex = {f"{operator} of complex numbers": formula for operator, formula in OF_COMPLEX.items()}
    for operator, formula in {**FORMULAS, **of_complex}.items():
        if formula.equation is not None and formula.equation.terms:
            yield operator, formula.measure, formula.measure, formula.measure.__module__, formula.equation
    for module in sorted(name for name in sys.modules if name.partition(".")[0] == "fxcount"):
        for name, value in vars(sys.modules[module]).items():
            if isinstance(value, Equation):
                yield f"{module}.{name}", value, value, module, value


def _stated_by_aliases() -> Iterator[Stated]:
    """Each overload of an alias has an equation of its own."""
    for operator, alias in ALIASES.items():
        measure = FORMULAS[alias.operators[0]].measure
        namespace, _, name = operator.partition(".")
        packet = getattr(getattr(torch.ops, namespace), name, None)
        for overload in packet.overloads() if packet is not None else ():
            fitted = find_formula(getattr(packet, overload))
            if fitted is not None and fitted.formula.equation is not None:
                row = (*alias.operators, alias.adapt)
                yield operator, row, measure, measure.__module__, fitted.formula.equation


def _named(module: str) -> set[str]:
    """The texts that a module has a name for."""
    return {" ".join(value.split()) for value in vars(sys.modules[module]).values() if isinstance(value, str)}
