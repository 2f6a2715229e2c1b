"""What a notebook shows."""

from html.parser import HTMLParser

import torch
from torchvision import models

from fxcount import count_graph
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
