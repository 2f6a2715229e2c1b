"""``python -m tests.benchmarks``: measures, prints the page, and writes it where it belongs."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from tests.benchmarks import limits, new_process
from tests.benchmarks.attention import counted_macs
from tests.benchmarks.models import MODELS
from tests.benchmarks.processes import measure
from tests.benchmarks.report import Limits, report
from tests.benchmarks.tools import TOOLS

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures what the arguments select; the page is kept only if that is everything."""
    options = parser().parse_args(arguments)
    models = [name for name in MODELS if fnmatch.fnmatch(name, options.match)]
    if not models:
        print(f"no model is called {options.match}; there are {', '.join(MODELS)}", file=sys.stderr)
        return 2
    times: dict[str, dict[str, float | str]] = {model: {} for model in models}
    with tqdm(total=len(models) * len(TOOLS), unit=" measurements") as bar:
        for model, tool, measured in measure(models, list(TOOLS), options.rounds):
            times[model][tool] = measured
            bar.update()
    everything = models == list(MODELS) and not options.no_limits
    page = report(times, None if options.no_limits else measure_limits(options.rounds), command(), options.rounds)
    print(page)
    if options.report or everything:
        (options.report or PAGE).write_text(page)
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--match", default="*", metavar="PATTERN", help="only models like this, such as 'res*'")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured; the best counts")
    parser.add_argument("--no-limits", action="store_true", help="leave out growth, memory and import time")
    parser.add_argument("--report", type=Path, metavar="FILE", help=f"where to write; {PAGE.name} if all is measured")
    return parser


def measure_limits(rounds: int) -> Limits:
    return Limits(
        by_depth=limits.time_by_depth(rounds),
        by_steps=limits.time_by_steps(rounds),
        by_batch=limits.time_by_batch(rounds),
        in_symbols=limits.time_in_symbols(rounds),
        memory=limits.memory_of_llama_405b(),
        import_seconds=new_process.import_seconds(rounds),
        help_seconds=new_process.help_seconds(rounds),
        first_counts=new_process.first_counts(rounds),
        attention=counted_macs(),
    )


def command() -> str:
    return " ".join(("python -m tests.benchmarks", *sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
