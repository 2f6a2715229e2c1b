"""``python -m tests.versions``: runs the tests on a torch and a Python, and writes what they printed into the page."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.versions.page import PAGE, lines_of, page, runs_on

ROOT = Path(__file__).parents[2]
VERSIONS = "import platform, importlib.metadata as m; print(m.version('torch'), platform.python_version())"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code is that of pytest."""
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as own:
        python = environment((options.environment or Path(own)).resolve(), options.python, options.torch)
        torch, number = subprocess.check_output([python, "-c", VERSIONS], text=True).split()
        command = [python, "-m", "pytest", "-q", "-rfEs"]
        printed = []
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as tests:
            for line in tests.stdout or ():
                print(line, end="", flush=True)
                printed.append(line)
    runs = runs_on(PAGE.read_text()) if PAGE.exists() else {}
    PAGE.write_text(page({**runs, (torch, number): lines_of(printed)}))
    return tests.returncode


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.versions", description=__doc__)
    parser.add_argument("--torch", required=True, metavar="VERSION", help="such as 2.9.1")
    parser.add_argument("--python", default=sys.executable, help="such as 3.12, or a path; this one if not given")
    parser.add_argument("--environment", type=Path, metavar="DIR", help="kept, and used again if it is there")
    return parser


def environment(place: Path, python: str, torch: str, packages: Sequence[str] = ()) -> Path:
    """The Python of an environment with that torch, this package, all that its tests need, and other packages."""
    there = place / "bin" / "python"
    if not there.exists():
        subprocess.run([shutil.which(f"python{python}") or python, "-m", "venv", place], check=True)
    # Three signs, since two would take a build with a label too, such as 2.13.0+cpu, to which no torchvision belongs.
    subprocess.run([there, "-m", "pip", "install", f"torch==={torch}", f"{ROOT}[test]", *packages], check=True)
    return there


if __name__ == "__main__":
    sys.exit(main())
