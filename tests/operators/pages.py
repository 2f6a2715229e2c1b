"""The pages of all operators, ``docs/operators.md`` and those of the families under it, written from the registry."""

from __future__ import annotations

import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from fxcount.formulas.formula import Formula, Measure
from fxcount.formulas.free import FREE
from fxcount.formulas.registry import OF_COMPLEX, REFUSED, formulas_by_name
from tests.markdown import table

DOCS = Path(__file__).parents[2] / "docs"

INTRODUCTION = """\
# The operators

What every operator costs, as `python -m tests.operators` writes it from the formulas themselves: {counted} have an
equation, {free} are free and {refused} are refused. The [cost model](cost-model.md) defines the fields and says what
counts. `aten.` is left out of the names: `conv2d` is `aten.conv2d`.

An equation is over sizes that are read off a call: its tensors, their shapes and its arguments. A field that it does
not name is 0, and `//` is a division that is rounded down. An empty reason is that of the row above. Pointwise work and
reductions of integers and booleans cost nothing; contractions count whatever their dtype. Those of complex numbers cost
what they are made of, and a row for complex numbers says so where some of the numbers are real.

Operators that are on no page:

- the overloads, the `out=` and in-place variants (`add_`) and the `_foreach_` variants of an operator have its formula;
- views, whose schema says that they are, and the copies of views (`transpose_copy`) are free;
- operators of torch that take no tensor (`zeros`, `randn`) are free, and those that return nothing but a packed weight;
- a composite operator without a formula of its own, such as `einsum`, is counted by the operators that it is made of.

What is none of these, such as an operator of your own, is uncounted until you
[give it a formula](tutorial.md#your-own-formulas).
"""


@dataclass(frozen=True)
class Page:
    """The operators of one family, those that are free, or those that are refused."""

    family: str
    subject: str
    operators: Sequence[str]
    table: str

    @property
    def title(self) -> str:
        return self.family.replace("_", " ").capitalize()

    @property
    def path(self) -> str:
        """Where the page stands under ``docs``."""
        return f"operators/{self.family}.md"

    @property
    def first_sentence(self) -> str:
        return re.split(r"(?<=\.)\s", self.subject)[0]

    @property
    def text(self) -> str:
        back = "One page of [the operators](../operators.md), which say how the table is read."
        return f"# {self.title}\n\n{self.subject}\n\n{back}\n\n{self.table}"


def write(docs: Path) -> None:
    """Writes all pages, and removes those of families that are no more."""
    texts = operators_pages()
    folder = docs / "operators"
    folder.mkdir(exist_ok=True)
    for page in folder.iterdir():
        if f"operators/{page.name}" not in texts:
            page.unlink()
    for path, text in texts.items():
        (docs / path).write_text(text)


def operators_pages() -> dict[str, str]:
    """The pages as Markdown, by their paths under ``docs``."""
    families: dict[str, dict[str, Formula]] = defaultdict(dict)
    for name, formula in formulas_by_name().items():
        families[formula.family][name] = formula
    free = families.pop("free")
    counted = sum(map(len, families.values()))
    introduction = INTRODUCTION.format(counted=counted, free=len(free), refused=len(REFUSED))
    pages = [*(_family(name, families[name]) for name in sorted(families)), _free(list(free)), _refused()]
    index = "\n".join([introduction, _families(pages), _alphabet(pages)])
    return {"operators.md": index} | {page.path: page.text for page in pages}


def _families(pages: Iterable[Page]) -> str:
    rows = ((f"[{page.title}]({page.path})", str(len(page.operators)), page.first_sentence) for page in pages)
    return f"## By family\n\n{table(('family', 'operators', 'what it is'), rows)}"


def _alphabet(pages: Sequence[Page]) -> str:
    """A paragraph for each letter, in which every operator is a link to its family, on a line of its own."""
    families = {_short(operator): page.family for page in pages for operator in page.operators}
    names = sorted(families, key=lambda name: (name.lstrip("_").lower(), name))
    letters = groupby(names, lambda name: name.lstrip("_")[0].lower())
    paragraphs = [",\n".join(f"[`{name}`][{families[name]}]" for name in group) for _, group in letters]
    links = "\n".join(f"[{page.family}]: {page.path}" for page in pages)
    introduction = "Underscores in front of a name are passed over; each name leads to the page of its family."
    return "\n\n".join(["## By name", introduction, *paragraphs, links]) + "\n"


def _family(name: str, formulas: dict[str, Formula]) -> Page:
    """What the file of a family says about it, and a row for all operators that share a measure and an equation."""
    of_complex = {operator: formula for operator, formula in OF_COMPLEX.items() if formula.family == name}
    rows = [*_family_rows(formulas), *_family_rows(of_complex, "complex numbers: ")]
    return Page(name, _subject(name), list(formulas), table(("operators", "cost", "reason"), rows))


def _subject(family: str) -> str:
    return inspect.getdoc(sys.modules[f"fxcount.formulas.{family}"]) or ""


def _family_rows(formulas: dict[str, Formula], kind: str = "") -> Iterator[tuple[str, ...]]:
    rows: dict[Measure, dict[str, list[str]]] = {}
    for operator, formula in formulas.items():
        equation = formula.equation.text if formula.equation else ""
        rows.setdefault(formula.measure, {}).setdefault(equation, []).append(operator)
    for measure, by_equation in rows.items():
        reason = inspect.getdoc(measure) or ""
        for equation, operators in by_equation.items():
            yield f"{kind}{_names(operators)}", f"`{equation}`", reason
            reason = ""


def _free(operators: Sequence[str]) -> Page:
    kinds = dict(FREE)
    rows = [(kind[0].upper() + kind[1:].rstrip("."), _names(names.split())) for kind, names in kinds.items()]
    return Page("free", _subject("free"), operators, table(("kind", "operators"), rows))


def _refused() -> Page:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for operator, reason in REFUSED.items():
        by_reason[reason].append(operator)
    rows = ((_names(operators), reason) for reason, operators in by_reason.items())
    subject = "What is named as uncounted, with the reason."
    return Page("refused", subject, list(REFUSED), table(("operators", "reason"), rows))


def _names(operators: Iterable[str]) -> str:
    return ", ".join(f"`{_short(operator)}`" for operator in operators)


def _short(operator: str) -> str:
    return operator.removeprefix("aten.")
