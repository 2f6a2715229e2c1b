"""``python -m tests.zoo.packages``: counts and checks models of other packages of PyPI, and reports on them.

It makes an environment that has those packages and runs ``python -m tests.zoo --family packages`` there, with whatever
options of that follow.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.versions.__main__ import ROOT, environment
from tests.zoo.__main__ import COVERAGE, read
from tests.zoo.families import entries_of
from tests.zoo.packages.report import section, with_section
from tests.zoo.packages_models import PACKAGES


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code says whether everything holds."""
    options, others = parser().parse_known_args(arguments)
    with tempfile.TemporaryDirectory() as own:
        place = (options.environment or Path(own, "environment")).resolve()
        python = environment(place, sys.executable, importlib.metadata.version("torch"), [*PACKAGES])
        found = (options.results or Path(own, "results.jsonl")).resolve()
        command = [
            python,
            "-m",
            "tests.zoo",
            "--forward",
            "--family",
            "packages",
            "--results",
            found,
            "--report",
            Path(own, "page"),
        ]
        code = subprocess.run([*command, *others], cwd=ROOT, check=False).returncode
        results, entries = read(found), entries_of("packages")
        listed = subprocess.check_output([python, "-m", "pip", "list", "--format", "json"], text=True)
    versions = {each["name"]: each["version"] for each in json.loads(listed)}
    text = section([results["packages", name] for name in entries if ("packages", name) in results], entries, versions)
    if len(results) == len(entries):
        COVERAGE.write_text(with_section(COVERAGE.read_text(), text))
    else:
        print(text)
    return code


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.zoo.packages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environment", type=Path, metavar="DIR", help="kept, and used again if it is there")
    parser.add_argument("--results", type=Path, metavar="FILE", help="append results here, and skip what it holds")
    return parser


if __name__ == "__main__":
    sys.exit(main())
