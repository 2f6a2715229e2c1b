"""What a symbolic trace leaves with a model says what it is, in an ordinary error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fxcount import TracingError, count_graph
from tests.tracing.graphs import TRACERS

X = torch.randn(3, 4)


def kept_where_nobody_looks() -> Any:
    """A traced value that is left over: a generator keeps it."""

    def keeps() -> Any:
        kept = None
        while True:
            given = yield kept
            kept = given if given is not None else kept

    generator = keeps()
    next(generator)
    count_graph(lambda x: generator.send(x) + 1, X, tracer="symbolic")
    return next(generator)


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x + 1, torch.relu, bool, len, lambda x: x.shape[0] + 1, lambda x: x.requires_grad,
        lambda x: setattr(x, "note", 1), lambda x: isinstance(x, Tensor), lambda x: torch.cat([X, x]),
    ],
)  # fmt: skip
def test_a_value_that_is_left_over_says_so(use: Callable[[Any], Any]) -> None:
    with pytest.raises(TracingError, match="of a count that is over"):
        use(kept_where_nobody_looks())


@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
def test_a_count_that_meets_a_value_that_is_left_over(tracer: str) -> None:
    kept = kept_where_nobody_looks()
    with pytest.raises(TracingError, match="of a count that is over"):
        count_graph(lambda x: x + kept, X, tracer=tracer)
