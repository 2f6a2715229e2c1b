"""`one_thread`: while it lasts, what this thread hands to others is done by itself, or is an error.

Torch sees with modes, and a mode is at work in one thread alone: what another one computes would be missing from a
count, and nothing would say so.
"""

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn

from fxcount._torch import DispatchMode
from fxcount.engine.refusals import refusals, refused
from fxcount.errors import TracingError
from fxcount.fault_origin import for_the_model, line_of_model

_METHODS_OF_POOLS = (
    "apply", "apply_async", "map", "map_async", "imap", "imap_unordered", "starmap", "starmap_async",
)  # fmt: skip
"""Those of ``multiprocessing.pool.ThreadPool``, whose threads may have started long before; each takes a function."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Runs at once what this thread submits to a ``ThreadPoolExecutor``; a ``Thread`` that it starts, and what it has
    a ``ThreadPool`` call, may do all but compute.

    Raises:
        TracingError: at the end, that another thread ran an operator, also if the model has caught it.
    """
    others = _Others()
    try:
        with refusals(), contextlib.ExitStack() as stack:
            stack.enter_context(_replaced(ThreadPoolExecutor, "submit", others.submit))
            stack.enter_context(_replaced(threading.Thread, "start", others.start))
            if "multiprocessing.pool" in sys.modules:
                pool = sys.modules["multiprocessing.pool"].ThreadPool
                for name in _METHODS_OF_POOLS:
                    stack.enter_context(_replaced(pool, name, others.call))
            yield
    finally:
        others.are_watched = False


def refuse_elsewhere(operator: Any) -> NoReturn:
    """
    Raises:
        TracingError: always; the count that is at work ends with it.
    """
    name = threading.current_thread().name
    error = TracingError(
        f"{operator} is run by another thread ({name}{line_of_model()}), and no count sees what other threads compute: "
        "call it in the thread of the model, or by a ThreadPoolExecutor"
    )
    raise refused(error)


class _Others:
    """The threads to which one hands work."""

    def __init__(self) -> None:
        self.are_watched = True
        self._threads = {threading.get_ident()}

    def submit(self, original: Callable[..., Any], pool: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() not in self._threads:
            return original(pool, function, *args, **kwargs)
        future: Future[Any] = Future()
        try:
            future.set_result(for_the_model(function, *args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def start(self, original: Callable[..., Any], thread: threading.Thread, /) -> None:
        if threading.get_ident() in self._threads:
            thread.run = functools.partial(self._watch, thread.run)  # type: ignore[method-assign]
        original(thread)

    def call(self, original: Callable[..., Any], pool: Any, /, func: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() in self._threads:
            func = functools.partial(self._watch, func)
        return original(pool, func, *args, **kwargs)

    def _watch(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function in another thread."""
        thread = threading.get_ident()
        self._threads.add(thread)
        try:
            with _NoOperator(self):
                return for_the_model(function, *args, **kwargs)
        finally:
            self._threads.discard(thread)


class _NoOperator(DispatchMode):
    """Refuses every operator, until the count is over."""

    supports_higher_order_operators = True

    def __init__(self, others: _Others) -> None:
        super().__init__()
        self._others = others

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._others.are_watched:
            refuse_elsewhere(func)
        return for_the_model(func, *args, **(kwargs or {}))


@contextlib.contextmanager
def _replaced(owner: type, name: str, call: Callable[..., Any]) -> Iterator[None]:
    """While it lasts, a method calls ``call(method, self, *args, **kwargs)``."""
    own, method = vars(owner).get(name), getattr(owner, name)

    @functools.wraps(method)
    def replaced(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return call(method, self, *args, **kwargs)

    setattr(owner, name, replaced)
    try:
        yield
    finally:
        delattr(owner, name) if own is None else setattr(owner, name, own)
