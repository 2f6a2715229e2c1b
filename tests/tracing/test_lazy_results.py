"""What a model returns and has not computed yet, such as a generator, is computed while it is traced."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from fxcount import TracingError, count_graph
from tests.tracing.graphs import TRACERS

X = torch.randn(3, 4)

LAYER = nn.Linear(4, 4)


def generated(xs: Any) -> Iterator[Tensor]:
    for x in xs:
        yield LAYER(x)


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass
class Output:
    results: Any


LAZY: dict[str, Callable[[Tensor], Any]] = {
    "a generator": lambda x: generated([x, x]),
    "an expression": lambda x: (LAYER(x) for _ in range(2)),
    "a map": lambda x: map(LAYER, (x, x)),
    "a filter": lambda x: filter(lambda each: True, generated([x, x])),
    "a zip": lambda x: zip(generated([x]), map(LAYER, [x]), strict=True),
    "a chain": lambda x: itertools.chain(generated([x]), generated([x])),
    "in a tuple": lambda x: (x, generated([x, x])),
    "in a dict": lambda x: {"results": [generated([x, x])]},
    "in a named tuple": lambda x: Pair(generated([x]), generated([x])),
    "in a dataclass": lambda x: Output(generated([x, x])),
    "in a generator": lambda x: (generated([each]) for each in (x, x)),
}


@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
@pytest.mark.parametrize("name", LAZY)
def test_a_result_that_is_not_computed_yet_is_computed_and_counted(name: str, tracer: str) -> None:
    cost = count_graph(LAZY[name], X, tracer=tracer)
    assert cost.macs == 2 * 3 * 4 * 4


@pytest.mark.parametrize("tracer", TRACERS)
def test_the_graph_returns_a_list_in_its_place(tracer: str) -> None:
    graph = count_graph(lambda x: {"a": generated([x, 2 * x]), "b": x}, X, tracer=tracer).graph
    result = graph(X)
    assert list(result) == ["a", "b"]
    assert type(result["a"]) is list
    torch.testing.assert_close(result["a"], [LAYER(X), LAYER(2 * X)])


@pytest.mark.parametrize("tracer", TRACERS)
def test_an_error_in_a_result_is_the_models(tracer: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        count_graph(lambda x: map(torch.mm, [x], [x]), X, tracer=tracer)
    assert not any("fault of fxcount" in note for note in caught.value.__notes__)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracer", TRACERS)
def test_a_coroutine_is_refused(tracer: str) -> None:
    async def model(x: Tensor) -> Tensor:
        return LAYER(x)

    with pytest.raises(TracingError, match="coroutine"):
        count_graph(model, X, tracer=tracer)
