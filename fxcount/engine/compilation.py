"""`uncompiled`: while it lasts, compiled functions run as they were written, and nothing is compiled."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

import torch

from fxcount._torch import COMPILER, no_dispatch_modes


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Where the compiler is not loaded nothing compiled can run, until the model loads it: loading takes a second."""
    with contextlib.ExitStack() as stack:

        def run_eagerly() -> None:
            stack.enter_context(torch.compiler.set_stance("force_eager"))

        if COMPILER in sys.modules:
            run_eagerly()
        else:
            stack.enter_context(_told_when_loaded(COMPILER, run_eagerly))
        yield


@contextlib.contextmanager
def _told_when_loaded(name: str, tell: Callable[[], None]) -> Iterator[None]:
    """While it lasts, ``tell()`` is called after the module of that name is loaded."""
    finder = _Finder(name, tell)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.leave()


class _Finder(MetaPathFinder):
    """Asked first for every module that is loaded; finds one alone, as others do, and tells when it has run."""

    def __init__(self, name: str, tell: Callable[[], None]) -> None:
        self._name = name
        self._tell = tell

    def leave(self) -> None:
        """Asked no more."""
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        self.leave()
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_tell(module: ModuleType) -> None:
                with torch.DisableTorchFunction(), no_dispatch_modes():  # it is no work of the model
                    load(module)
                self._tell()

            spec.loader.exec_module = load_and_tell  # type: ignore[method-assign]
        return spec
