"""The equations as they are written, each with the operators that use it."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from fxcount.cost import Equation
from fxcount.formulas import FORMULAS


@dataclass(frozen=True)
class Use:
    """An equation over the quantities of one measure, with all operators that share both."""

    operators: list[str] = field(default_factory=list)
    stated: set[Equation] = field(default_factory=set)
    """The objects that are computed."""

    def add(self, operator: str, equation: Equation) -> None:
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
    for operator, measure, module, equation in _stated():
        key = equation.text if equation.text in _named(module) else (equation.text, measure)
        found[key][measure].add(operator, equation)
    return [Written(next(iter(first.stated)), [first, *others]) for first, *others in map(dict.values, found.values())]


def _stated() -> Iterator[tuple[str, Hashable, str, Equation]]:
    """Each equation with who uses it, what it is measured by, and the module where it is put to use."""
    for operator, formula in FORMULAS.items():
        if formula.equation is not None and formula.equation.terms:
            yield operator, formula.measure, formula.measure.__module__, formula.equation
    for module in sorted(name for name in sys.modules if name.partition(".")[0] == "fxcount"):
        for name, value in vars(sys.modules[module]).items():
            if isinstance(value, Equation):
                yield f"{module}.{name}", value, module, value


def _named(module: str) -> set[str]:
    """The texts that a module has a name for."""
    return {" ".join(value.split()) for value in vars(sys.modules[module]).values() if isinstance(value, str)}
