"""Every example in README and docs runs, and prints what stands under it."""

import contextlib
import io
import re
import shlex
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


def test_the_two_commands_of_the_readme() -> None:
    """Both are whole: they make their environment, install, and run."""
    commands = re.findall(r"^```sh\n(.*)\n```$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [command.split(" && ")[-1] for command in commands] == [".venv/bin/fxcount", ".venv/bin/python -m pytest"]


def test_the_formula_that_contributing_shows_is_in_the_code() -> None:
    text = (ROOT / "docs" / "contributing.md").read_text()
    (shown,) = re.findall(r"^   ```python\n(.*?)^   ```$", text, re.MULTILINE | re.DOTALL)
    code = "".join(line.removeprefix("   ") for line in shown.splitlines(keepends=True))
    assert any(code in path.read_text() for path in (ROOT / "fxcount" / "formulas").glob("*.py"))
