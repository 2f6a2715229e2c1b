"""One process per tool, which take turns: what slows the machine down for a moment slows all of them."""

from __future__ import annotations

import gc
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

from tests.benchmarks.models import MODELS
from tests.benchmarks.tools import TOOLS


class ToolProcess:
    """A process that has one tool, and one model at a time."""

    def __init__(self, tool: str) -> None:
        context = get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(tool, other), daemon=True)
        self._process.start()
        other.close()

    def build(self, model: str) -> float | str:
        """Builds a model and counts it once; returns the seconds that this count took, or why it fails."""
        return self._ask(model)

    def run(self) -> float | str:
        """The seconds that one more count of the model takes, or why it fails."""
        return self._ask(None)

    def close(self) -> None:
        self._process.terminate()
        self._process.join()

    def _ask(self, model: str | None) -> float | str:
        try:
            self._connection.send(model)
            return self._connection.recv()
        except (EOFError, OSError):
            return "the process died"


def _serve(tool_name: str, connection: Connection) -> None:
    """Answers with a time or an error each time it is told a model to build, or None: the same one again."""
    warnings.filterwarnings("ignore")
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process
    tool = TOOLS[tool_name]
    model = x = None
    while True:
        name = connection.recv()
        try:
            if name is not None:
                model = x = None  # lets go of the one before
                model, x = MODELS[name](tool.device)
            connection.send(timed(partial(tool.count, model, x)))
        except Exception as error:
            connection.send(f"{type(error).__name__}: {error}".split("\n")[0])


def timed(run: Callable[[], object]) -> float:
    """The seconds that one call takes, its result thrown away after the clock has stopped."""
    gc.collect()
    started = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - started
    del result
    return seconds


def measure(models: list[str], tools: list[str], rounds: int) -> Iterator[tuple[str, str, float | str]]:
    """For each model and tool the best of ``rounds`` times, or why it fails; tools take turns within each round."""
    processes = {tool: ToolProcess(tool) for tool in tools}
    try:
        for model in models:
            warm = {tool: process.build(model) for tool, process in processes.items()}
            failures = {tool: answer for tool, answer in warm.items() if isinstance(answer, str)}
            times: dict[str, list[float]] = {tool: [] for tool in tools}
            for _ in range(rounds):
                for tool in tools:
                    if tool in failures:
                        continue
                    answer = processes[tool].run()
                    if isinstance(answer, str):
                        failures[tool] = answer
                    else:
                        times[tool].append(answer)
            for tool in tools:
                yield model, tool, failures.get(tool) or min(times[tool])
    finally:
        for process in processes.values():
            process.close()
