"""What was counted stands above a table, an explanation, a comparison and on a page."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fxcount
from fxcount import GraphCost, count_graph
from fxcount.views.head import head
from tests.tracing.graphs import TRACERS

VERSIONS = f"fxcount {fxcount.__version__}, torch {torch.__version__.partition('+')[0]}."


@pytest.mark.parametrize("tracer", TRACERS)
def test_model_mode_input_tracer_and_versions(tracer: str) -> None:
    cost = count_graph(nn.Linear(3, 4).eval(), torch.ones(2, 3, dtype=torch.float32), tracer=tracer)
    line = f"Linear, eval mode. Input: input [2, 3] float32. Tracer: {tracer}; {VERSIONS}"
    assert head(cost) == [line]
    for text in (cost.table(), cost.table("module"), str(cost), cost.explain("")):
        assert " ".join(text.split()).startswith(line)
    assert cost.compare(cost).startswith(f"This: {line}\nOther: {line}\n\nmodule")
    assert head(GraphCost.from_json(cost.to_json())) == [line]
    assert f"<p>{line}</p>" in cost.table(format="html")


def test_modes() -> None:
    both = nn.Sequential(nn.ReLU(), nn.ReLU().eval())
    assert head(count_graph(both, torch.ones(2)))[0].startswith("Sequential, train and eval mode. ")
    assert head(count_graph(torch.relu, torch.ones(2)))[0].startswith("relu. Input: ")


def test_many_inputs_of_several_dtypes() -> None:
    def total(a, b, c, d, e, f):  # type: ignore[no-untyped-def]
        return a + b + c + d + e + f

    given = [torch.ones((1,) * k, dtype=torch.int64 if k % 2 else torch.float64) for k in range(1, 7)]
    (line,) = head(count_graph(total, tuple(given)))
    assert "Input: a [1] int64, b [1, 1] float64, c [1, 1, 1] int64, d [1, 1, 1, 1] float64 and 2 more." in line


def test_sizes_that_are_symbols() -> None:
    cost = count_graph(nn.Linear(3, 4), torch.ones(2, 3), dynamic_shapes=({0: "batch"},))
    assert "Input: input [batch, 3] float32." in head(cost)[0]
    assert "Input: input [7, 3] float32." in head(cost.at(batch=7))[0]


def test_no_input() -> None:
    class Constant(nn.Module):
        def forward(self) -> torch.Tensor:
            return torch.ones(3) * 2

    assert "Constant, train mode. No input. Tracer: " in head(count_graph(Constant(), ()))[0]


def test_the_line_fits_the_width() -> None:
    text = count_graph(nn.Linear(3, 4), torch.ones(2, 3)).table("module", width=80)
    assert max(map(len, text.splitlines())) <= 80
