"""`Run`: a run of a model, as far as it stands in a graph."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import fx

from fxcount.tracing.autograd_settings import AutogradSettings
from fxcount.tracing.containers import Part
from fxcount.tracing.module_states import ModuleStates
from fxcount.tracing.trace import Trace


class Run(Protocol):
    """What a replay needs to know of one."""

    @property
    def graph(self) -> fx.Graph:
        """The calls that were made."""

    @property
    def autograd(self) -> AutogradSettings:
        """What autograd was told meanwhile."""

    @property
    def used(self) -> Mapping[str, Any]:
        """The modules and tensors that the nodes name."""

    @property
    def states(self) -> ModuleStates:
        """What the modules were when it started."""

    def result_of(self, node: fx.Node) -> Any:
        """The tensor of an input, or what an attribute is; None of a node that is part of the arguments of another."""

    def maker_of(self, tensor: torch.Tensor) -> fx.Node | Part | None:
        """The node that made a tensor that the model holds, or which part of whose result it is."""


class TracedRun:
    """The run of a graph that was traced without one."""

    def __init__(self, trace: Trace) -> None:
        self.graph = trace.module.graph
        self.autograd = trace.autograd
        self.used: Mapping[str, Any] = trace.module.named
        self.states = trace.states
        placeholders = [node for node in self.graph.nodes if node.op == "placeholder"]
        self._inputs = dict(zip(placeholders, trace.inputs, strict=True))

    def result_of(self, node: fx.Node) -> Any:
        return self._inputs[node] if node.op == "placeholder" else self.used[str(node.target)]

    def maker_of(self, tensor: torch.Tensor) -> None:
        """No model holds any."""
