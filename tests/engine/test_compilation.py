"""During a count nothing is compiled, and the compiler is not loaded for it; afterwards models compile as before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from fxcount import Cost, count_graph

X = torch.randn(2, 4)


def network() -> nn.Sequential:
    """Of [2, 4]: 2 x 4 x 3 macs, 6 sums with the bias, 6 comparisons."""
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU())


NETWORK = Cost(macs=24, add=6, cmp=6)


class Backend:
    """Notes how often something is compiled, and runs it as it is."""

    def __init__(self) -> None:
        self.compiled = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        self.compiled += 1
        return graph.forward


class CompilesItself(nn.Module):
    """Compiles a part of itself when it is first called."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.part = network()
        self.backend = backend

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.compile(self.part, backend=self.backend)(x)


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_a_compiled_model_is_compiled_after_a_count_and_not_during_it(tracer: str) -> None:
    torch._dynamo.reset()
    backend = Backend()
    model = torch.compile(network(), backend=backend, fullgraph=True)
    assert count_graph(model, X, tracer=tracer).total == NETWORK
    assert backend.compiled == 0
    model(X)
    assert backend.compiled == 1


def test_a_model_that_compiles_itself() -> None:
    torch._dynamo.reset()
    model = CompilesItself(backend := Backend())
    assert count_graph(model, X).total == NETWORK
    assert backend.compiled == 0
    model(X)
    assert backend.compiled == 1


def in_a_new_process(*lines: str) -> list[str]:
    """What a program prints that begins with these imports; nothing goes to standard error."""
    program = ["import sys, torch", "from torch import nn", "from fxcount import count_graph", *lines]
    command = [
        sys.executable,
        "-W",
        "ignore:Guards may run slower",
        "-c",
        "\n".join(program),
    ]  # torch, of Python 3.13.0
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


OF_TORCH_ALONE = {
    "a residual block": (
        "nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1))",
        "torch.randn(1, 4, 8, 8)",
    ),
    "a transformer": ("nn.TransformerEncoderLayer(8, 2)", "torch.randn(2, 1, 8)"),
    "a root mean square": ("lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)", "torch.randn(2, 8)"),
    "parts": ("lambda x: torch.cat([each.clamp(0, 1) for each in x.chunk(2, -1)])", "torch.randn(2, 8)"),
    "a loss": ("nn.CrossEntropyLoss()", "(torch.randn(3, 5), torch.zeros(3, dtype=torch.long))"),
}


def test_the_first_counts_load_no_compiler() -> None:
    models = ", ".join(f"{name!r}: ({model}, {x})" for name, (model, x) in OF_TORCH_ALONE.items())
    lines = [
        "finders = [*sys.meta_path]",
        f"for name, (model, x) in {{{models}}}.items():",
        "    totals = {count_graph(model, x, tracer=tracer).total for tracer in ('auto', 'recorded', 'executed')}",
        "    print(name, *totals)",
        "    print(name, 'torch._dynamo' in sys.modules, '_dynamo' in vars(torch), sys.meta_path == finders)",
    ]
    printed = in_a_new_process(*lines)
    assert printed[1::2] == [f"{name} False False True" for name in OF_TORCH_ALONE]
    assert all(total.count("Cost(") == 1 for total in printed[::2])
    assert in_a_new_process("import torch._dynamo", *lines)[::2] == printed[::2]


def test_what_asked_the_compiler_asks_again_after_a_count() -> None:
    lines = [
        "@torch._disable_dynamo",
        "def double(x):",
        "    return x * 2",
        "print(count_graph(double, torch.randn(3)).total, vars(double.__wrapped__), 'torch._dynamo' in sys.modules)",
        "double(torch.randn(3))",
        "print([*vars(double.__wrapped__)], 'torch._dynamo' in sys.modules)",
    ]
    assert in_a_new_process(*lines) == ["Cost(mul=3) {} False", "['__dynamo_disable'] True"]


def test_a_model_that_loads_the_compiler_during_the_first_count() -> None:
    lines = [
        "compiled = []",
        "def backend(graph, inputs):",
        "    compiled.append(graph)",
        "    return graph.forward",
        "class Model(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        "        self.part = nn.Linear(4, 3)",
        "    def forward(self, x):",
        "        return torch.compile(self.part, backend=backend)(x)",
        "model, finders = Model(), [*sys.meta_path]",
        "cost = count_graph(model, torch.randn(2, 4), tracer='recorded')",
        "print(cost.total, len(cost.nodes), len(compiled), sys.meta_path == finders, 'torch._dynamo' in sys.modules)",
        "model(torch.randn(2, 4))",
        "print(len(compiled))",
    ]
    assert in_a_new_process(*lines) == ["Cost(macs=24, add=6) 3 0 True True", "1"]


def test_a_count_that_fails_leaves_no_finder_behind() -> None:
    lines = [
        "finders = [*sys.meta_path]",
        "try:",
        "    count_graph(nn.Linear(4, 3), torch.randn(2, 5))",
        "except RuntimeError:",
        "    print(sys.meta_path == finders, 'torch._dynamo' in sys.modules)",
    ]
    assert in_a_new_process(*lines) == ["True False"]
