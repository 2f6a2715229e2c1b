"""What `count_graph` takes, returns and refuses."""

import operator
from collections.abc import Mapping

import pytest
import torch
from torch import fx, nn

import fxcount
from fxcount import Cost, count_graph


class Residual(nn.Module):
    """A block whose own forward adds, and a shared layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.block = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(x)) + self.block(x)


def test_totals_and_groupings() -> None:
    cost = count_graph(Residual(), torch.randn(3, 4))
    assert cost.total == Cost(macs=3 * (16 + 16 + 32 + 32), add=3 * (4 + 4 + 8 + 4) + 3 * 4, cmp=3 * 8)
    assert cost.params == (16 + 4) + (32 + 8) + (32 + 4)
    assert cost.flops == cost.macs == cost.total.macs == 288
    by_module = cost.by_module()
    assert list(by_module) == ["", "layer", "block", "block.0", "block.1", "block.2"]
    assert by_module[""].cost == cost.total
    assert by_module["layer"].cost == Cost(macs=2 * 48, add=2 * 12)
    assert by_module["block"].cost == Cost(macs=3 * 64, add=3 * 12, cmp=3 * 8)
    assert by_module["block"].kind == "Sequential"
    assert {path: module.params for path, module in by_module.items()} == {
        "": 96, "layer": 20, "block": 76, "block.0": 40, "block.1": 0, "block.2": 36,
    }  # fmt: skip
    assert list(cost.by_module(depth=1)) == ["", "layer", "block"]
    assert list(cost.by_module(depth=0)) == [""]
    by_operator = cost.by_operator()
    assert {name: total.calls for name, total in by_operator.items()} == {
        "aten.linear": 4,
        "aten.relu": 1,
        "aten.add": 1,
    }
    assert sum((total.cost for total in by_operator.values()), Cost()) == cost.total


def test_nodes() -> None:
    nodes = {node.name: node for node in count_graph(Residual(), torch.randn(3, 4)).nodes}
    add = nodes["add"]
    assert (add.op, add.target, add.module) == ("call_function", "add", "")
    assert (add.input_shapes, add.output_shapes) == (((3, 4), (3, 4)), ((3, 4),))
    assert [(call.name, call.cost) for call in add.operators] == [("aten.add", Cost(add=12))]
    assert (nodes["layer"].params, nodes["layer_1"].params) == (20, 0)
    assert (nodes["block_0"].op, nodes["block_0"].target, nodes["block_0"].module) == (
        "call_module",
        "block.0",
        "block",
    )


def test_under_another_convention() -> None:
    cost = count_graph(Residual(), torch.randn(3, 4), convention="torch")
    assert cost.flops == 2 * cost.macs
    other = cost.under("arithmetic")
    assert other.flops == 2 * 288 + (60 + 12)
    assert other.nodes[1].flops == other.nodes[1].cost.under("arithmetic")
    assert cost.convention.name == "torch"


def test_the_graph_carries_costs_and_runs() -> None:
    model, x = Residual(), torch.randn(3, 4)
    graph = count_graph(model, x).graph
    assert isinstance(graph, fx.GraphModule)
    graph.graph.lint()
    torch.testing.assert_close(graph(x), model(x))
    add = next(node for node in graph.graph.nodes if node.target is operator.add)
    assert add.meta["tensor_meta"].shape == (3, 4)
    assert add.meta["cost"] == Cost(add=12)


class Arguments(nn.Module):
    def forward(self, x: torch.Tensor, pair: list[torch.Tensor], *, scale: float = 1.0, mask: object = None) -> object:
        y = x * scale if scale != 1.0 else x
        if mask is not None:
            y = y + mask
        return {"sum": y + pair[0] @ pair[1]}


class Encoding(Mapping[str, object]):
    """A mapping that is no dict, as tokenizers return."""

    def __init__(self, **items: object) -> None:
        self.items_ = items

    def __getitem__(self, key: str) -> object:
        return self.items_[key]

    def __iter__(self) -> object:
        return iter(self.items_)

    def __len__(self) -> int:
        return len(self.items_)


X, PAIR = torch.randn(2, 2), [torch.randn(2, 3), torch.randn(3, 2)]


@pytest.mark.parametrize(
    ("example", "kwargs", "expected"),
    [
        ((X, PAIR), None, Cost(macs=12, add=4)),
        ((X, PAIR), {"scale": 2.0}, Cost(macs=12, add=4, mul=4)),
        ((X, PAIR), {"mask": X}, Cost(macs=12, add=8)),
        ({"x": X, "pair": PAIR, "scale": 2.0, "mask": X}, None, Cost(macs=12, add=8, mul=4)),
        (Encoding(x=X, pair=PAIR), {"scale": 3.0}, Cost(macs=12, add=4, mul=4)),
    ],
)
def test_arguments(example: object, kwargs: dict[str, object] | None, expected: Cost) -> None:
    assert count_graph(Arguments(), example, kwargs).total == expected


def test_any_callable() -> None:
    layer = nn.Linear(4, 3)
    for function in (layer, lambda x: layer(x), layer.forward, torch.compiler.disable(layer.forward)):
        cost = count_graph(function, torch.randn(2, 4))
        assert cost.total == Cost(macs=24, add=6)
        assert cost.params == 15
    assert count_graph(torch.relu, torch.randn(5)).total == Cost(cmp=5)
    assert count_graph(fx.symbolic_trace(layer), torch.randn(2, 4)).total == Cost(macs=24, add=6)


def test_meta_and_data_count_the_same() -> None:
    with torch.device("meta"):
        model = Residual()
    for x in (torch.empty(3, 4), torch.empty(3, 4, device="meta")):
        assert count_graph(model, x).total == count_graph(Residual(), x).total


def unknown() -> torch._ops.OpOverloadPacket:
    if not hasattr(torch.ops.fxcount_test, "unknown"):
        torch.library.define("fxcount_test::unknown", "(Tensor x) -> Tensor")
        torch.library.impl("fxcount_test::unknown", "Meta", lambda x: torch.empty_like(x))
    return torch.ops.fxcount_test.unknown


def test_an_unknown_operator_is_named() -> None:
    function = unknown()
    cost = count_graph(lambda x: function(function(x)) + 1, torch.randn(4))
    assert cost.uncounted == {"fxcount_test.unknown": 2}
    assert cost.total == Cost(add=4)
    assert "Not counted: fxcount_test.unknown (2 calls)." in str(cost)
    with pytest.raises(fxcount.UncountedError, match=r"fxcount_test\.unknown \(2 calls\)"):
        count_graph(lambda x: function(function(x)) + 1, torch.randn(4), strict=True)


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((nn.Linear(4, 3), X), {"convention": "flops"}, fxcount.ConventionError),
        ((nn.Linear(4, 3), X), {"tracer": "dynamo"}, fxcount.InputError),
        ((3, X), {}, fxcount.InputError),
        ((Arguments(), {"x": X, "pair": PAIR}, {"x": X}), {}, fxcount.InputError),
        ((Arguments(), {1: X}), {}, fxcount.InputError),
        ((Arguments(), X, [PAIR]), {}, fxcount.InputError),
    ],
)
def test_bad_arguments(arguments: tuple[object, ...], options: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        count_graph(*arguments, **options)
    assert isinstance(raised.value, fxcount.FxcountError)


def test_the_models_own_error_says_where(capfd: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    with pytest.raises(RuntimeError, match=r"cannot be multiplied|size mismatch|must have") as raised:
        count_graph(model, torch.randn(2, 4))
    [note] = raised.value.__notes__
    assert note.startswith("at call_module 1.1 on ")
    assert " [2, 3], called in 1, " in note
    assert __file__ in note
    with pytest.raises(TypeError, match="missing 1 required"):
        count_graph(model, ())
    assert capfd.readouterr() == ("", "")


def test_the_shapes_of_many_parts_are_kept_once() -> None:
    cost = count_graph(lambda x: sum(x.unbind()), torch.rand(3, 2), tracer="recorded")
    items = [node for node in cost.nodes if node.target == "getitem"]
    assert [item.input_shapes for item in items] == [((2,), (2,), (2,))] * 3
    assert len({id(item.input_shapes) for item in items}) == 1  # or memory would grow as the square of the parts
