"""`CostInterpreter`: runs a traced graph on shapes, and writes what each node costs into ``node.meta``."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp, TensorMetadata, _extract_tensor_metadata

from fxcount.cost import total_cost
from fxcount.dispatch import OperatorCounter, counting
from fxcount.tracing import Trace


class CostInterpreter(ShapeProp):
    """A `ShapeProp`, a `torch.fx.Interpreter`, that also collects the operators that each node reaches.

    After ``propagate()`` every node has ``meta["operators"]``, a tuple of `OperatorCost`, and ``meta["cost"]``, their
    sum; nodes with tensors as result have ``meta["tensor_meta"]``. No operator runs on data.
    """

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace.module)  # type: ignore[arg-type]  # any module with a graph will do
        self.extra_traceback = False  # the place is added to errors here
        self._inputs = trace.inputs
        self._counter = OperatorCounter()

    def propagate(self) -> Any:
        """Runs the graph on the example that it was traced with, and returns the result: meta tensors."""
        with counting() as self._counter:
            return self.run(*self._counter.without_data(self._inputs))

    def run_node(self, n: fx.Node) -> Any:
        self._counter.calls = []
        try:
            # Not ShapeProp's own run_node, which prints a traceback and hides the model's error behind its own.
            result = fx.Interpreter.run_node(self, n)
        except Exception as error:
            error.add_note(f"at {_place(n)}")
            raise
        n.meta["operators"] = tuple(self._counter.calls)
        n.meta["cost"] = total_cost(call.cost for call in self._counter.calls)
        _write_tensor_meta(n, result)
        return result


def _write_tensor_meta(node: fx.Node, result: Any) -> None:
    found = False

    def describe(value: Any) -> Any:
        nonlocal found
        if isinstance(value, torch.Tensor):
            found = True
            return _extract_tensor_metadata(value)
        return value

    described = fx.node.map_aggregate(result, describe)
    if found:
        node.meta["tensor_meta"] = described
    node.meta["type"] = type(result)


def _place(node: fx.Node) -> str:
    """Where in the model a node is, for an error: its name, what it calls, on which shapes, in which module."""
    target = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", repr(node.target))
    shapes = [f"{source.name} {_shape(source)}".rstrip() for source in node.all_input_nodes]
    module = node.meta.get("module") or "the model itself"
    return f"node {node.name} ({node.op} {target}) on {', '.join(shapes) or 'no input'}, called in {module}"


def _shape(node: fx.Node) -> str:
    meta = node.meta.get("tensor_meta")
    return str(list(meta.shape)) if isinstance(meta, TensorMetadata) else ""
