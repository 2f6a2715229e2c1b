"""`uncompiled`: while it lasts, compiled functions run as they were written, and nothing is compiled."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import FrameType, ModuleType
from typing import Any

import torch

from fxcount._torch import ANSWER_OF_COMPILER, ASKS_COMPILER, COMPILER, no_dispatch_modes


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


class _CompilerFinder(MetaPathFinder, Loader):
    """Asked first for every module that is loaded; finds the compiler, as others do, and keeps it from compiling.

    Much of what torch computes on shapes asks the compiler, when it is first called, to leave it out of what is
    compiled. For that alone the compiler is not loaded: what is loaded instead answers the question and is gone.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._left_out: list[Callable[..., Any]] = []

    def leave(self) -> None:
        """Asked no more; what it answered is forgotten."""
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)
        for function in self._left_out:
            vars(function).pop(ANSWER_OF_COMPILER, None)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != COMPILER:
            return None
        if _importing_module() == ASKS_COMPILER:
            return ModuleSpec(name, self)
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

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["disable"] = self._leave_out

    def _leave_out(self, function: Callable[..., Any], *options: Any, **more: Any) -> Callable[..., Any]:
        """The answer: the function as it is, for nothing is compiled now."""
        package, _, name = COMPILER.rpartition(".")
        del sys.modules[COMPILER]
        delattr(sys.modules[package], name)
        self._left_out.append(function)
        return function


def _importing_module() -> str:
    """The name of the module whose code imports, for a finder that is asked."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("importlib"):
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__"))
