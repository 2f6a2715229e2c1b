"""An example input as the arguments of one call."""

from __future__ import annotations

import collections
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from fxcount import Cost, InputError, count_graph
from fxcount.tracing.example_call import ExampleCall
from tests.tracing.graphs import TRACERS, checked_count

X, Y = torch.randn(2, 4), torch.randn(2, 4)
Pair = collections.namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("example", "kwargs", "args", "expected_kwargs"),
    [
        (X, None, (X,), {}),
        ((X, Y), None, (X, Y), {}),
        ([X, Y], None, ([X, Y],), {}),
        (Pair(X, Y), None, (Pair(X, Y),), {}),  # a named tuple is one argument, as models take them
        ((), None, (), {}),
        (None, None, (None,), {}),
        ({"x": X}, None, (), {"x": X}),
        ({"x": X}, {"y": Y}, (), {"x": X, "y": Y}),
        (X, {"y": Y}, (X,), {"y": Y}),
        (collections.UserDict(x=X), None, (), {"x": X}),
    ],
)
def test_arguments(example: Any, kwargs: Any, args: tuple[Any, ...], expected_kwargs: dict[str, Any]) -> None:
    call = ExampleCall.of(example, kwargs)
    assert len(call.args) == len(args)
    assert all(given is expected for given, expected in zip(call.args, args, strict=True) if isinstance(given, Tensor))
    assert call.kwargs.keys() == expected_kwargs.keys()
    assert all(call.kwargs[name] is expected_kwargs[name] for name in call.kwargs)


@pytest.mark.parametrize(
    ("example", "kwargs", "message"),
    [({1: X}, None, "not 1"), ({"x": X}, {"x": X}, "both example_input and example_kwargs: x"), (X, [Y], "not list")],
)
def test_what_is_no_call(example: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExampleCall.of(example, kwargs)


def test_tensors_in_order() -> None:
    call = ExampleCall.of((X, {"a": [Y, 3]}, None), {"k": (X, "text", Pair(Y, X))})
    assert [id(tensor) for tensor in call.tensors()] == [id(tensor) for tensor in (X, Y, X, Y, X)]


def placeholders(model: Any, example: Any, kwargs: Any = None, **options: Any) -> list[str]:
    cost = checked_count(model, example, kwargs, **options)
    return [node.target for node in cost.nodes if node.op == "placeholder"]


class Named(nn.Module):
    def forward(self, x: Tensor, *rest: Tensor, scale: Tensor | None = None, **others: Any) -> Tensor:
        total = sum(rest, x)
        return total if scale is None else total * scale


@pytest.mark.parametrize("tracer", TRACERS)
def test_inputs_are_called_as_the_model_calls_them(tracer: str) -> None:
    assert placeholders(Named(), (X, Y, X), {"scale": Y}, tracer=tracer) == ["x", "rest_1", "rest_2", "scale"]
    assert placeholders(Named(), {"x": X, "scale": Y, "unused": Y}, tracer=tracer) == ["x", "scale", "unused"]
    assert placeholders(torch.add, (X, Y), tracer=tracer) == ["input_0", "input_1"]


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize(
    "tree",
    [
        {"a_b": X, "a": {"b": Y}},
        {"no identifier!": X, "class": Y},
        {0: X, "0": Y},
        {"x": X, "nested": [(Y,), {"x": X}]},
        Pair(X, Pair(Y, None)),
        collections.OrderedDict(b=X, a=Y),
    ],
    ids=["joined", "no identifier", "numbers", "nested", "named tuple", "ordered"],
)
def test_nested_inputs_have_names_of_their_own(tree: Any, tracer: str) -> None:
    def forward(tree: Any, scale: float) -> Tensor:
        return sum(
            (leaf * scale for leaf in torch.utils._pytree.tree_leaves(tree) if leaf is not None), torch.zeros(2, 4)
        )

    leaves = sum(isinstance(leaf, Tensor) for leaf in torch.utils._pytree.tree_leaves(tree))
    cost = checked_count(forward, (tree, 2.0), tracer=tracer)
    assert cost.total == leaves * Cost(mul=8, add=8)
    names = [node.target for node in cost.nodes if node.op == "placeholder"]
    assert len(set(names)) == leaves
    assert all(name.isidentifier() for name in names)


def test_a_packed_sequence_as_input() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, packed: PackedSequence) -> Tensor:
            return self.layer(packed.data)

    packed = pack_padded_sequence(torch.randn(5, 2, 4), torch.tensor([5, 3]))
    for tracer in ("auto", "recorded", "executed"):
        assert checked_count(Last(), packed, tracer=tracer).total == Cost(macs=8 * 12, add=8 * 3)


def test_optional_and_other_arguments() -> None:
    def forward(x: Tensor, mask: Tensor | None = None, mode: str = "sum", factor: float = 2.0) -> Tensor:
        if mask is not None:
            x = x + mask
        return x * factor if mode == "scale" else x.sum()

    for tracer in TRACERS:
        assert count_graph(forward, X, tracer=tracer).total == Cost(add=7)
        assert count_graph(forward, (X, None, "scale"), tracer=tracer).total == Cost(mul=8)
        assert count_graph(forward, (X, Y), {"mode": "scale"}, tracer=tracer).total == Cost(add=8, mul=8)
        assert count_graph(forward, (X, None), {"factor": 1, "mode": "scale"}, tracer=tracer).total == Cost(mul=8)


def test_one_tensor_in_two_places() -> None:
    for tracer in TRACERS:
        assert checked_count(torch.add, (X, X), tracer=tracer).total == Cost(add=8)


@pytest.mark.parametrize("tracer", ["auto", "recorded", "executed"])
def test_a_generator_of_tensors(tracer: str) -> None:
    cost = count_graph(lambda parts: sum(part * 2 for part in parts), (part for part in (X, Y)), tracer=tracer)
    assert cost.total == Cost(mul=2 * 8, add=2 * 8)  # sum starts with 0 +


def test_no_arguments() -> None:
    weight = torch.randn(3, 4)
    for tracer in TRACERS:
        assert count_graph(lambda: weight.exp() @ weight.T, (), tracer=tracer).total == Cost(special=12, macs=36)


class Grid(nn.Module):
    """Takes numbers, and refuses some."""

    def forward(self, height: int, width: int) -> Tensor:
        if height > width:
            raise ValueError("too high")
        return torch.ones(height, width).exp()


SHAPES = [
    (2, 3, 8, 8),
    [2, 3, 8, 8],
    torch.Size([2, 3, 8, 8]),
    ((2, 3, 8, 8),),
    ([2, 3, 8, 8],),
    {"size": (2, 3, 8, 8)},
]
IMAGE_MODELS = {
    "module": lambda: nn.Conv2d(3, 4, 3),
    "container": lambda: nn.Sequential(nn.Conv2d(3, 4, 3)),
    "function": lambda: lambda x: x.mean((2, 3)),
    "script": lambda: torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3))),
    "program": lambda: torch.export.export(nn.Conv2d(3, 4, 3), (torch.randn(2, 3, 8, 8),)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
@pytest.mark.parametrize("model", IMAGE_MODELS)
def test_a_shape_is_no_input(model: str, tracer: str) -> None:
    for shape in SHAPES:
        with pytest.raises(InputError, match=r"write torch\.empty\(2, 3, 8, 8\), for") as caught:
            count_graph(IMAGE_MODELS[model](), shape, tracer=tracer)
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize("shapes", [((2, 4), (4,)), [(2, 4), (4,)], {"input": (2, 4), "other": [4]}])
def test_several_shapes_are_no_inputs(shapes: Any) -> None:
    with pytest.raises(InputError, match=r"write \(torch\.empty\(2, 4\), torch\.empty\(4\)\), for"):
        count_graph(torch.mul, shapes)


@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
def test_a_model_that_takes_numbers_is_given_them(tracer: str) -> None:
    assert count_graph(Grid(), (2, 3), tracer=tracer).total == Cost(special=6)
    assert count_graph(Grid(), {"height": 2, "width": 3}, tracer=tracer).total == Cost(special=6)
    assert count_graph(lambda sizes: torch.ones(sizes).exp(), [2, 3], tracer=tracer).total == Cost(special=6)
    with pytest.raises(ValueError, match="too high"):
        count_graph(Grid(), (3, 2), tracer=tracer)


def test_other_mistakes_are_the_models_to_name() -> None:
    for example in ((X, 3), (X, (2, 4)), ("text", 3), (1.5, 2.5), (True, False), ([2, "a"],), ()):
        with pytest.raises(TypeError) as caught:
            count_graph(nn.Linear(4, 3), example)
        assert not isinstance(caught.value, InputError)
