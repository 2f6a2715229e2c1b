"""The page of versions, ``docs/versions.md``: what pytest printed on each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "versions.md"

INTRODUCTION = """\
# Versions

`python -m tests.versions --torch 2.9.1` installs that torch, the torchvision that belongs to it and this package in an
environment of its own, runs all tests there, and writes a row here: the last line that pytest printed. With `--python`
it does so on another Python. A later run of the same versions takes the place of the row.
"""

DIFFERENCES = """\
## What differs in torch itself

Everything is counted alike on all these versions. Some tests ask less of an older torch:

- An operator that it does not have cannot be called. Such a test is skipped, and its name stands below.
- `FlopCounterMode` is asked only for what it knows. Below 2.14 its formula of `addmm.dtype` fails, and that of
  `_flash_attention_forward` takes lengths for heads; in 2.9 it has none of `convolution_overrideable`.
- Attention in groups without any head ends the process below 2.13, by a division by zero: no such call is tried.
- Below 2.11 transformers asks where the weights of its experts lie, on a CPU: such a model needs its data there.
"""

REMARKS = ("FAILED", "ERROR", "SKIPPED")
"""How the lines of pytest begin that say of a test that it did not pass."""

Versions = tuple[str, str]
"""Of torch and of Python."""

Runs = dict[Versions, list[str]]
"""The last line that pytest printed, then its remarks."""


def page(runs: Runs) -> str:
    """The page as Markdown, the oldest versions first."""
    inorder = sorted(runs.items(), key=lambda run: [*map(_numbers, run[0])])
    rows = [f"| {torch} | {python} | {last} |" for (torch, python), (last, *_) in inorder]
    table = "\n".join(["| torch | Python | pytest |", "| --- | --- | --- |", *rows]) + "\n"
    sections = [
        "\n".join([f"## Not passed on torch {torch}, Python {python}\n", *(f"- `{each}`" for each in remarks)]) + "\n"
        for (torch, python), (_, *remarks) in inorder
        if remarks
    ]
    return "\n".join([INTRODUCTION, table, DIFFERENCES, *sections])


def runs_on(text: str) -> Runs:
    """The runs that a page shows."""
    runs = {
        (torch, python): [last] for torch, python, last in re.findall(r"(?m)^\| (\d\S*) \| (\S+) \| (.*) \|$", text)
    }
    for heading, body in re.findall(r"(?ms)^## Not passed on (.*?)\n(.*?)(?=^## |\Z)", text):
        torch, python = re.findall(r"\d\S*\b", heading)
        runs[torch, python] += re.findall(r"(?m)^- `(.*)`$", body)
    return runs


def lines_of(printed: Iterable[str]) -> list[str]:
    """Of what pytest printed, what the page shows of it."""
    lines = [line.strip() for line in printed if line.strip()]
    return [lines[-1], *(line for line in lines[:-1] if line.startswith(REMARKS))]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]
