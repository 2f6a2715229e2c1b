"""The record of an operator: its tensors, and which of them lie in the same memory, also in a call that repeats."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import nn

from fxcount import GraphCost, OperatorCost, TensorInfo, count_graph

TRACERS = ["symbolic", "recorded", "executed"]


class Net(nn.Module):
    """Views, writes in place, copies, a shared parameter, and calls that repeat."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.first(x)
        z = y.view(2, 2, 8)
        z.add_(1)
        left, right = y.chunk(2, dim=1)
        left, right = left.contiguous().relu(), right.contiguous().relu()
        product = torch.cat([left, right], dim=1) @ self.second.weight.t()
        return product + F.linear(product, self.second.weight), z.transpose(0, 1)


def storages(cost: GraphCost) -> dict[str, tuple[list[int], list[int]]]:
    """The storages of what the operators of each node take and return."""
    return {
        call.node: ([x.storage for x in call.operator.inputs], [x.storage for x in call.operator.outputs])
        for call in cost.operator_calls
    }


@pytest.mark.parametrize("tracer", TRACERS)
def test_views_and_what_is_written_in_place_lie_where_they_did(tracer: str) -> None:
    """Counted twice: every call of the second count repeats one of the first."""
    for _ in range(2):
        found = storages(count_graph(Net(), torch.randn(4, 8), tracer=tracer))
        (y,) = found["first"][1]
        assert found["view"] == ([y], [y])
        assert found["add_"] == ([y], [y])
        assert found["chunk"] == ([y], [y, y])
        assert found["transpose"] == ([y], [y])
        left, right = found["contiguous"][1], found["contiguous_1"][1]
        assert found["contiguous"][0] == found["contiguous_1"][0] == [y]
        assert found["relu"][0] == left
        assert found["relu_1"][0] == right
        assert found["cat"][0] == found["relu"][1] + found["relu_1"][1]
        (weight,) = found["t"][1]
        assert found["t"] == ([weight], [weight])
        assert found["matmul"][0] == [found["cat"][1][0], weight]
        assert found["linear"][0] == [found["matmul"][1][0], weight]
        made = [y, *left, *right, *found["relu"][1], *found["relu_1"][1], *found["cat"][1], weight, *found["add"][1]]
        assert len({*made, *found["first"][0]}) == len(made) + 3


@pytest.mark.parametrize("tracer", TRACERS)
def test_what_is_known_of_a_tensor(tracer: str) -> None:
    cost = count_graph(lambda x: x.t().half() + 1, torch.randn(2, 3), tracer=tracer)
    (transposed, cast, added) = (call.operator for call in cost.operator_calls)
    assert transposed.inputs == (TensorInfo((2, 3), torch.float32, (3, 1), transposed.inputs[0].storage),)
    assert transposed.outputs[0][:3] == ((3, 2), torch.float32, (1, 3))
    assert cast.outputs[0][:3] == ((3, 2), torch.float16, (1, 3))
    assert added.phase == "forward"
    assert [node.inputs for node in cost.nodes] == [(), ("x",), (cost.nodes[1].name,), (cost.nodes[2].name,), ("add",)]


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_a_backward_pass_says_so(tracer: str) -> None:
    def model(x: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad((x @ x).sum(), x)
        return gradient * 2

    cost = count_graph(model, torch.randn(3, 3, requires_grad=True), tracer=tracer)
    phases = {call.node: set() for call in cost.operator_calls}  # type: dict[str, set[str]]
    for call in cost.operator_calls:
        phases[call.node].add(call.operator.phase)
    assert phases["matmul"] == phases["mul"] == {"forward"}
    assert phases["grad"] == {"backward"}
    assert sum(call.operator.cost.macs for call in cost.operator_calls if call.operator.phase == "backward") == 54


def test_the_sums_of_the_records_are_those_of_the_nodes() -> None:
    cost = count_graph(Net(), torch.randn(4, 8))
    assert [call.operator.name for call in cost.operator_calls] == [
        operator.name for node in cost.nodes for operator in node.operators
    ]
    assert sum(call.operator.cost.macs for call in cost.operator_calls) == cost.macs == 3 * 4 * 8 * 8


def test_a_record_survives_json() -> None:
    cost = count_graph(Net(), torch.randn(4, 8))
    assert GraphCost.from_json(cost.to_json()).nodes == cost.nodes


def test_operators_that_no_call_of_a_function_shows() -> None:
    """Inside ``vmap`` the recorder sees operators alone."""
    cost = count_graph(torch.vmap(lambda row: row.view(2, 2) + 1), torch.randn(3, 4))
    *_, view, added = (call.operator for call in cost.operator_calls)
    assert view.inputs[0].storage == view.outputs[0].storage == added.inputs[0].storage != added.outputs[0].storage


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_what_runs_after_a_question_to_autograd(tracer: str) -> None:
    """Which runs the calls before it once more: their numbers are not those of what follows."""

    def model(x: torch.Tensor) -> torch.Tensor:
        y = F.linear(torch.cat([x, x, x]), torch.eye(4), torch.ones(4))
        assert y.requires_grad
        return torch.vmap(lambda row: row.view(2, 2) + 1)(y)

    cost = count_graph(model, torch.randn(3, 4, requires_grad=True), tracer=tracer)
    *_, linear, view, added = (call.operator for call in cost.operator_calls)
    assert linear.name == "aten.linear"
    assert linear.outputs[0].storage == view.inputs[0].storage == view.outputs[0].storage == added.inputs[0].storage
    assert added.outputs[0].storage != added.inputs[0].storage


@pytest.mark.parametrize("tracer", ["recorded", "executed"])
def test_the_numbers_of_a_backward_pass(tracer: str) -> None:
    """What the pass returns is what the next call is given."""

    def model(x: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad((x @ x).sum(), x)
        return gradient.t() * 2

    *_, transposed, doubled = count_graph(model, torch.randn(3, 3, requires_grad=True), tracer=tracer).operator_calls
    assert transposed.operator.inputs[0].storage == doubled.operator.inputs[0].storage
    assert doubled.operator.outputs[0].storage != doubled.operator.inputs[0].storage


def test_known_tensors_beside_unknown_ones() -> None:
    """The record of an operator that was found in another node is that of this one."""

    def model(x: torch.Tensor) -> torch.Tensor:
        places = torch.arange(2)
        return x[places] + F.embedding(places, x)

    for _ in range(2):
        found = storages(count_graph(model, torch.randn(4, 8), tracer="recorded"))
        assert {*found["getitem"][0]} == {*found["embedding"][0]}
        assert found["add"][0] == [*found["getitem"][1], *found["embedding"][1]]


STEPS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "transposed": lambda x: x.t(),
    "flat": lambda x: x.reshape(-1).unflatten(0, (4, 4)),
    "doubled": lambda x: x * 2,
    "in place": lambda x: x.mul_(2),
    "copied": lambda x: x.clone(),
    "contiguous": lambda x: x.contiguous(),
    "cast": lambda x: x.to(torch.float32),
    "dropout": lambda x: F.dropout(x, training=False),
    "rows": lambda x: torch.stack(x.unbind(0)),
    "chunk": lambda x: torch.cat([x.chunk(2, 1)[1], x.chunk(2, 1)[0]], 1),
    "expanded": lambda x: x[:1].expand(4, 4),
    "selected": lambda x: x[:, None].squeeze(1),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6))
def test_memory_is_shared_where_it_is_in_a_real_run(names: list[str]) -> None:
    """Two results have the same storage if and only if a real run gives them the same."""

    def model(x: torch.Tensor) -> list[torch.Tensor]:
        results = [x]
        for name in names:
            results.append(STEPS[name](results[-1]))
        return results

    try:
        addresses = [each.untyped_storage().data_ptr() for each in model(torch.randn(4, 4))]
    except RuntimeError:  # written to in more than one place
        return
    shared = [[a == b for a in addresses] for b in addresses]
    for tracer in ("auto", "recorded", "executed"):
        graph = count_graph(model, torch.randn(4, 4), tracer=tracer).graph
        *_, output = graph.graph.nodes
        memory = [each.untyped_storage() for each in output.meta["val"]]
        assert [[a._cdata == b._cdata for a in memory] for b in memory] == shared, tracer


def test_a_record_that_was_made_by_hand_has_no_tensors() -> None:
    made = OperatorCost("mine", count_graph(nn.Linear(2, 2), torch.randn(1, 2)).total)
    assert (made.inputs, made.outputs, made.phase) == ((), (), "forward")


@pytest.mark.parametrize("tracer", TRACERS)
def test_what_tools_of_fx_read(tracer: str) -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.Linear(3, 2))
    graph = count_graph(model, torch.randn(5, 4), tracer=tracer).graph
    stacks = {node.name: node.meta["nn_module_stack"] for node in graph.graph.nodes}
    linear = next(node for node in graph.graph.nodes if node.target == "0.0")
    assert stacks[linear.name] == {"0": ("0", "Sequential"), "0.0": ("0.0", "Linear")}
    assert linear.meta["val"].shape == linear.meta["tensor_meta"].shape == (5, 3)
    assert linear.meta["val"].is_meta
