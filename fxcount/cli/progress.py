"""A line that shows, on a terminal, that long work goes on."""

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator

PATIENCE = 2.0
"""Seconds of work that need no progress."""


@contextlib.contextmanager
def progress(text: str, patience: float = PATIENCE) -> Iterator[None]:
    """Shows ``text`` and the seconds that have passed on standard error, if that is a terminal, and then removes it."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_show, args=(text, patience, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show(text: str, patience: float, done: threading.Event) -> None:
    start, width = time.monotonic(), 0
    room = shutil.get_terminal_size().columns - 1
    wait = patience
    while not done.wait(wait):
        line = f"{text} ... {time.monotonic() - start:.0f} s"[-room:]
        width = max(width, len(line))
        print(f"\r{line:{width}}", end="", file=sys.stderr, flush=True)
        wait = 0.5
    if width:
        print(f"\r{'':{width}}\r", end="", file=sys.stderr, flush=True)
