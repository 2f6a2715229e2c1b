"""What is measured in a process of its own: the first count, the import, and the command's help."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

NETWORKS = {
    "a convolution, a batch norm and a Hardtanh": (
        "nn.Sequential(nn.Conv2d(1, 32, (4, 10), (2, 8), bias=False), nn.BatchNorm2d(32), nn.Hardtanh(0, 4))",
        "torch.randn(1, 1, 130, 40)",
    ),
    "a transformer encoder": (
        "nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, batch_first=True), 6)",
        "torch.randn(1, 128, 64)",
    ),
    "an LSTM": ("nn.LSTM(64, 64, 2)", "torch.randn(16, 1, 64)"),
}
"""Networks of torch alone, and an input: with a library of models, a compiler that it loads would be there already."""

COUNTS = {
    "fxcount": ["from fxcount import count_graph", "count_graph(model, x)"],
    "FlopCounterMode": [
        "from torch.utils.flop_counter import FlopCounterMode",
        "with torch.no_grad(), FlopCounterMode(display=False):",
        "    model(x)",
    ],
}


def first_counts(rounds: int) -> dict[str, dict[str, float]]:
    """For each network and tool the seconds from the import of the tool, after torch and the model are there, to the
    end of the first count: the best of so many processes, which take turns."""
    times: dict[str, dict[str, list[float]]] = {name: {tool: [] for tool in COUNTS} for name in NETWORKS}
    for _ in range(rounds):
        for name, network in NETWORKS.items():
            for tool, count in COUNTS.items():
                times[name][tool].append(_first_count(*network, count))
    return {name: _best(by_tool) for name, by_tool in times.items()}


def _first_count(network: str, x: str, count: list[str]) -> float:
    lines = ["import time, torch", "from torch import nn", f"model, x = {network}.eval(), {x}"]
    return _seconds([*lines, "started = time.perf_counter()", *count])


def import_seconds(rounds: int) -> float:
    """What importing ``count_graph`` adds to importing torch: the best of ``rounds`` new processes."""
    return min(
        _seconds(["import time, torch", "started = time.perf_counter()", "from fxcount import count_graph"])
        for _ in range(rounds)
    )


def help_seconds(rounds: int) -> float:
    """What ``fxcount --help`` takes more than Python that does nothing, each the best of ``rounds`` processes."""
    times: dict[str, list[float]] = {"help": [], "nothing": []}
    for _ in range(rounds):
        for name, arguments in (("help", ["-m", "fxcount", "--help"]), ("nothing", ["-c", "pass"])):
            started = time.perf_counter()
            run_python(arguments)
            times[name].append(time.perf_counter() - started)
    best = _best(times)
    return best["help"] - best["nothing"]


def _seconds(lines: list[str]) -> float:
    """The seconds that a program takes from where it notes when it ``started``."""
    return float(run_python(["-c", "\n".join([*lines, "print(time.perf_counter() - started)"])]))


def _best(times: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: min(each) for name, each in times.items()}


def run_python(arguments: list[str]) -> str:
    """What a new process of Python prints. What is installed is compiled already; so is it here from the second on."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *arguments]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=root)
    return done.stdout
