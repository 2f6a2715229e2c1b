"""What a model hands to other threads is counted where it can be, and else an error: never left out in silence."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fxcount import TracingError, count_graph
from tests.tracing.graphs import TRACERS

X = torch.randn(3, 4)
LAYERS = [nn.Linear(4, 4), nn.Linear(4, 4)]
MACS = 2 * 3 * 4 * 4

POOL = ThreadPoolExecutor(2)


def by_map(x: Tensor) -> list[Tensor]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda layer: layer(x), LAYERS))


def by_submit(x: Tensor) -> list[Tensor]:
    futures = [POOL.submit(layer, x) for layer in LAYERS]
    wait(futures)
    return [future.result() for future in futures]


def as_they_come(x: Tensor) -> list[Tensor]:
    return [future.result() for future in as_completed([POOL.submit(layer, x) for layer in LAYERS])]


def asynchronously(x: Tensor) -> list[Tensor]:
    async def all_layers() -> list[Tensor]:
        return await asyncio.gather(*(asyncio.to_thread(layer, x) for layer in LAYERS))

    return asyncio.run(all_layers())


@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
@pytest.mark.parametrize("model", [by_map, by_submit, as_they_come, asynchronously])
def test_what_an_executor_is_given_is_counted(model: Callable[[Tensor], Any], tracer: str) -> None:
    if model is asynchronously and tracer == "symbolic":
        pytest.skip("asyncio asks which futures are equal")
    assert count_graph(model, X, tracer=tracer).macs == MACS
    assert POOL.submit(threading.get_ident).result() != threading.get_ident()


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_future_keeps_an_error(tracer: str) -> None:
    def fails(x: Tensor) -> Tensor:
        raise LookupError("not here")

    def model(x: Tensor) -> Tensor:
        future = POOL.submit(fails, x)
        return LAYERS[0](x) if isinstance(future.exception(), LookupError) else x

    assert count_graph(model, X, tracer=tracer).macs == MACS // 2


def in_threads(x: Tensor) -> Tensor:
    results: dict[int, Tensor] = {}
    threads = [
        threading.Thread(target=lambda place=place, layer=layer: results.update({place: layer(x)}))
        for place, layer in enumerate(LAYERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results[0] + results[1]


class Worker(threading.Thread):
    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x

    def run(self) -> None:
        with contextlib.suppress(Exception):  # nobody hears of it
            self.result = LAYERS[0](self.x)


def in_a_class_of_threads(x: Tensor) -> Tensor:
    worker = Worker(x)
    worker.start()
    worker.join()
    return LAYERS[1](x)


def in_a_timer(x: Tensor) -> Tensor:
    timer = threading.Timer(0, LAYERS[0], (x,))
    timer.start()
    timer.join()
    return LAYERS[1](x)


def in_a_thread_of_a_thread(x: Tensor) -> Tensor:
    outer = threading.Thread(target=lambda: in_a_class_of_threads(x))
    outer.start()
    outer.join()
    return x.exp()


def in_a_pool_of_its_own(x: Tensor) -> Tensor:
    with ThreadPool(2) as pool:
        return sum(pool.map(lambda layer: layer(x), LAYERS))


OLD_POOL = ThreadPool(2)


def in_an_old_pool(x: Tensor) -> Tensor:
    return OLD_POOL.apply_async(LAYERS[0], (x,)).get()


def without_tensors(x: Tensor) -> Tensor:
    made: list[Tensor] = []
    thread = threading.Thread(target=lambda: made.append(torch.ones(4)))
    thread.start()
    thread.join()
    return x.exp()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tracer", ["auto", *TRACERS])
@pytest.mark.parametrize(
    "model",
    [
        in_threads, in_a_class_of_threads, in_a_timer, in_a_thread_of_a_thread, in_a_pool_of_its_own, in_an_old_pool,
        without_tensors,
    ],
)  # fmt: skip
def test_an_operator_in_another_thread_is_an_error(model: Callable[[Tensor], Any], tracer: str) -> None:
    before = (ThreadPoolExecutor.submit, threading.Thread.start, vars(ThreadPool).copy())
    with pytest.raises(TracingError, match=r"another thread \(.*, .*:\d+\)|traced symbolically"):
        count_graph(model, X, tracer=tracer)
    assert (ThreadPoolExecutor.submit, threading.Thread.start, vars(ThreadPool).copy()) == before
    model(X)


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_thread_that_computes_nothing(tracer: str) -> None:
    def model(x: Tensor) -> Tensor:
        threads = [threading.Thread(target=lambda: None)]
        threads[0].start()
        threads[0].join()
        return LAYERS[0](x)

    assert count_graph(model, X, tracer=tracer).macs == MACS // 2


def test_other_threads_are_let_alone() -> None:
    """A thread that the user starts while a count lasts in another one computes as ever."""
    inside, go_on = threading.Event(), threading.Event()

    def model(x: Tensor) -> Tensor:
        inside.set()
        go_on.wait(30)
        return LAYERS[0](x)

    with ThreadPoolExecutor(1) as counting, ThreadPoolExecutor(1) as pool, ThreadPool(1) as old:
        cost = counting.submit(count_graph, model, X, tracer="recorded")
        inside.wait(30)
        thread = threading.Thread(target=LAYERS[1], args=(X,))
        thread.start()
        thread.join()
        future = pool.submit(lambda: (threading.get_ident(), LAYERS[1](X).shape))
        assert future.result()[0] != threading.get_ident()
        assert old.apply(LAYERS[1], (X,)).shape == (3, 4)
        go_on.set()
        assert cost.result().macs == MACS // 2
