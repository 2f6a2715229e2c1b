"""The section of the report on other packages, which is the last of its page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.markdown import table
from tests.zoo.check import Result
from tests.zoo.entry import Entry

HEADING = "\n## Other packages\n"

INTRODUCTION = """\
Printed by `python -m tests.zoo.packages`, which installs these packages of PyPI in an environment of their own. Their
models are built with random weights, mostly smaller than published ones, and checked as those above; a model that
computes the same each time is run on data too. The last column compares the macs with half of `FlopCounterMode`'s
flops. What they are equal but for are operators that it does not know, with the macs that are missing there, or counts
by the rule that stands beneath the table.
"""


def section(results: Sequence[Result], entries: Mapping[str, Entry], versions: Mapping[str, str]) -> str:
    """The results of models by name, with the versions of the packages."""
    versions = {normal(name): version for name, version in versions.items()}
    rows = [
        (
            result.kind,
            versions.get(normal(result.kind), ""),
            result.name.removeprefix(f"{result.kind}/"),
            result.tracer,
            f"{result.macs:,}",
            agreement(result),
        )
        for result in results
    ]
    columns = ("package", "version", "model", "tracer", "macs", "FlopCounterMode")
    parts = [HEADING, INTRODUCTION, totals(results), table(columns, rows), rules(results, entries), problems(results)]
    return "\n".join(part for part in parts if part)


def totals(results: Sequence[Result]) -> str:
    packages = len({result.kind for result in results})
    right = sum(not result.problems for result in results)
    outcomes = Counter(result.torch.partition(":")[0] for result in results if result.torch)
    compared = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    return (
        f"{packages} packages, {len(results)} models: every check held for {right}. "
        f"Compared with `FlopCounterMode`: {compared}.\n"
    )


def agreement(result: Result) -> str:
    """What FlopCounterMode agrees with, and the macs that are missing there by operator."""
    but = {**result.unknown, **result.otherwise}
    if not result.torch.startswith("equal but"):
        return result.torch
    return f"equal but for {', '.join(f'{operator} {macs:,}' for operator, macs in but.items())}"


def rules(results: Sequence[Result], entries: Mapping[str, Entry]) -> str:
    """What is said of operators that FlopCounterMode counts by another rule, with the models that have met them."""
    models: dict[str, list[str]] = {}
    for result in results:
        for operator in result.otherwise:
            said = entries[result.name].otherwise.get(operator)
            if said:
                models.setdefault(f"{operator}: {said}", []).append(result.name)
    return "".join(f"- {rule} ({', '.join(names)})\n" for rule, names in models.items())


def problems(results: Sequence[Result]) -> str:
    return "".join(f"- {result.name}: {problem}\n" for result in results for problem in result.problems)


def section_of(page: str) -> str:
    """The section of a page, empty where it has none."""
    _, heading, text = page.partition(HEADING)
    return heading + text


def with_section(page: str, text: str) -> str:
    """The page with this section in place of its own."""
    return page.partition(HEADING)[0] + text


def normal(name: str) -> str:
    """The name of a package as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
