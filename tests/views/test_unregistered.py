"""Parameters that a model uses and does not register: every view counts them, and a line says so."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fxcount import GraphCost, count_graph
from tests.tracing.graphs import TRACERS
from tests.views.test_totals import check_exports, check_modules, check_tree
from tests.views.tower import Tower, rows_of

X = torch.randn(3, 4)


class Holder(nn.Module):
    """On [3, 4]: a registered layer of 4 * 2 + 2 parameters, after what nobody registers."""

    def __init__(self, hidden: object, use: Callable[[object, Tensor], Tensor]) -> None:
        super().__init__()
        self.head, self.hidden, self.use = nn.Linear(4, 2), (hidden,), use

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.use(self.hidden[0], x))


def layer() -> nn.Linear:
    return nn.Linear(4, 4)


def in_a_list() -> Holder:
    return Holder([layer(), layer()], lambda layers, x: layers[1](layers[0](x)))


def in_a_dict() -> Holder:
    return Holder({"a": nn.Sequential(layer(), nn.ReLU(), layer())}, lambda layers, x: layers["a"](x))


def in_a_closure() -> Holder:
    first, second = layer(), layer()
    return Holder(None, lambda _, x: second(first(x)))


def of_a_parent() -> Holder:
    """A parameter in a list, and one that only a function of torch is given."""
    extra = [nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(24))]
    return Holder(extra, lambda extra, x: x @ extra[0] + extra[1].sum())


def called_twice() -> Holder:
    inner = in_a_list()
    inner.head = nn.Linear(4, 4, bias=False)
    inner.hidden = ([layer(), nn.Identity()],)
    return Holder(inner, lambda inner, x: inner(x) + inner(x) + inner.hidden[0][0].bias)  # 16 and 20


HELD, EXTRA = 4 * 2 + 2, {in_a_list: 40, in_a_dict: 40, in_a_closure: 40, of_a_parent: 40, called_twice: 36}


def check(cost: GraphCost, held: int, extra: int) -> None:
    assert (cost.params, cost.unused_params) == (held + extra, 0)
    assert sum(node.params for node in cost.nodes) == sum(each.own_params for each in cost.by_module().values())
    check_modules(cost)
    check_tree(cost)
    check_exports(cost)
    restored = GraphCost.from_json(cost.to_json())
    assert (restored.unregistered, str(restored)) == (cost.unregistered, str(cost))
    for name in (*(node.name for node in cost.nodes), *cost.modules):
        assert cost.explain(name) == restored.explain(name)


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("make", EXTRA)
def test_they_are_counted_once_and_named(make: Callable[[], Holder], tracer: str) -> None:
    cost = count_graph(make(), X, tracer=tracer)
    check(cost, HELD, EXTRA[make])
    line = f"The model uses {EXTRA[make]} parameters that it does not register"
    assert all(line in cost.table(by) for by in ("node", "module", "operator"))


def test_their_layers_are_rows_and_explained() -> None:
    cost = count_graph(in_a_list(), X)
    assert [row[:4] for row in rows_of(cost.table("module"))] == [
        ["(model)", "Holder", "1", "50"],
        ["  linear_0-1 x2", "Linear", "2", "40"],
        ["  head", "Linear", "1", "10"],
    ]
    assert cost.unregistered == ("linear_0.weight", "linear_0.bias", "linear_1.weight", "linear_1.bias")
    assert "weight + bias = 16 + 4 = 20 parameters" in cost.explain("linear_1")


def test_a_weight_that_the_model_has_is_no_further_one() -> None:
    tied = nn.Linear(4, 4)
    model = Holder([tied], lambda layers, x: layers[0](x))
    model.own = nn.Linear(4, 4)
    tied.weight, tied.bias = model.own.weight, model.own.bias
    cost = count_graph(model, X)
    assert (cost.params, cost.unregistered) == (HELD + 20, ())
    assert cost.nodes[1].parameters == ("own.weight", "own.bias")


def test_a_long_line_names_some() -> None:
    cost = count_graph(Holder([layer() for _ in range(8)], lambda layers, x: nn.Sequential(*layers)(x)), X)
    assert "sequential_0.3, sequential_0.4 and 3 more." in cost.table()


def test_nothing_is_said_of_a_function_or_a_model_that_registers_all() -> None:
    first = layer()
    for cost in (count_graph(lambda x: first(x), X), count_graph(Tower(), torch.empty(2, 3))):
        assert cost.unregistered == ()
        assert "does not register" not in str(cost)


class Swaps(nn.Module):
    """Has another parameter in the place of its own for each call, as those who gather or average weights do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)
        self.others = [nn.Parameter(torch.ones(4, 4)) for _ in range(2)]

    def forward(self, x: Tensor) -> Tensor:
        for other in self.others:
            x = torch.func.functional_call(self.layer, {"weight": other}, (x,))
        return x


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_what_is_in_the_place_of_a_parameter_has_its_name(tracer: str) -> None:
    model = Swaps()
    cost = count_graph(model, X, tracer=tracer)
    assert [node.target for node in cost.nodes if node.op == "get_attr"] == ["layer.weight", "_parameter_0"]
    assert (cost.params, cost.unregistered) == (2 * 16, ("_parameter_0",))
    torch.testing.assert_close(cost.graph(X), model(X))
