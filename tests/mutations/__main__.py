"""``python -m tests.mutations``: prints every mutant of an equation that no test notices."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from tests.mutations.mutant import mutants
from tests.mutations.search import Passes, Search, Survivor, UnreliableTestError, observe
from tests.mutations.suite import INDEPENDENT, with_tests
from tests.mutations.written import Written, written_equations


def main(arguments: Sequence[str] | None = None) -> int:
    """Searches among the equations that the arguments select; the exit code says whether every mutant is noticed."""
    options = parser().parse_args(arguments)
    selected = [written for written in written_equations() if uses_match(written, options.match)]
    if not selected:
        print(f"no operator with an equation is called {options.match}", file=sys.stderr)
        return 2
    found: list[Survivor] = []

    def look(tests: Mapping[str, Passes]) -> None:
        search = Search(observe(tests))
        for written in tqdm(selected, unit=" equations"):
            found.extend(search.survivors(written))
        search.check()

    try:
        with_tests(INDEPENDENT, look)
    except UnreliableTestError as error:
        print(error, file=sys.stderr)
        return 2
    print(*found, summary(selected, found), sep="\n")
    return int(bool(found))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--match", default="*", metavar="PATTERN", help="only operators like this: 'aten.conv*'")
    return parser


def uses_match(written: Written, pattern: str) -> bool:
    return any(fnmatch.filter(use.operators, pattern) for use in written.uses)


def summary(selected: Sequence[Written], found: Sequence[Survivor]) -> str:
    uses = sum(len(written.uses) for written in selected)
    made = sum(len(written.uses) * len([*mutants(written.equation)]) for written in selected)
    return f"{len(selected):,} equations in {uses:,} uses, {made:,} mutants, {len(found):,} that no test notices"


if __name__ == "__main__":
    sys.exit(main())
