"""The page of models in symbolic sizes, of results that were made up."""

import torch
from torch import nn

from fxcount import count_graph
from tests.symbols.compare import Compared, differences, dynamic_shapes, without_paths
from tests.symbols.page import page, shortened

RESULTS = [
    Compared("a", "one", "batch", "7*batch", [], 5, ratio=3.0),
    Compared("a", "two", "batch", "8*batch", ["batch >= 2 (here.py:3)"], 4, 1, ratio=5.0),
    Compared("a", "three", "batch", settled="batch is settled to be 2"),
    Compared("a", "four", "batch", "9*batch", [], 3, 0, ["{'batch': 2}: node add"], ratio=4.0),
]


def test_the_page_counts_what_came_out() -> None:
    text = page(RESULTS)
    [row] = [line for line in text.splitlines() if line.startswith("| a ")]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == ["a", "batch", "4", "3", "12", "1", "1", "4.0"]
    assert "Of 4 models 2 are equal at every size, in each kind of symbols." in text
    assert "- four, batch: {'batch': 2}: node add" in text
    assert "batch is settled to be 2" in text
    assert "batch >= 2 (here.py:3)" in text
    assert "`7*batch`" in text


def test_which_axes_are_symbols() -> None:
    image, ids = torch.ones(1, 3, 8, 8), torch.ones(1, 6, dtype=torch.int64)
    assert dynamic_shapes(image, "batch") == ({0: "batch"},)
    assert dynamic_shapes(image, "batch, height and width") == ({0: "batch", 2: "height", 3: "width"},)
    assert dynamic_shapes(image, "batch and length") is None
    two = {"ids": ids, "mask": ids.clone(), "other": ids[:, :3], "pixels": image}
    assert dynamic_shapes(two, "batch and length") == {
        "ids": {0: "batch", 1: "length"},
        "mask": {0: "batch", 1: "length"},
        "other": {0: "batch", 1: "length2"},
        "pixels": {0: "batch"},
    }


def test_differences_are_seen() -> None:
    small, large = (count_graph(nn.Linear(4, width), torch.ones(2, 4)) for width in (3, 5))
    assert [*differences(small, small)] == []
    assert len([*differences(small, large)]) == 3


def test_texts() -> None:
    assert shortened("abcdef", 3) == "abc…"
    assert without_paths(f"at {torch.__file__}:3") == "at torch/__init__.py:3"
