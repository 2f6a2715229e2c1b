"""What holds of every backward pass: networks drawn by hypothesis, with any of their parameters frozen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fxcount import Cost, GraphCost, count_graph

WIDTH = 4


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layer(x).relu_()


LAYERS = (
    lambda: nn.Linear(WIDTH, WIDTH),
    lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    lambda: nn.LayerNorm(WIDTH),
    lambda: nn.BatchNorm1d(WIDTH),
    nn.GELU,
    Residual,
)

networks = st.lists(st.sampled_from(range(len(LAYERS))), min_size=1, max_size=5)
tracers = st.sampled_from(["symbolic", "recorded", "executed"])
choices = st.lists(st.booleans(), min_size=40, max_size=40)


def network(kinds: Sequence[int], trainable: Sequence[bool] = (True,) * 40) -> nn.Module:
    model = nn.Sequential(*(LAYERS[kind]() for kind in kinds))
    for parameter, trains in zip(model.parameters(), trainable, strict=False):
        parameter.requires_grad_(trains)
    return model


def count(model: nn.Module, tracer: str = "auto") -> tuple[GraphCost, Cost]:
    cost = count_graph(model, torch.zeros(3, WIDTH), backward=True, tracer=tracer)
    assert cost.backward is not None
    return cost, cost.backward


@given(networks, tracers)
@settings(max_examples=20, deadline=None)
def test_what_is_frozen_costs_nothing(kinds: list[int], tracer: str) -> None:
    assert count(network(kinds, [False] * 40), tracer)[1] == Cost()


@given(networks, choices, choices, tracers)
@settings(max_examples=30, deadline=None)
def test_more_to_train_never_costs_less(kinds: list[int], some: list[bool], others: list[bool], tracer: str) -> None:
    fewer = count(network(kinds, some), tracer)[1].to_dict()
    more = count(network(kinds, [a or b for a, b in zip(some, others, strict=True)]), tracer)[1].to_dict()
    assert all(more[field] >= fewer[field] for field in fewer), (fewer, more)


@given(networks, choices, tracers)
@settings(max_examples=30, deadline=None)
def test_sums_are_equal_and_the_forward_is_what_it_was(kinds: list[int], trainable: list[bool], tracer: str) -> None:
    model = network(kinds, trainable)
    cost, backward = count(model, tracer)
    alone = count_graph(model, torch.zeros(3, WIDTH), tracer=tracer)
    assert (cost.total, cost.params) == (alone.total, alone.params)
    assert [node.cost for node in cost.nodes] == [node.cost for node in alone.nodes]
    modules = cost.by_module()
    for parts in (
        [node.backward for node in cost.nodes],
        [operator.backward for operator in cost.by_operator().values()],
        [module.own_backward for module in modules.values()],
        [call.cost for node in cost.nodes for call in node.backward_operators or ()],
    ):
        assert sum((part or Cost() for part in parts), Cost()) == backward
    assert modules[""].backward == backward
    assert cost.trainable == sum(each.numel() for each in model.parameters() if each.requires_grad)
    assert sum(module.own_trainable for module in modules.values()) == cost.trainable


@given(networks, choices)
@settings(max_examples=20, deadline=None)
def test_tracers_agree_and_so_does_a_model_that_takes_it_itself(kinds: list[int], trainable: list[bool]) -> None:
    model = network(kinds, trainable)

    def taking(x: Tensor) -> None:
        out = model(x)
        if out.requires_grad:
            out.backward(torch.ones_like(out))

    inside = count_graph(taking, torch.zeros(3, WIDTH), tracer="recorded")
    ran = (call for node in inside.nodes for call in node.operators if call.phase == "backward")
    expected = sum((call.cost for call in ran), Cost())
    assert [count(model, tracer)[1] for tracer in ("symbolic", "recorded", "executed")] == [expected] * 3
