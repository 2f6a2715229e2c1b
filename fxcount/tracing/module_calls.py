"""`ModuleCalls`: sees which modules of a model are called, and by which others."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from fxcount._torch import CALL_OF_MODULE, compiled_call_of, forward_hooks_of, forward_pre_hooks_of, transform_level
from fxcount.fault_origin import for_the_model
from fxcount.formulas.custom import module_formula
from fxcount.tracing.attribute_paths import Attributes
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.leaf_modules import is_leaf
from fxcount.tracing.module_stacks import GraphRun, Stack, kind_of, telling_stacks

CallLeaf = Callable[[nn.Module, str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Takes a module that is one node, its path, a function that calls it, and the arguments; returns the result."""


class ModuleCalls:
    """The calls of modules during a trace."""

    def __init__(self, model: CountedModel, attributes: Attributes) -> None:
        self.called: list[tuple[str, str]] = []
        """Every call, in order: the path by which the module was called, and its class name."""
        self.inside_a_node = False
        """Whether a call is part of what a node calls, and is not looked at."""
        self._model = model
        self._attributes = attributes
        self.caller = ""
        """The path of the module whose forward runs now, "" for the model itself."""
        self._running = RunningModules()
        self._graph: GraphRun | None = None

    @contextlib.contextmanager
    def watching(
        self, call_leaf: CallLeaf, on_enter: Callable[[nn.Module], object] = lambda module: None
    ) -> Iterator[None]:
        """While it lasts, every call of a module in this thread is seen.

        ``call_leaf`` makes the call of a module that is one node, ``on_enter`` is told of every other before it runs.

        Setting ``nn.Module.__call__`` makes Python look through all classes of modules, a thousand once a library of
        models is imported, which takes long beside a small model. So what ``__call__`` calls is set, unless a module
        goes past it.
        """
        call, thread, lasts = nn.Module.__call__, threading.get_ident(), True
        name = CALL_OF_MODULE if all(map(_calls_as_most_do, self._model.modules.values())) else "__call__"
        original = getattr(nn.Module, name)

        def watched(module: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
            # A tracer of torch.fx inside the model sets ``__call__``, and sees the calls instead.
            sees_another = name != "__call__" and nn.Module.__call__ is not call
            if sees_another or not lasts or threading.get_ident() != thread or self.inside_a_node:
                return for_the_model(original, module, *args, **kwargs)
            path = self._attributes.path_of(module)
            called_as = self._running.path_of(module, path)
            run = self._graph
            if run is None or not run.goes_on_in(module):
                run = GraphRun(called_as)
                self.called.append((called_as, kind_of(module)))
            # What torch.func transforms has no place in a graph; the operators that it comes to have.
            is_node = is_leaf(module, self._model.run) and not transform_level()
            if is_node and self._is_as_at_start(module):
                self._attributes.use(module)
                return call_leaf(module, path, functools.partial(original, module), args, kwargs)
            on_enter(module)
            before = self.caller, self._graph
            self.caller, self._graph = called_as, run
            self._running.enter(module, called_as)
            try:
                with telling_stacks(module, functools.partial(self._go_on, run)):
                    return for_the_model(original, module, *args, **kwargs)
            finally:
                self.caller, self._graph = before
                self._running.leave()

        setattr(nn.Module, name, watched)
        try:
            yield
        finally:
            lasts = False  # who compiled a module meanwhile has kept ``watched``
            setattr(nn.Module, name, original)

    @contextlib.contextmanager
    def unseen(self) -> Iterator[None]:
        """While it lasts, calls are part of what a node calls."""
        inside, self.inside_a_node = self.inside_a_node, True
        try:
            yield
        finally:
            self.inside_a_node = inside

    def _go_on(self, run: GraphRun, stack: Stack) -> None:
        """What follows in the run of a graph is called by these modules, as if they had been called."""
        self.called += run.calls_of(stack)
        self.caller = run.path_in(stack)

    def _is_as_at_start(self, module: nn.Module) -> bool:
        """Whether a node that calls ``module`` calls it as it is now, and not with another mode, number or weight."""
        states = self._attributes.states
        if states.knows(module):
            if states.is_as_before(module):
                return True
            if module_formula(module) is None:
                return False
        return self._attributes.has_parameters_of(module)


class RunningModules:
    """The modules whose forward runs, each inside of the one before."""

    def __init__(self) -> None:
        self._running: list[tuple[str, nn.Module]] = []
        self._inside: dict[str, dict[int, str]] = {}

    def enter(self, module: nn.Module, path: str) -> None:
        """The forward of ``module``, which was called by this path, begins."""
        self._running.append((path, module))

    def leave(self) -> None:
        """That of the last that was entered is over."""
        self._running.pop()

    def path_of(self, module: nn.Module, first: str) -> str:
        """The path of ``module`` in the innermost running module that has it, for others may have it too; its ``first``
        path if none has."""
        for path, running in reversed(self._running):
            if not path or first.startswith(f"{path}."):
                break
            if path not in self._inside:
                self._inside[path] = {id(each): name for name, each in running.named_modules(prefix=path)}
            if id(module) in self._inside[path]:
                return self._inside[path][id(module)]
        return first


def _calls_as_most_do(module: nn.Module) -> bool:
    """Whether ``__call__`` calls the method of that name of ``nn.Module``: not if the module is compiled in place, or
    its class has another."""
    own = getattr(type(module), CALL_OF_MODULE)
    return compiled_call_of(module) is None and own is getattr(nn.Module, CALL_OF_MODULE)


def hooks_of_call(module: nn.Module) -> tuple[Callable[..., Any], ...]:
    """What a call of ``module`` runs before and after its forward."""
    return (*forward_pre_hooks_of(module).values(), *forward_hooks_of(module).values())
