"""`uncompiled`: while it lasts, compiled functions run as they were written, and nothing is compiled."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
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
        if COMPILER in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        else:
            finder = _CompilerFinder(stack)
            sys.meta_path.insert(0, finder)
            stack.callback(finder.leave)
        yield


class _CompilerFinder(MetaPathFinder):
    """Asked first for every module that is loaded; finds the compiler, as others do, and keeps it from compiling."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def leave(self) -> None:
        """Asked no more."""
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != COMPILER:
            return None
        self.leave()
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_eagerly(module: ModuleType) -> None:
                with torch.DisableTorchFunction(), no_dispatch_modes():  # it is no work of the model
                    load(module)
                self._stack.enter_context(torch.compiler.set_stance("force_eager"))

            spec.loader.exec_module = load_eagerly  # type: ignore[method-assign]
        return spec
