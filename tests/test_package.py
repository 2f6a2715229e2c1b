"""What must hold of the package as a whole: how it is imported, in threads, and pickled."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest
import torch
from torch import nn

import fxcount
from fxcount import Cost, count_graph
from tests.test_architecture import MODULES

HEAVY = ("numpy", "pandas", "torchvision", "torch._dynamo")


def newly_loaded(statement: str) -> set[str]:
    """Those of the heavy packages that a statement loads, and `torch` alone does not."""
    lines = ["import sys, torch", "before = set(sys.modules)", statement, "print(*set(sys.modules) - before)"]
    run = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return set(run.stdout.split()) & set(HEAVY)


def test_importing_loads_nothing_heavy() -> None:
    assert newly_loaded("import fxcount") == set()


def test_what_is_heavy_would_be_seen() -> None:
    some = {"pandas", "torchvision", "torch._dynamo"}
    assert newly_loaded(f"import {', '.join(some)}") >= some


def forget_the_package() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "fxcount"]:
        del sys.modules[name]


def imports_alone(module: str) -> str:
    """What goes wrong when a module is the first of the package to be imported; "" if nothing."""
    forget_the_package()
    try:
        import_module(module)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_every_module_can_be_imported_alone() -> None:
    names = [name for name in MODULES if not name.endswith("__main__")]  # which run when they are imported
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # where no test has the package at hand
        assert dict(zip(names, pool.map(imports_alone, names), strict=True)) == dict.fromkeys(names, "")
        assert "no_such_module" in pool.apply(imports_alone, ["fxcount.no_such_module"])


def test_threads_count_at_once() -> None:
    def macs(width: int) -> int:
        model = nn.Sequential(*[nn.Linear(width, width) for _ in range(20)])
        return count_graph(model, torch.empty(3, width)).macs

    widths = [4, 8, 16, 32] * 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(macs, widths)) == [20 * 3 * width**2 for width in widths]


@pytest.mark.parametrize("tracer", ["symbolic", "recorded", "executed"])
def test_a_count_can_be_pickled(tracer: str) -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    x = torch.randn(2, 4)
    cost = pickle.loads(pickle.dumps(count_graph(model, x, tracer=tracer)))
    assert cost.total == Cost(macs=24, add=6, cmp=6)
    assert cost.by_module()["0"].params == 15
    assert str(cost) == str(count_graph(model, x, tracer=tracer))
    torch.testing.assert_close(cost.graph(x), model(x))


def test_the_public_names_are_all_there() -> None:
    assert all(hasattr(fxcount, name) for name in fxcount.__all__)


@pytest.mark.parametrize(("shapes", "loads"), [("None", False), ("({0: 'b'},)", True)])
def test_sympy_is_loaded_for_symbolic_sizes_alone(shapes: str, loads: bool) -> None:
    count = f"fxcount.count_graph(torch.nn.Linear(2, 2), torch.ones(3, 2), dynamic_shapes={shapes})"
    lines = ["import sys, torch, fxcount", f"print({count})", "print('sympy' in sys.modules)"]
    run = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == str(loads)
