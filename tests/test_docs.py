"""Every example in README and docs runs and prints what stands under it, and every link leads somewhere."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fxcount.cli.main import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def printed(run: Any) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        run()
    return out.getvalue()


def stripped(text: str) -> list[str]:
    """The lines, whatever the versions are."""
    text = re.sub(r"; fxcount [\d.]+, torch [\w.]+\.", "; fxcount, torch.", text)
    return [line.rstrip() for line in text.strip("\n").split("\n")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text block is the output of the python block before it; a console block shows ``$ command`` and output."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    out = ""
    for language, code in BLOCK.findall(page.read_text()):
        if language == "python":
            out = printed(lambda code=code: exec(compile(code, page.name, "exec"), namespace))
        elif language == "text":
            assert stripped(out) == stripped(code)
        elif language == "console":
            for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE):
                program, *arguments = shlex.split(command)
                assert program == "fxcount"
                assert stripped(printed(lambda arguments=arguments: main(arguments))) == stripped(expected)
        else:
            assert language == "sh"
            assert page.name in ("README.md", "contributing.md")


def test_the_figures_of_the_readme_are_those_of_the_pages() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    benchmarks = (ROOT / "docs" / "benchmarks.md").read_text()

    def measured(what: str) -> str:
        (figure,) = re.findall(rf"^\| {re.escape(what)} +\|[^|]+\| +([\d.]+) \|", benchmarks, re.MULTILINE)
        return str(figure)

    assert f"A count takes {measured('over FlopCounterMode on meta, median')} of the time" in readme
    first = measured("the first count of a process over FlopCounterMode's, slowest")
    assert f"the first count of a process at most {first} " in readme
    backward = measured("with the backward pass, over FlopCounterMode's, median")
    assert f"in {backward} of the time that `FlopCounterMode` takes" in readme
    coverage = (ROOT / "docs" / "coverage.md").read_text()
    totals = re.findall(r"^\| (?:timm|torchvision|transformers) +\| all [^|]+\| +(\d+) \|", coverage, re.MULTILINE)
    assert f"{sum(map(int, totals)):,} models of timm, torchvision and transformers" in readme
    memory = " ".join((ROOT / "docs" / "memory.md").read_text().split())
    (runs, models) = re.findall(r"(\d+) of (\d+) are equal, to the byte", memory)
    assert runs[0] == runs[1] == str(2 * int(models[0]))  # without gradients, and a step of training
    assert models[0] == models[1]
    assert f"([{models[1]} models](docs/memory.md)" in readme
    (equal,) = re.findall(r"models (\d+) are equal at every size", (ROOT / "docs" / "sizes.md").read_text())
    assert f"[{equal} models](docs/sizes.md)" in readme


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that exists and, where they name one, to a heading of it; addresses of the web are not followed."""
    targets = [target for target in links(page.read_text()) if "://" not in target]
    assert [target for target in targets if not leads_somewhere(page, target)] == []


def links(text: str) -> list[str]:
    """Where the links and pictures of a page lead, also those that are named at its end."""
    text = BLOCK.sub("", text)
    return re.findall(r"\]\((\S+?)\)", text) + re.findall(r"^\[\w+\]: (\S+)$", text, re.MULTILINE)


def leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    other = page.parent / path if path else page
    return other.is_file() and (not anchor or anchor in anchors(other.read_text()))


def anchors(text: str) -> list[str]:
    """The headings as a link names them: in lower case, a hyphen for a space, no other signs."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_a_link_that_leads_nowhere_is_seen() -> None:
    page = ROOT / "README.md"
    found = links("[a](docs/api.md), ![b](docs/none.png), [c](#none), [d](docs/api.md#count_graph)\n\n[e]: none.md\n")
    wrong = [target for target in found if not leads_somewhere(page, target)]
    assert wrong == ["docs/none.png", "#none", "none.md"]
    assert anchors("# The `x_y`, why?\n") == ["the-x_y-why"]


README = (ROOT / "README.md").read_text()


def commands_of_the_readme() -> list[tuple[str, str]]:
    """The commands in the order of the page, each with what stands under it; those of one line are run one by one."""
    found = []
    for language, code in BLOCK.findall(README):
        if language == "console":
            found += re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE)
        elif language == "sh":
            found += [(command, "") for command in code.strip().split(" && ")]
    return found


def test_the_two_set_ups_of_the_readme_are_whole() -> None:
    """Both make their environment, install, and run something: what CI runs is the second."""
    lines = [code.strip() for language, code in BLOCK.findall(README) if language == "sh"]
    set_ups = [line.split(" && ") for line in lines if line.startswith("python3 -m venv .venv && ")]
    assert [each[-1] for each in set_ups] == ["fxcount", ".venv/bin/python -m pytest"]
    assert lines[0] == " && ".join(set_ups[0])


def test_the_readme_installs_what_a_command_needs_before_it() -> None:
    installed: set[str] = set()
    for command, _ in commands_of_the_readme():
        program, *arguments = shlex.split(command)
        if program.endswith("pip"):
            installed |= {*arguments[1:]}
        elif program == "fxcount":
            library = arguments[0].partition("/")[0] if arguments else "."
            assert library in installed, command


def test_the_commands_of_the_readme_print_what_the_page_shows_and_nothing_else(tmp_path: Path) -> None:
    for command, expected in commands_of_the_readme():
        program, *arguments = shlex.split(command)
        if program == "fxcount":
            run = [sys.executable, "-m", "fxcount", *arguments]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
            assert done.stderr == ""
            assert stripped(done.stdout) == stripped(expected) or not expected


def test_the_formula_that_contributing_shows_is_in_the_code() -> None:
    text = (ROOT / "docs" / "contributing.md").read_text()
    (shown,) = re.findall(r"^   ```python\n(.*?)^   ```$", text, re.MULTILINE | re.DOTALL)
    code = "".join(line.removeprefix("   ") for line in shown.splitlines(keepends=True))
    assert any(code in path.read_text() for path in (ROOT / "fxcount" / "formulas").glob("*.py"))


def test_no_chapter_of_the_tutorial_is_longer_than_two_screens() -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text()
    without_code = re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.M | re.S)
    starts = [k for k, line in enumerate(without_code.split("\n")) if line.startswith("#")]
    ends = [*starts[1:], text.count("\n")]
    assert max(end - start for start, end in zip(starts, ends, strict=True)) <= 100
