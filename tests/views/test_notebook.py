"""What a notebook shows."""

import re
from html.parser import HTMLParser

import torch
from torch import nn
from torchvision import models

from fxcount import count_graph, count_memory
from tests.views.tower import tower_cost


class Tags(HTMLParser):
    """Checks that tags are closed in order, and keeps the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())


def test_nodes() -> None:
    html = tower_cost()._repr_html_()
    shown = Tags(html)
    assert shown.open == []
    assert {"layers_0_linear", "[2, 4], [4]", "MACs", "168", "121"} <= set(shown.text)
    assert "FLOPs here are multiplications (macs + mul): 168 in all." in shown.text


def test_it_scrolls_where_it_is_narrow_and_keeps_its_indentation() -> None:
    with torch.device("meta"):
        model = models.resnet50()
    html = count_graph(model, torch.empty(1, 3, 224, 224))._repr_html_()
    assert html.startswith('<div style="overflow-x: auto">')
    assert "<td>\u00a0\u00a0layer1" in html
    assert "…" not in html
    assert Tags(html).open == []


def test_texts_are_shown_as_what_they_are() -> None:
    """A notebook asks the last expression of a cell for HTML; a text alone would have none, and show its escapes."""
    cost = tower_cost()
    for text in (
        cost.table("module"),
        cost.explain(""),
        cost.compare(cost),
        count_memory(nn.ReLU(), torch.ones(3)).table(),
    ):
        shown = Tags(text._repr_html_())
        assert shown.open == []
        assert "\n".join(shown.text).strip().split("\n")[0] == text.split("\n")[0]
        assert "overflow-x: auto" in text._repr_html_()


def test_a_table_of_html_is_one() -> None:
    html = tower_cost().table(format="html")._repr_html_()
    assert html.startswith('<div style="overflow-x: auto">')
    assert "<table>" in html


def test_long_texts_are_folded() -> None:
    model = nn.Sequential(*(nn.Linear(4 + k, 5 + k) for k in range(100)))
    text = count_graph(model, torch.ones(4)).table()
    html = text._repr_html_()
    assert f"<summary>{len(text.splitlines()) - 45} more lines</summary>" in html
    assert Tags(html).open == []
    assert len(re.findall("<pre", html)) == 2


def test_ipython_prints_them_in_a_terminal() -> None:
    class Printer:
        printed = ""

        def text(self, text: str) -> None:
            self.printed += text

    printer = Printer()
    cost = tower_cost()
    cost.table()._repr_pretty_(printer, False)
    assert printer.printed == cost.table()
