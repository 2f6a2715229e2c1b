"""`Trace`: what every tracer makes of a model and an example."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from fxcount._torch import register_node
from fxcount.engine.with_symbols import SymbolicInputs
from fxcount.tracing.autograd_settings import AutogradSettings
from fxcount.tracing.module_states import ModuleStates


class TracedModule(nn.Module):
    """A graph and the modules, parameters and tensors that its nodes name; nothing is copied.

    It stands between tracing and interpreting, so that a `torch.fx.GraphModule`, which generates code, is made only
    when somebody asks for it.
    """

    def __init__(self, graph: fx.Graph, named: dict[str, Any], training: bool) -> None:
        """``named`` is what the nodes name, by its dotted path."""
        super().__init__()
        self.graph = graph
        self.training = training
        self.named = named

    def graph_module(self) -> fx.GraphModule:
        """The traced model as a module that runs, and whose graph may be changed."""
        for node in self.graph.nodes:
            register_node(self.graph, node)
        root = nn.Module()
        root.training = self.training
        for path in sorted(self.named, key=lambda path: path.count(".")):
            _install(root, path, self.named[path])
        return fx.GraphModule(root, self.graph)


def _install(root: nn.Module, path: str, value: Any) -> None:
    """Sets ``value`` at a dotted path, unless a module installed before already has it there."""
    owner = root
    *parents, name = path.split(".")
    for parent in parents:
        if not hasattr(owner, parent):
            owner.add_module(parent, nn.Module())
        owner = getattr(owner, parent)
    if getattr(owner, name, None) is value:
        return
    if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
        owner.register_buffer(name, value)
    else:
        setattr(owner, name, value)


@dataclass(frozen=True)
class Trace:
    """A traced model.

    Every node of the graph has ``meta["module"]``, the path of the module whose forward made the call, "" for the
    model itself; one that calls a module also ``meta["called_as"]``, the path by which it did, while its target is the
    first path of the module.
    """

    tracer: str
    """Which tracer made it."""
    module: TracedModule
    inputs: tuple[torch.Tensor, ...]
    """The tensors of the example, one for each placeholder of the graph."""
    called: list[tuple[str, str]]
    """Every call of a module, in order: the path by which it was called, and its class name."""
    owned: tuple[torch.Tensor, ...]
    """The parameters and buffers of the model."""
    autograd: AutogradSettings
    """What autograd was told about the nodes."""
    made: Mapping[int, nn.Parameter]
    """The parameters that the run itself made, by identity: none of the model's."""
    states: ModuleStates
    """What the modules were when the run started, and so when a node calls them."""
    gradients: Mapping[int, torch.Tensor] | None = None
    """Those of parameters after the backward pass, by the identity of the parameter; None without one."""
    symbols: SymbolicInputs | None = None
    """What stood for the inputs where sizes of theirs are symbols."""
