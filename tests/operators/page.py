"""The page of all operators, ``docs/operators.md``, written from the registry."""

from __future__ import annotations

import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from fxcount.formulas.formula import Formula, Measure
from fxcount.formulas.free import FREE, MOVED_BETWEEN_PROCESSES, communication
from fxcount.formulas.registry import REFUSED, formulas_by_name

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"

INTRODUCTION = """\
# The operators

What every operator costs, as `python -m tests.operators` writes it from the formulas themselves: {counted} have an
equation, {free} are free and {refused} are refused. The [cost model](cost-model.md) defines the fields and says what
counts. `aten.` is left out of the names: `conv2d` is `aten.conv2d`.

An equation is over sizes that are read off a call: its tensors, their shapes and its arguments. A field that it does
not name is 0, and `//` is a division that is rounded down. An empty reason is that of the row above. Pointwise work and
reductions of integers and booleans cost nothing, and those of complex numbers what they are made of; contractions count
whatever their dtype.

Operators that are not on this page:

- the overloads, the `out=` and in-place variants (`add_`) and the `_foreach_` variants of an operator have its formula;
- views, whose schema says that they are, and the copies of views (`transpose_copy`) are free;
- operators of torch that take no tensor (`zeros`, `randn`) are free, and those that return nothing but a packed weight;
- a composite operator without a formula of its own, such as `einsum`, is counted by the operators that it is made of.

What is none of these, such as an operator of your own, is uncounted until you
[give it a formula](tutorial.md#your-own-formulas).
"""


def operators_page() -> str:
    """The page as Markdown: the families in the order of their names, then what is free, then what is refused."""
    families: dict[str, dict[str, Formula]] = defaultdict(dict)
    for name, formula in formulas_by_name().items():
        families[formula.family][name] = formula
    free = families.pop("free")
    counted = sum(map(len, families.values()))
    sections = [INTRODUCTION.format(counted=counted, free=len(free), refused=len(REFUSED))]
    sections += [_family(name, families[name]) for name in sorted(families)]
    return "\n".join([*sections, _free(), _refused()])


def _family(name: str, formulas: dict[str, Formula]) -> str:
    """What the file of a family says about it, and a row for all operators that share a measure and an equation."""
    rows: dict[Measure, dict[str, list[str]]] = {}
    for operator, formula in formulas.items():
        equation = formula.equation.text if formula.equation else ""
        rows.setdefault(formula.measure, {}).setdefault(equation, []).append(operator)
    subject = inspect.getdoc(sys.modules[f"fxcount.formulas.{name}"])
    table = _table(("operators", "cost", "reason"), _family_rows(rows))
    return f"## {name.replace('_', ' ').capitalize()}\n\n{subject}\n\n{table}"


def _family_rows(rows: dict[Measure, dict[str, list[str]]]) -> Iterator[tuple[str, ...]]:
    for measure, by_equation in rows.items():
        reason = inspect.getdoc(measure) or ""
        for equation, operators in by_equation.items():
            yield _names(operators), f"`{equation}`", reason
            reason = ""


def _free() -> str:
    kinds = {**FREE, inspect.getdoc(communication) or "": MOVED_BETWEEN_PROCESSES}
    rows = [(kind[0].upper() + kind[1:].rstrip("."), _names(operators.split())) for kind, operators in kinds.items()]
    return f"## Free\n\n{_table(('kind', 'operators'), rows)}"


def _refused() -> str:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for operator, reason in REFUSED.items():
        by_reason[reason].append(operator)
    rows = ((_names(operators), reason) for reason, operators in by_reason.items())
    introduction = "These are named as uncounted, with the reason."
    return f"## Refused\n\n{introduction}\n\n{_table(('operators', 'reason'), rows)}"


def _names(operators: Iterable[str]) -> str:
    return ", ".join(f"`{operator.removeprefix('aten.')}`" for operator in operators)


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    cells = [columns, tuple("---" for _ in columns), *rows]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in cells)


def _cell(text: str) -> str:
    """A cell is one line: what a docstring indents keeps its line breaks, the rest flows; a bar is escaped."""
    lines = re.sub(r"\n+( {4})|\n\n", r"<br>", text)
    return " ".join(lines.split()).replace("|", "\\|")
