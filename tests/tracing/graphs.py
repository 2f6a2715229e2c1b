"""The graph of a count, linted and run, for the tests of the tracers."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from fxcount import GraphCost, count_graph
from fxcount.tracing.example_call import ExampleCall

TRACERS = ("symbolic", "recorded", "executed")


def checked_count(model: Any, example: Any, kwargs: Mapping[str, Any] | None = None, **options: Any) -> GraphCost:
    """A count whose graph is well formed and, run on the example, gives the model's own output."""
    expected = output_of(copy.deepcopy(model), copy.deepcopy(example), copy.deepcopy(kwargs))
    cost = count_graph(model, example, kwargs, **options)
    assert cost.uncounted == {}
    assert_same(output_of_graph(cost, example, kwargs), expected)
    return cost


def output_of(model: Any, example: Any, kwargs: Mapping[str, Any] | None = None) -> Any:
    call = ExampleCall.of(example, kwargs)
    torch.manual_seed(0)
    with torch.no_grad():
        return model(*call.args, **call.kwargs)


def output_of_graph(cost: GraphCost, example: Any, kwargs: Mapping[str, Any] | None = None) -> Any:
    graph = cost.graph
    graph.graph.lint()
    inputs = ExampleCall.of(copy.deepcopy(example), copy.deepcopy(kwargs)).tensors()
    torch.manual_seed(0)
    with torch.no_grad():
        return graph(*inputs)


def assert_same(value: Any, expected: Any) -> None:
    """The same types all the way down, and tensors that are close: a graph may take another kernel."""
    assert type(value) is type(expected)
    if isinstance(expected, torch.Tensor):
        torch.testing.assert_close(value, expected)
    elif isinstance(expected, Mapping):
        assert list(value) == list(expected)
        for key in expected:
            assert_same(value[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(value) == len(expected)
        for one, other in zip(value, expected, strict=True):
            assert_same(one, other)
    elif dataclasses.is_dataclass(expected):
        assert_same(vars(value), vars(expected))
    else:
        assert value == expected
