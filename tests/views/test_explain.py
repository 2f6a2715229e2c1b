"""Explanations, against the worked example and numbers put in by hand."""

import pytest
import torch
from torch import nn

from fxcount import Cost, FxcountError, GraphCost, count_graph
from fxcount.cli.worked_example import worked_example, worked_example_input
from tests.views.tower import body, mystery, tower_cost


@pytest.fixture(scope="module")
def example() -> GraphCost:
    return count_graph(worked_example(), worked_example_input())


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n")]


def test_the_convolution_of_the_worked_example(example: GraphCost) -> None:
    text = example.explain("_0")
    assert text == example.explain("0")  # the node is the one call of the module
    for line in (
        "_0: module 0, Conv2d",
        "input: [1, 1, 130, 40] = 5,200 elements",
        "output: [1, 32, 64, 4] = 8,192 elements",
        "macs = outputs * taps = 8,192 * 40 = 327,680 multiply-accumulates",
        "add = biases = 0 additions",
        "0.weight [32, 1, 4, 10]: 32 * 1 * 4 * 10 = 1,280",
        "multiplications: macs + mul = 327,680 + 0 = 327,680",
        "macs: macs = 327,680",
        "torch: 2 macs = 2 * 327,680 = 655,360",
        "arithmetic: 2 macs + mul + add + div + special = 2 * 327,680 + 0 + 0 + 0 + 0 = 655,360",
    ):
        assert line in lines(text)


def test_the_norm_of_the_worked_example(example: GraphCost) -> None:
    text = lines(example.explain("1"))
    assert "mul = elements + scaled = 8,192 + 8,192 = 16,384 multiplications" in text
    assert text[text.index("add = elements + 2 * measured - statistics + given + shifted") + 1 :][:2] == [
        "= 8,192 + 2 * 8,192 - 32 + 0 + 8,192",
        "= 32,736 additions",
    ]
    assert "weight + bias = 32 + 32 = 64 parameters" in text
    assert "on integers or booleans, where only contractions count: nothing" in text  # the count of batches


def test_the_model(example: GraphCost) -> None:
    text = lines(body(example.explain("")))
    assert text[0] == "the model: Sequential, 1 call, 5 nodes"
    assert "multiplications: macs + mul = 327,680 + 16,384 = 344,064" in text
    assert any(line.split()[:3] == ["1", "BatchNorm2d", "1"] for line in text)


def test_a_module_with_work_of_its_own() -> None:
    text = lines(body(tower_cost().explain("layers.1")))
    assert text[0] == "layers.1: Block, 1 call, 3 nodes"
    assert "input: [2, 4] = 8 elements" in text
    assert ["linear", "Linear", "1", "20", "32", "32", "19.0%"] in [line.split() for line in text]
    assert "mul = outputs = 8 multiplications" in text
    assert "layers.1.scale [4]: 4" in text
    assert "macs = outputs * contracted = 8 * 4 = 32 multiply-accumulates" not in text  # that is the layer's own


def test_a_convention_of_ones_own_is_read_first(example: GraphCost) -> None:
    text = lines(example.under({"macs": 2, "cmp": 3}).explain("2"))
    assert "FLOPs, here custom" in text
    assert "custom: 2 macs + 3 cmp = 2 * 0 + 3 * 16,384 = 49,152" in text
    assert "multiplications: macs + mul = 0 + 0 = 0" in text


class Shared(nn.Module):
    """One layer called twice, and another one with the same weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4, bias=False)
        self.b.weight = self.a.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(self.a(x))) * torch.ones(4, dtype=torch.complex64)


def test_a_name_that_is_a_call_and_a_module_explains_both() -> None:
    cost = count_graph(Shared(), torch.empty(2, 4))
    first, module = body(cost.explain("a")).split("\n\na: ")
    assert first.startswith("a: module a, Linear, one of 2 calls")
    assert module.startswith("Linear, 2 calls, 2 nodes")
    assert "aten.linear, 2 equal calls, each:" in module
    assert "multiplications: macs + mul = 64 + 0 = 64" in module
    assert body(cost.explain("a_1")).startswith("a_1: module a, Linear, one of 2 calls")


def test_shared_parameters_say_where_they_count() -> None:
    text = lines(count_graph(Shared(), torch.empty(2, 4)).explain("b"))
    assert "b.weight [4, 4]: 4 * 4 = 16, shared: it is a.weight" in text
    assert "counted here: 0; a parameter counts once, where it is met first" in text


def test_a_complex_number_times_a_real_one() -> None:
    text = lines(count_graph(Shared(), torch.empty(2, 4)).explain("mul"))
    assert "mul = outputs * multiplications = 8 * 2 = 16 multiplications" in text
    assert "Of two complex numbers 4 multiplications and 2 additions, of a complex and a real one 2" in text


def test_complex_numbers() -> None:
    text = lines(count_graph(lambda z: z.square(), torch.empty(2, 4, dtype=torch.complex64)).explain("square"))
    assert "mul = outputs = 8 multiplications" in text
    assert text[text.index("mul = outputs = 8 multiplications") + 2 :][:2] == [
        "in complex numbers, of which a multiplication is 4 mul and 2 add, an addition 2 add, a MAC 4 macs:",
        "32 multiplications, 16 additions",
    ]


def test_formulas_of_ones_own_and_free_operators() -> None:
    class Router(nn.Linear):
        pass

    model = nn.Sequential(Router(4, 3), nn.Flatten())
    cost = count_graph(model, torch.empty(2, 4), formulas={Router: lambda module, x: Cost(macs=5, cmp=1)})
    assert "5 multiply-accumulates, 1 comparison" in lines(cost.explain("0"))
    assert "free: it does no arithmetic on floating-point numbers" in lines(cost.explain("1"))


def test_uncounted_operators_say_why() -> None:
    cost = count_graph(mystery, torch.empty(3))
    assert "not counted: no formula is known" in lines(cost.explain(cost.nodes[1].name))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("layers.1.linaer", "'layers.1.linaer'; did you mean layers.1.linear"),
        ("haed", "did you mean head"),
        ("zzzzzz", "cost.nodes and cost.modules hold the names"),
    ],
)
def test_an_unknown_name_finds_close_ones(name: str, message: str) -> None:
    with pytest.raises(FxcountError, match=message):
        tower_cost().explain(name)


def test_every_node_and_module_can_be_explained_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fxcount.views.explain.terminal_width", lambda: 80)
    cost = count_graph(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), torch.empty(1, 3, 8)
    )
    for name in (*(node.name for node in cost.nodes), *cost.modules):
        assert max(map(len, cost.explain(name).split("\n"))) <= 80
