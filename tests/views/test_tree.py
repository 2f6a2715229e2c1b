"""The module tree: what folds, what joins, and that all of it adds up."""

import torch
from torch import fx, nn

from fxcount import CONVENTIONS, Cost, GraphCost, NodeCost, count_graph
from fxcount.result.module_cost import Submodule
from fxcount.views.folding import grow, lines
from fxcount.views.tree import module_tree
from tests.views import tower
from tests.views.tower import Block, rows_of, tower_cost


def test_rows() -> None:
    assert rows_of(tower_cost().table("module")) == [
        ["(model)", "Tower", "1", f"{tower.PARAMS}", f"{tower.MACS}", f"{tower.FLOPS}", "100.0%"],
        ["  embed", "Linear", "1", "12", "24", "24", "14.3%"],
        ["  layers.0-2 x3", "Block", "3", f"{3 * 24}", f"{3 * 32}", f"{3 * 40}", "71.4%"],
        ["    linear", "Linear", "3", f"{3 * 20}", f"{3 * 32}", f"{3 * 32}", "57.1%"],
        ["    (own)", f"{3 * 4}", "0", f"{3 * 8}", "14.3%"],
        ["  head", "Linear", "1", "12", "24", "24", "14.3%"],
        ["  unused", "Linear", "0", "25", "0", "0", "0.0%"],
    ]


def test_depth_keeps_what_lies_deeper_in_the_sums() -> None:
    shown = rows_of(tower_cost().table("module", depth=1))
    assert [row[0] for row in shown] == ["(model)", "  embed", "  layers.0-2 x3", "  head", "  unused"]
    assert [row[0] for row in rows_of(tower_cost().table("module", depth=0))] == ["(model)"]


def test_the_rest_of_the_largest_is_one_row() -> None:
    shown = rows_of(tower_cost().table("module", depth=1, top=1))
    assert shown[1] == ["  layers.0-2 x3", "Block", "3", "72", "96", "120", "71.4%"]
    # embed, head and unused: 12 + 12 + 25 parameters, 24 + 24 macs
    assert shown[2] == ["  (3 more)", "49", "48", "48", "28.6%"]


def test_sorted_siblings() -> None:
    shown = rows_of(tower_cost().table("module", depth=1, sort="params"))
    assert [row[0].strip() for row in shown] == ["(model)", "layers.0-2 x3", "unused", "embed", "head"]
    shown = rows_of(tower_cost().table("module", depth=1, sort="name"))
    assert [row[0].strip() for row in shown] == ["(model)", "embed", "head", "layers.0-2 x3", "unused"]


def test_what_a_module_does_itself_is_not_shown_where_it_is_zero() -> None:
    cost = tower_cost().under("macs")
    assert "(own)" in cost.table("module")  # the scales are parameters
    assert "(own)" not in cost.table("module", columns=["name", "macs", "flops"])


def labels(model: nn.Module, *shape: int) -> list[str]:
    return [line.branch.label for line in lines(module_tree(count_graph(model, torch.empty(shape))))]


def test_only_equal_neighbours_with_consecutive_numbers_fold() -> None:
    equal = nn.Sequential(*(nn.Linear(3, 3) for _ in range(4)))
    assert labels(equal, 2, 3) == ["(model)", "0-3  x4"]
    assert labels(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3, bias=False), nn.Linear(3, 3)), 2, 3)[1:] == [
        "0",
        "1",
        "2",
    ]
    assert labels(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 3)), 2, 3)[1:] == [
        "0",
        "1",
        "2-3  x2",
    ]
    # equal sums are not enough: what lies inside is equal, too
    first = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    second = nn.Sequential(nn.Tanh(), nn.Linear(3, 3))
    assert labels(nn.Sequential(first, second), 2, 3)[1:] == ["0", "0", "1", "1", "0", "1"]


def test_folds_inside_folds_are_multiplied() -> None:
    stage = [nn.Sequential(*(nn.Linear(3, 3, bias=False) for _ in range(4))) for _ in range(5)]
    tree = module_tree(count_graph(nn.Sequential(*stage), torch.empty(2, 3)))
    counted = [(line.branch.label, line.times, line.branch.value.counts.cost * line.times) for line in lines(tree)]
    whole = Cost(macs=20 * 2 * 3 * 3)
    assert counted == [("(model)", 1, whole), ("0-4  x5", 5, whole), ("0-3  x4", 20, whole)]


def test_a_module_that_is_called_twice_counts_twice_and_holds_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.block(self.block(x))

    for tracer in ("symbolic", "recorded"):
        modules = count_graph(Twice(), torch.empty(2, 4), tracer=tracer).by_module()
        assert {path: module.calls for path, module in modules.items()} == {"": 1, "block": 2, "block.linear": 2}
        assert modules["block"].cost == Cost(macs=2 * 32, mul=2 * 8, add=2 * 8)
        assert (modules["block"].params, modules["block"].own_params) == (24, 4)


def test_a_shared_parameter_is_held_where_the_model_names_it_first() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(7, 4)
            self.head = nn.Linear(4, 7)
            self.head.weight = self.embed.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.embed(x))

    cost = count_graph(Tied(), torch.zeros(2, dtype=torch.long))
    modules = cost.by_module()
    assert cost.params == 7 * 4 + 7
    assert {path: module.params for path, module in modules.items()} == {"": 35, "embed": 28, "head": 7}
    assert cost.parameters == {"embed.weight": (7, 4), "head.bias": (7,)}
    assert cost.shared == {"head.weight": "embed.weight"}


def test_a_parameter_that_another_module_uses_stays_with_its_holder() -> None:
    class Outside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.held = nn.Linear(4, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.held.weight.t()

    modules = count_graph(Outside(), torch.empty(2, 4)).by_module()
    assert (modules["held"].params, modules["held"].cost, modules["held"].calls) == (4 * 5 + 5, Cost(), 0)
    assert (modules[""].own_params, modules[""].own_cost) == (0, Cost(macs=2 * 5 * 4))


def test_modules_that_lie_inside_themselves_or_in_two_places() -> None:
    class Knot(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.MultiheadAttention(8, 2)
            self.second = nn.MultiheadAttention(8, 2)
            self.second.out_proj = self.first.out_proj
            self.block = nn.Sequential(nn.Linear(8, 8))
            self.block.add_module("1", self.block[0])
            self.block[0].owner = self

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.second(x, x, x)[0]
            return self.block(self.first(x, x, x)[0])

    cost = count_graph(Knot(), torch.empty(3, 1, 8))
    held = {path: module.own_params for path, module in cost.by_module().items() if module.own_params}
    assert held == {"first": 4 * 72, "second": 3 * 72, "block.0": 72}
    assert cost.params == sum(held.values())
    assert sum(node.params for node in cost.nodes) == cost.params
    assert all(cost.shared.get(name, name) in cost.parameters for node in cost.nodes for name in node.parameters)


def test_the_parameters_inside_a_leaf_are_the_leafs() -> None:
    attention = nn.MultiheadAttention(8, 2)
    modules = count_graph(lambda x: attention(x, x, x)[0], torch.empty(3, 1, 8)).by_module()
    # three projections with biases in one weight, one more with bias outwards
    assert [module.own_params for path, module in modules.items() if path] == [3 * (64 + 8) + 64 + 8]


def test_a_function_has_a_tree_of_one_row() -> None:
    assert rows_of(count_graph(torch.matmul, (torch.empty(2, 3), torch.empty(3, 4))).table("module"))[0][:3] == [
        "(model)",
        "0",
        "24",
    ]


def test_depth_without_recursion() -> None:
    path, values = "", {"": 1}
    for _ in range(3000):
        path = f"{path}.x" if path else "x"
        values[path] = 1
    assert max(line.level for line in lines(grow(values, lambda value: False))) == 3000


def test_a_hundred_thousand_nodes() -> None:
    """In modules five deep, of which no two are equal; a sum over the nodes for each module would take hours."""
    count, convention = 100_000, CONVENTIONS["macs"]
    paths = [[*f"{number:05}"] for number in range(count)]
    modules = {".".join(names[:depth]): Submodule("Layer", 1) for names in paths for depth in range(6)}
    nodes = tuple(
        NodeCost(f"n{k}", "call_module", ".".join(names), "", ((k,),), ((k,),), 0, (), (), Cost(macs=k), convention)
        for k, names in enumerate(paths)
    )
    cost = GraphCost(nodes, {}, {}, modules, "symbolic", convention, lambda: fx.GraphModule({}, fx.Graph()))
    assert cost.macs == cost.by_module()[""].cost.macs == sum(range(count))
    assert cost.by_module(1)["2"].cost.macs == sum(range(20_000, 30_000))
    assert f"{sum(range(20_000, 30_000)):,}" in str(cost)
