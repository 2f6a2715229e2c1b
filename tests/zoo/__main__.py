"""``python -m tests.zoo``: counts and checks every model of the zoo, and writes a report."""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import importlib.metadata
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from tests.zoo.check import Result
from tests.zoo.entry import Entry
from tests.zoo.families import FAMILIES, entries_of
from tests.zoo.packages.report import section_of
from tests.zoo.report import report
from tests.zoo.run import run
from tests.zoo.sample import sample

COVERAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the arguments select; the exit code says whether everything holds."""
    options = parser().parse_args(arguments)
    entries = select(options.family or FAMILIES, options.match, options.sample)
    done = read(options.results) if options.results else {}
    left = [entry for entry in entries if (entry.family, entry.name) not in done]
    with tqdm(total=len(entries), initial=len(entries) - len(left), unit=" models") as bar:
        for result in run(left, options.jobs, options.seconds, backward=not options.forward):
            done[result.family, result.name] = result
            bar.update()
            for problem in result.problems:
                bar.write(f"{result.family} {result.name}: {problem}", file=sys.stderr)
            if options.results:
                with options.results.open("a") as file:
                    print(json.dumps(dataclasses.asdict(result)), file=file)
    results = [done[entry.family, entry.name] for entry in entries]
    page = report(results, shlex.join(["python", "-m", "tests.zoo", *sys.argv[1:]]), versions())
    everything = not options.family and options.match == "*" and not options.sample
    if options.report or everything:
        place = options.report or COVERAGE
        place.write_text(page + section_of(place.read_text() if place.exists() else ""))
    else:
        print(page)
    changes = changed(results, read(options.against)) if options.against else []
    if options.against:
        print(*changes, f"{len(results)} models compared, {len(changes)} counted otherwise", sep="\n")
    return int(bool(changes) or any(result.problems for result in results))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo", description=__doc__)
    parser.add_argument(
        "--family", action="append", choices=(*FAMILIES, "packages"), help="only this library; may be repeated"
    )
    parser.add_argument("--match", default="*", metavar="PATTERN", help="only names like this, such as 'resnet*'")
    parser.add_argument("--sample", action="store_true", help="only the sample that the tests run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="models at a time")
    parser.add_argument("--seconds", type=float, default=300, help="time limit for one model")
    parser.add_argument("--forward", action="store_true", help="leave out the backward pass")
    parser.add_argument("--results", type=Path, metavar="FILE", help="append results here, and skip what it holds")
    parser.add_argument("--against", type=Path, metavar="FILE", help="results of another run, to be the same")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help=f"where to write the report, {COVERAGE.name} for all"
    )
    return parser


def select(families: Sequence[str], pattern: str, sampled: bool) -> list[Entry]:
    entries = [entry for family in families for entry in entries_of(family).values()]
    entries = sample(entries) if sampled else entries
    return [entry for entry in entries if fnmatch.fnmatch(entry.name, pattern)]


def read(path: Path) -> dict[tuple[str, str], Result]:
    """The results of an earlier run."""
    if not path.exists():
        return {}
    results = [Result(**json.loads(line)) for line in path.read_text().splitlines()]
    return {(result.family, result.name): result for result in results}


COMPARED = ("tracer", "cost", "params", "nodes", "fingerprint", "uncounted", "problems")


def changed(results: Sequence[Result], before: Mapping[tuple[str, str], Result]) -> list[str]:
    """A line for every model that is counted otherwise than before."""
    lines = []
    for result in results:
        other = before.get((result.family, result.name))
        differing = [name for name in COMPARED if other and getattr(result, name) != getattr(other, name)]
        if other is None or differing:
            what = ", ".join(f"{name} {getattr(other, name)} -> {getattr(result, name)}" for name in differing)
            lines.append(f"{result.family} {result.name}: {what or 'was not counted before'}")
    return lines


def versions() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", *FAMILIES))


if __name__ == "__main__":
    sys.exit(main())
