"""`CostInterpreter`: runs a traced graph on shapes, and writes what each node costs into ``node.meta``."""

from __future__ import annotations

from typing import Any

from torch import fx
from torch.fx.passes.shape_prop import ShapeProp

from fxcount.annotation import annotate, place_of, shape_text
from fxcount.dispatch import OperatorCounter, WithoutData, counting
from fxcount.formulas.custom import call_cost
from fxcount.tracing import Trace


class CostInterpreter(ShapeProp):
    """A `ShapeProp`, a `torch.fx.Interpreter`, that also collects the operators that each node reaches.

    After ``propagate()`` every node has ``meta["operators"]``, a tuple of `OperatorCost`, and ``meta["cost"]``, their
    sum; nodes with tensors as result have ``meta["tensor_meta"]``. No operator runs on data.
    """

    def __init__(self, trace: Trace) -> None:
        self._named = trace.module.named
        super().__init__(trace.module)  # type: ignore[arg-type]  # any module with a graph will do
        self.extra_traceback = False  # the place is added to errors here
        self._inputs = trace.inputs
        self._counter: OperatorCounter = WithoutData()

    def propagate(self) -> Any:
        """Runs the graph on the example that it was traced with, and returns the result: meta tensors."""
        counter = WithoutData()
        inputs = [counter.represent(tensor) for tensor in self._inputs]
        with counting(counter) as self._counter:
            return self.run(*inputs)

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "get_attr":
            result = self._named[str(n.target)]
            annotate(n, result, ())
            return result
        try:
            # Not ShapeProp's own run_node, which prints a traceback and hides the model's error behind its own.
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            result = self._run(n, args, kwargs)
        except Exception as error:
            inputs = {source.name: shape_text(source) for source in n.all_input_nodes}
            error.add_note(place_of(n.op, n.target, inputs, n.meta["module"]))
            raise
        annotate(n, result, self._counter.take_calls())
        return result

    def _run(self, n: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls what the node calls, under the autocast that it was traced under."""
        run = getattr(self, n.op)
        if "autocast" in n.meta:
            return n.meta["autocast"].call(run, n.target, args, kwargs)
        return run(n.target, args, kwargs)

    def fetch_attr(self, target: str) -> Any:
        return self._named[target]

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = super().call_module(target, args, kwargs)
        self._use_own_formula(self.fetch_attr(target), args, kwargs, result)
        return result

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = super().call_function(target, args, kwargs)
        self._use_own_formula(target, args, kwargs, result)
        return result

    def _use_own_formula(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """A formula for what the node itself calls takes the place of the operators that it reached."""
        own = call_cost(target, args, kwargs, result)
        if own is not None:
            self._counter.calls = [own]
