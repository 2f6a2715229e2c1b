"""`ModuleCost`: what one module costs; `Submodule`: a module as the trace met it."""

from dataclasses import dataclass, field

from fxcount.cost import Convention, Cost, Traffic
from fxcount.result.counts import Counts, ReadsAndWrites


@dataclass(frozen=True, slots=True)
class Submodule:
    """A module of the model, as the trace met it."""

    kind: str
    """The class name; empty where there is no module, such as for a model that is a function."""
    calls: int
    """How often it was called; 0 for a container, or a module whose parameters only are used, or not even they."""


@dataclass(frozen=True)
class ModuleCost(ReadsAndWrites):
    """What one module costs, all that it contains included.

    ``own_cost`` and ``own_params`` leave out what its submodules cost and hold, so a module's cost is its own cost and
    the costs of its submodules, exactly. A leaf module, which is one node, has no submodules here.
    """

    name: str
    """The module's path; "" is the model itself."""
    kind: str
    """The module's class name."""
    calls: int
    """How often it was called."""
    nodes: int
    """How many nodes of the graph belong to it."""
    params: int
    """The module's parameters, each once; a shared parameter is counted where the model names it first."""
    cost: Cost
    """The sum over these nodes."""
    own_params: int
    """The parameters that belong to the module and to none of its submodules."""
    own_cost: Cost
    """The sum over the nodes that belong to the module and to none of its submodules."""
    convention: Convention
    """How ``flops`` and ``own_flops`` read the costs."""

    trainable: int = 0
    """Those of ``params`` that belong to parameters that require a gradient."""
    backward: Cost | None = None
    """What the gradients of these nodes cost; None unless the backward pass was asked for."""
    own_trainable: int = 0
    """Those of ``own_params`` that belong to parameters that require a gradient."""
    own_backward: Cost | None = None
    """As ``own_cost``, of the backward pass."""
    traffic: Traffic = field(default_factory=Traffic)
    """The bytes that these nodes read and write."""
    backward_traffic: Traffic | None = None
    """Those of the backward pass; None unless it was asked for."""
    own_traffic: Traffic = field(default_factory=Traffic)
    """As ``own_cost``, the bytes."""
    own_backward_traffic: Traffic | None = None
    """As ``own_cost``, the bytes of the backward pass."""

    @property
    def counts(self) -> Counts:
        """The parameters and costs."""
        return Counts(self.params, self.trainable, self.cost, self.backward, self.traffic, self.backward_traffic)

    @property
    def own_counts(self) -> Counts:
        """Those that belong to the module and to none of its submodules."""
        return Counts(
            self.own_params,
            self.own_trainable,
            self.own_cost,
            self.own_backward,
            self.own_traffic,
            self.own_backward_traffic,
        )

    @property
    def flops(self) -> int:
        """The cost as one number, under the convention."""
        return self.convention.read(self.cost)

    @property
    def own_flops(self) -> int:
        """The module's own cost as one number, under the convention."""
        return self.convention.read(self.own_cost)
