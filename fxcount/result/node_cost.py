"""`NodeCost`: what one node of the graph costs."""

from typing import NamedTuple

from fxcount.cost import Convention, Cost, OperatorCost, Traffic, total_cost, total_traffic
from fxcount.result.counts import Counts
from fxcount.result.moves import Moves

Shape = tuple[int, ...]


class NodeCost(NamedTuple):  # there are many, and a frozen dataclass would set each field by a call
    """What one node of the graph costs."""

    name: str
    """The node's name in the graph, unique."""
    op: str
    """The kind of node: placeholder, get_attr, call_module, call_function, call_method or output."""
    target: str
    """What is called: a module's path, the first if it has several, a function's or method's name."""
    module: str
    """The path of the module whose forward made the call; "" is the model itself."""
    input_shapes: tuple[Shape, ...]
    """The shapes of the tensors that other nodes hand to this one."""
    output_shapes: tuple[Shape, ...]
    """The shapes of the tensors that come out."""
    params: int
    """The elements of the parameters that this node uses and no node before it did."""
    parameters: tuple[str, ...]
    """The names of all parameters that this node uses."""
    operators: tuple[OperatorCost, ...]
    """Every operator that the node reached, in order."""
    cost: Cost
    """The sum over the operators."""
    convention: Convention
    """How ``flops`` reads the cost."""
    called_as: str = ""
    """The path by which a module was called, where that is not ``target``; else empty."""
    inputs: tuple[str, ...] = ()
    """The names of the nodes whose results are handed to this one."""

    trainable: int = 0
    """Those of ``params`` that belong to parameters that require a gradient."""
    backward_operators: tuple[OperatorCost, ...] | None = None
    """Every operator that computes the gradients of this node, in order; None unless the backward pass was asked
    for."""

    moves: Moves = Moves()
    """Finds out what nodes move."""

    @property
    def traffic(self) -> Traffic:
        """The bytes that the node reads and writes."""
        return self.moves.of_node(self.name)

    @property
    def read(self) -> int:
        """The bytes that it reads: each distinct element that the arguments of an operator hold, once."""
        return self.traffic.read

    @property
    def written(self) -> int:
        """The bytes that it writes: each element of an operator's result, once."""
        return self.traffic.written

    @property
    def backward_traffic(self) -> Traffic | None:
        """The bytes that the operators of its gradients read and write; None unless the backward pass was asked for."""
        if self.backward_operators is None:
            return None
        return total_traffic(map(self.moves.traffic_of, self.backward_operators))

    @property
    def backward(self) -> Cost | None:
        """The sum over these; None unless the backward pass was asked for."""
        if self.backward_operators is None:
            return None
        return total_cost(operator.cost for operator in self.backward_operators)

    @property
    def counts(self) -> Counts:
        """The parameters and costs."""
        return Counts(self.params, self.trainable, self.cost, self.backward, self.traffic, self.backward_traffic)

    @property
    def flops(self) -> int:
        """The cost as one number, under the convention."""
        return self.convention.read(self.cost)

    @property
    def owner(self) -> str:
        """The path of the module that the node's cost belongs to: the called one, or the one that makes the call."""
        return self.called_as or (self.target if self.op == "call_module" else self.module)
