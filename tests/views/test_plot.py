"""The pictures: boxes that are a page, and layers over a size."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from fxcount import InputError, Picture, count_graph
from fxcount.views.chart import Axis
from tests.test_count import Residual

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture: Picture) -> ElementTree.Element:
    """The chart of a page, which must be well formed."""
    (svg,) = re.findall(r"<svg.*</svg>", picture.page, re.DOTALL)
    return ElementTree.fromstring(svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))


def texts(svg: ElementTree.Element, kind: str) -> list[str]:
    """What is said where the mouse rests on elements of a class."""
    return [each.findtext(f"{SVG}title", "") for each in svg.iter() if each.get("class") == kind]


def test_a_picture_is_a_page_that_starts_as_it_is_asked_to(tmp_path: Path) -> None:
    picture = count_graph(Residual(), torch.randn(3, 4)).plot("operator", "bytes")
    assert '"start":{"by":"operator","measure":"bytes"},"tables":false' in picture.page
    picture.save(tmp_path / "picture.html")
    assert (tmp_path / "picture.html").read_text(encoding="utf-8") == picture.page
    assert repr(picture) == "Picture('Residual: bytes by operator'); save('picture.html') writes it"


def test_a_notebook_shows_it_in_a_frame_of_its_own() -> None:
    shown = count_graph(nn.Linear(4, 3), torch.randn(2, 4)).plot()._repr_html_()
    assert shown.startswith('<iframe title="Linear: flops by module" width="100%"')
    assert shown.count("<") == 2  # the page is in an attribute


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "node"}, "unknown by: 'node'; the known ones are module, operator"),
        ({"value": "gflops"}, "unknown value: 'gflops'; the known ones are flops, macs, bytes, params"),
        ({"value": "backward_flops"}, "unknown value: 'backward_flops'"),
        ({"over": "batch"}, "unknown size: 'batch'; the known ones are none"),
    ],
)
def test_what_is_unknown_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        count_graph(nn.Linear(4, 3), torch.randn(2, 4)).plot(**options)


def test_a_chart_over_a_size() -> None:
    """Layers of 4 x 8 and 8 x 2 weights."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    cost = count_graph(model, torch.randn(3, 4), dynamic_shapes={"input": {0: "batch"}})
    svg = drawn(cost.plot(over="batch", value="macs"))
    assert len([each for each in svg.iter() if each.tag == f"{SVG}polygon"]) == 2
    strips = texts(svg, "strip")
    assert strips[0] == "batch=1: 48 MACs\n1 16\n0 32"
    assert all(f"{48 * int(each.split(':')[0][6:]):,} MACs" in each for each in strips)


def test_ticks_are_round() -> None:
    def text(number: float) -> str:
        return str(number)

    assert Axis("", 0, 95, text).ticks() == [0, 20, 40, 60, 80]
    assert Axis("", 3, 7, text).ticks() == [3, 4, 5, 6, 7]
    assert Axis("", 0, 3000, text, unit=1024).ticks() == [0, 1024, 2048]
    assert Axis("", 0.02, 2000, text, log=True).ticks() == [0.1, 1, 10, 100, 1000]
