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

from tests.benchmarks.models import MODELS, BuiltModel
from tests.benchmarks.tools import TOOLS


class ToolProcess:
    """A process that runs one tool, on meta, on the CPU or on both by turns, and on one model at a time."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()

    def build(self, tool: str, model: str) -> float | str:
        """Builds a model and counts it once; returns the seconds that this count took, or why it fails."""
        return self._ask(tool, model)

    def run(self, tool: str) -> float | str:
        """The seconds that one more count of the model takes, or why it fails."""
        return self._ask(tool, None)

    def close(self) -> None:
        self._process.terminate()
        self._process.join()

    def _ask(self, tool: str, model: str | None) -> float | str:
        try:
            self._connection.send((tool, model))
            return self._connection.recv()
        except (EOFError, OSError):
            return "the process died"


def _serve(connection: Connection) -> None:
    """Answers with a time or an error each time it is told a tool and a model to build, or None: the same one again."""
    warnings.filterwarnings("ignore")
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process
    built: dict[str, BuiltModel] = {}
    while True:
        tool_name, model_name = connection.recv()
        tool = TOOLS[tool_name]
        try:
            if model_name is not None:
                built.pop(tool_name, None)  # lets go of the one before
                built[tool_name] = MODELS[model_name](tool.device)
            connection.send(timed(partial(tool.count, *built[tool_name])))
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
    by_count = {count: ToolProcess() for count in {TOOLS[tool].count for tool in tools}}
    processes = {tool: by_count[TOOLS[tool].count] for tool in tools}
    try:
        for model in models:
            warm = {tool: process.build(tool, model) for tool, process in processes.items()}
            failures = {tool: answer for tool, answer in warm.items() if isinstance(answer, str)}
            times: dict[str, list[float]] = {tool: [] for tool in tools}
            for _ in range(rounds):
                for tool in tools:
                    if tool in failures:
                        continue
                    answer = processes[tool].run(tool)
                    if isinstance(answer, str):
                        failures[tool] = answer
                    else:
                        times[tool].append(answer)
            for tool in tools:
                yield model, tool, failures.get(tool) or min(times[tool])
    finally:
        for process in by_count.values():
            process.close()
