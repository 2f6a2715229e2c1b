"""Which sizes are symbols: every way to say so, and what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from fxcount import GraphCost, count_graph
from fxcount.errors import InputError
from fxcount.sizes.expressions import read


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, pair: Any = None) -> Tensor:
        others = [] if pair is None else [*pair.values()] if isinstance(pair, dict) else pair
        return sum((each.exp().sum() for each in others), x.exp().sum())


X, Y = torch.ones(4, 6), torch.ones(4, 7)


def special(example: Any, shapes: Any) -> Any:
    """The cost of one exponential for each element."""
    return count_graph(TwoInputs(), example, dynamic_shapes=shapes).total.special


@pytest.mark.parametrize(
    "shapes",
    [
        {"x": {0: "b"}},
        {"x": {-2: "b"}},
        {"x": ("b", None)},
        {"x": ["b", 6]},
        ({0: "b"},),
        [("b", None)],
        {0: {0: "b"}},
        {"x": {0: Dim("b")}},
    ],
)
def test_one_axis(shapes: Any) -> None:
    assert special(X, shapes) == read("6*b")


def test_the_axes_of_the_only_argument() -> None:
    counted = count_graph(nn.Linear(6, 2), X, dynamic_shapes={0: "b"})
    assert counted.macs == read("12*b")


@pytest.mark.parametrize(
    ("pair", "shapes"),
    [
        ([X, Y], [{0: "b"}, {0: "b", 1: "n"}]),
        ((X, Y), ({0: "b"}, {0: "b", 1: "n"})),
        ({"one": X, "two": Y}, {"one": {0: "b"}, "two": {0: "b", 1: "n"}}),
    ],
)
def test_nested_as_the_argument_is(pair: Any, shapes: Any) -> None:
    assert special((X.clone(), pair), {"pair": shapes}) == read("b*n + 6*b + 24")


def test_the_axes_of_every_tensor_in_an_argument() -> None:
    assert special((X.clone(), [X, Y]), {"x": None, "pair": {0: "b"}}) == read("13*b + 24")


@dataclass
class Box:
    held: Tensor


def test_the_axes_of_what_an_object_holds() -> None:
    box = Box(torch.ones(4, 6))

    def boxed(x: Tensor, box: Box) -> Tensor:
        box.held = x + box.held
        return box.held

    counted = count_graph(boxed, (torch.ones(4, 6), box), dynamic_shapes={"x": {0: "b"}, "box": {0: "b"}})
    assert counted.total.add == read("6*b")
    assert box.held.shape == (4, 6)
    assert torch.equal(box.held, torch.ones(4, 6))


def test_a_size_that_is_derived_of_another() -> None:
    half = Dim("half")
    counted: GraphCost = count_graph(nn.Linear(6, 2), X, dynamic_shapes=({0: 2 * half},))
    assert counted.macs == read("24*half")
    assert counted.sizes == {"half": 2}
    assert counted.at(half=5).macs == 120


def test_bounds_are_conditions() -> None:
    counted = count_graph(nn.Linear(6, 2), X, dynamic_shapes=({0: Dim("b", min=2, max=8)},))
    assert [str(each) for each in counted.conditions] == ["b >= 2 (dynamic_shapes)", "b <= 8 (dynamic_shapes)"]
    assert counted.at(b=8).macs == 96
    for outside in (1, 9):
        with pytest.raises(InputError, match="do not hold at b"):
            counted.at(b=outside)


@pytest.mark.parametrize(
    "x",
    [
        torch.ones(6, 4).t(),
        torch.ones(4, 1).expand(4, 6),
        torch.ones(1, 4, 6).contiguous(),
        torch.ones(2, 3, 5, 7).to(memory_format=torch.channels_last),
    ],
)
def test_symbols_keep_the_layout(x: Tensor) -> None:
    def through(x: Tensor) -> Tensor:
        return x.reshape(-1) * 2

    axes = dict.fromkeys(range(x.dim() - 1, x.dim()), "n")
    counted = count_graph(through, x, dynamic_shapes=(axes,))
    assert counted.at(n=int(x.shape[-1])).traffic == count_graph(through, x).traffic


@pytest.mark.parametrize(
    ("example", "shapes", "message"),
    [
        (X, "b", "is a mapping of arguments to their axes"),
        (X, {"y": {0: "b"}}, "names 'y', and the arguments are x"),
        (X, ({0: "b"}, {0: "b"}), "for 2 arguments, and there are 1"),
        (X, {3: {0: "b"}}, "names positions 3, and there are 1"),
        (X, {"x": {2: "b"}}, "axis 2 of x, which has 2 axes"),
        (X, {"x": ("b",)}, "gives 1 sizes for x, which has 2 axes"),
        (X, {"x": {0: "b-"}}, "which is no name"),
        (X, {"x": {0: 3.0}}, "a name or a torch.export.Dim"),
        (X, {"x": {0: Dim.AUTO}}, "a name or a torch.export.Dim"),
        (X, {"x": {0: 5}}, "says that axis 0 of x is 5, and it is 4"),
        (X, {"x": None}, "names no size"),
        (X, {"x": {0: "b", 1: "b"}}, "b is 4 at axis 0 of x and 6 at axis 1 of x: one name is one size"),
        (X, {"x": {0: 3 * Dim("b")}}, "which is no 3\\*b"),
        (X, {"x": {0: Dim("b", min=5)}}, "a Dim says at least 5"),
        ((X, [X, Y]), {"pair": [{0: "b"}]}, "gives 1 shapes for pair, which holds 2 values"),
        ((X, {"one": X}), {"pair": {"two": {0: "b"}}}, "there is no such key"),
        ((X, 3), {"pair": {0: "b"}}, "for pair, which is a int"),
        (torch.ones(0, 6), {"x": {0: "b"}}, "is 0 in the example"),
        (X.to_sparse(), {"x": {0: "b"}}, "whose sizes cannot be symbols"),
    ],
)
def test_what_does_not_fit(example: Any, shapes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        count_graph(TwoInputs(), example, dynamic_shapes=shapes)
