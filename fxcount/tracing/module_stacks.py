"""The modules that made the calls of a graph, where its nodes tell: those of an exported program do."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import fx, nn

from fxcount._torch import GUARDS


class StackEntry(NamedTuple):
    """One call of a module, as ``node.meta["nn_module_stack"]`` has it."""

    call: str
    """What tells this call from others of the same module."""
    path: str
    """The path of the module, "" for the one that was traced."""
    kind: str
    """Its class name."""


Stack = tuple[StackEntry, ...]
"""The modules that run where a call is made, from outside in."""


def stack_of(node: fx.Node) -> Stack:
    """The modules in which a node is called; none if the node does not tell."""
    entries = node.meta.get("nn_module_stack") or {}
    return tuple(
        StackEntry(call, path, _class_name(kind))
        for call, (path, kind) in entries.items()
        if node.op != "call_module" or path != node.target  # the module that is called, not one that calls it
    )


def exported_from(module: Any) -> StackEntry | None:
    """The call of the model in an exported program of it, or in a part of one; None of anything else."""
    return next((entry for stack in _stacks_in(module) for entry in stack if not entry.path), None)


def kind_of(module: nn.Module) -> str:
    """The class name of ``module``; of an exported program that of the model that was exported."""
    model = exported_from(module)
    return type(module).__name__ if model is None else model.kind


class GraphRun:
    """One run of a graph, which is at ``path`` in the model that is counted."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._met: set[StackEntry] = set()

    def goes_on_in(self, module: nn.Module) -> bool:
        """Whether ``module`` is a part of the graph: an export makes one of what runs without gradients, say."""
        return exported_from(module) in self._met

    def calls_of(self, stack: Stack) -> list[tuple[str, str]]:
        """The path and class name of each call that no stack of this run had before."""
        new = [entry for entry in stack if entry not in self._met]
        self._met.update(new)
        return [(self._at(entry.path), entry.kind) for entry in new if entry.path]

    def path_in(self, stack: Stack) -> str:
        """The path of the module that makes the calls; what the graph has of no module is its own."""
        return self._at(stack[-1].path if stack else "")

    def _at(self, path: str) -> str:
        return ".".join(filter(None, (self._path, path)))


@contextlib.contextmanager
def telling_stacks(module: nn.Module, tell: Callable[[Stack], object]) -> Iterator[None]:
    """While it lasts, a graph whose nodes know their modules ``tell``s which run, before it calls anything in them.

    Its code is generated anew, with these calls in it, by what generated it before: it takes and returns what it did. A
    graph that was changed since is not what runs, and tells nothing.
    """
    if not (isinstance(module, fx.GraphModule) and any(_stacks_in(module)) and _is_what_runs(module)):
        yield
        return
    kind: Any = type(module)  # each `GraphModule` has a class of its own
    forward = kind.forward
    kind.forward = _telling_forward(module.graph, tell)
    try:
        yield
    finally:
        kind.forward = forward


def _stacks_in(module: Any) -> Iterator[Stack]:
    """The stacks of the nodes of a graph, if ``module`` is one."""
    return map(stack_of, module.graph.nodes) if isinstance(module, fx.GraphModule) else iter(())


def _is_what_runs(module: fx.GraphModule) -> bool:
    """Whether the code of a module is that of its graph."""
    return module.graph.python_code("self").src == module.code


def _telling_forward(graph: fx.Graph, tell: Callable[[Stack], object]) -> Callable[..., Any]:
    """What runs ``graph``, without the guards of an export, which `check_guards` runs."""
    stacks: list[Stack] = []

    def tell_stack(number: int) -> None:
        tell(stacks[number])

    graph = copy.deepcopy(graph)
    for node in list(graph.nodes):
        if node.op == "call_module" and node.target == GUARDS:
            graph.erase_node(node)
        elif node.op.startswith("call") and (stack := stack_of(node)) != (stacks[-1] if stacks else None):
            with graph.inserting_before(node):
                graph.call_function(tell_stack, (len(stacks),))
            stacks.append(stack)
    return _forward_of(graph)


def _forward_of(graph: fx.Graph) -> Callable[..., Any]:
    """The function that runs a graph, of a module and its arguments."""
    code = graph.python_code("self")
    scope = dict(code.globals)
    exec(compile(code.src, "<graph>", "exec"), scope)
    forward: Callable[..., Any] = scope["forward"]
    return forward


class _CheckedError(Exception):
    """The guards hold."""


def check_guards(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Runs the guards of an exported program, if ``module`` is one: they raise an error of their own where these are no
    arguments that it was exported for."""
    graph = copy.deepcopy(module.graph) if isinstance(module, fx.GraphModule) else fx.Graph()
    guards = next((node for node in graph.nodes if node.op == "call_module" and node.target == GUARDS), None)
    if guards is None:
        return

    def end() -> None:
        raise _CheckedError

    with graph.inserting_after(guards):
        graph.call_function(end)
    with contextlib.suppress(_CheckedError):
        _forward_of(graph)(module, *args, **kwargs)


def _class_name(kind: Any) -> str:
    """The last part of the name of a class; an exported program has it as a text."""
    return str(kind).rpartition(".")[2] if isinstance(kind, str) else kind.__name__
