"""Imports run downward, as docs/architecture.md says, and in no circle."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fxcount

PACKAGE = Path(fxcount.__file__).parent
PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
ROWS = re.findall(r"^\| `(\w+)` \| .* \| ((?:`\w+` ?)*)\|$", PAGE.read_text(), re.MULTILINE)
MAY_IMPORT = {room: set(re.findall(r"\w+", others)) for room, others in ROWS}
"""Each room of the package, a folder or a file, to the rooms that it may import."""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imported(text: str) -> Iterator[str]:
    """The modules of the package that a file imports anywhere, also for its types alone."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.split(".")[0] == "fxcount")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fxcount":
            paths = [f"{node.module}.{each.name}" for each in node.names]
            yield from {path if path in MODULES else str(node.module) for path in paths}


def test_the_page_names_every_room() -> None:
    assert {room_of(module) for module in MODULES} == set(MAY_IMPORT)


def test_the_rooms_of_the_page_run_downward() -> None:
    rooms = list(MAY_IMPORT)
    for room, others in MAY_IMPORT.items():
        assert others <= set(rooms[rooms.index(room) + 1 :]), room


@pytest.mark.parametrize("module", MODULES)
def test_a_file_imports_what_its_room_may(module: str) -> None:
    rooms = {room_of(other) for other in imported(MODULES[module].read_text())}
    assert rooms - {room_of(module)} <= MAY_IMPORT[room_of(module)]


def test_no_files_import_each_other_in_a_circle() -> None:
    imports = {module: set(imported(path.read_text())) for module, path in MODULES.items()}
    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError


def test_an_import_is_seen_wherever_it_stands() -> None:
    text = "def f():\n    from fxcount.views import table\n    import fxcount.cost\n    from fxcount.cost import Cost\n"
    assert [*imported(text)] == ["fxcount.views.table", "fxcount.cost", "fxcount.cost"]
    assert [*imported("import torch\nfrom os import path\nfrom . import x")] == []


def test_no_file_is_long() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > 350} == {}
