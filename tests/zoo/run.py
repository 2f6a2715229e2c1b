"""Runs entries in worker processes: a crash or a hang of one model costs that model only."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait

import torch

from tests.zoo.check import Result, check
from tests.zoo.entry import Entry
from tests.zoo.families import entries_of


def run(entries: Sequence[Entry], jobs: int, seconds: float, backward: bool = True) -> Iterator[Result]:
    """The results as they come, of ``jobs`` at a time; a model that takes longer than ``seconds`` is given up."""
    waiting, workers = deque(entries), [Worker(backward) for _ in range(min(jobs, len(entries)))]
    try:
        while waiting or any(worker.entry for worker in workers):
            for worker in workers:
                if worker.entry is None and waiting:
                    worker.start(waiting.popleft(), seconds)
            busy = [worker for worker in workers if worker.entry]
            wait([worker.connection for worker in busy], timeout=1)
            for worker in busy:
                result = worker.result()
                if result is not None:
                    yield result
    finally:
        for worker in workers:
            worker.stop()


class Worker:
    """A process that checks one entry after the other."""

    def __init__(self, backward: bool) -> None:
        self.entry: Entry | None = None
        self._backward = backward
        self._deadline = 0.0
        self._launch()

    def start(self, entry: Entry, seconds: float) -> None:
        """Gives the process its next entry."""
        self.entry, self._deadline = entry, time.monotonic() + seconds
        self.connection.send((entry.family, entry.name, self._backward))

    def result(self) -> Result | None:
        """The result of the entry, if there is one; a process that died or takes too long is replaced."""
        if self.entry is None:
            return None
        if self.connection.poll():
            try:
                result: Result = self.connection.recv()
            except EOFError:
                return self._give_up(f"the process died with exit code {self._exit_code()}")
            self.entry = None
            return result
        if time.monotonic() > self._deadline:
            return self._give_up("took too long")
        return None

    def stop(self) -> None:
        self.process.kill()
        self.process.join()

    def _launch(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def _exit_code(self) -> int | None:
        self.process.join(timeout=10)
        return self.process.exitcode

    def _give_up(self, problem: str) -> Result:
        assert self.entry is not None
        result = Result(self.entry.family, self.entry.kind, self.entry.name, problems=[problem])
        self.entry = None
        self.stop()
        self._launch()
        return result


def serve(connection: Connection) -> None:
    """The life of a worker process: checks the entries that are sent to it until there are no more."""
    with open(os.devnull, "w") as nowhere:  # models print and warn while they are built
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    torch.set_num_threads(1)
    while True:
        try:
            family, name, backward = connection.recv()
        except EOFError:
            return
        entry = entries_of(family)[name]
        gc.freeze()  # what the library has made stays, and need not be searched after each model
        connection.send(check(entry, backward))
        gc.collect()
