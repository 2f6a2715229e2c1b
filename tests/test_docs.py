"""Every example in README and docs runs and prints what stands under it, and every link leads somewhere."""

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


def test_the_two_commands_of_the_readme() -> None:
    """Both are whole: they make their environment, install, and run."""
    commands = re.findall(r"^```sh\n(.*)\n```$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [command.split(" && ")[-1] for command in commands] == [".venv/bin/fxcount", ".venv/bin/python -m pytest"]


def test_the_formula_that_contributing_shows_is_in_the_code() -> None:
    text = (ROOT / "docs" / "contributing.md").read_text()
    (shown,) = re.findall(r"^   ```python\n(.*?)^   ```$", text, re.MULTILINE | re.DOTALL)
    code = "".join(line.removeprefix("   ") for line in shown.splitlines(keepends=True))
    assert any(code in path.read_text() for path in (ROOT / "fxcount" / "formulas").glob("*.py"))
