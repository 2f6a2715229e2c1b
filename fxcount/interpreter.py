"""`CostInterpreter`: runs a traced graph on shapes, and writes what each node costs into ``node.meta``."""

from typing import Any

import torch
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp

from fxcount.engine.counting_context import counting
from fxcount.engine.indexing import for_symbols
from fxcount.engine.node_annotation import Annotation, annotation, place_of, shape_text
from fxcount.engine.node_calls import Calls
from fxcount.engine.storage_numbers import StorageNumbers
from fxcount.engine.symbolic_sizes import decided
from fxcount.engine.with_symbols import without_data
from fxcount.fault_origin import for_the_model
from fxcount.tracing.trace import Trace


class CostInterpreter(ShapeProp):
    """A `ShapeProp`, a `torch.fx.Interpreter`, that also collects the operators that each node reaches.

    After ``propagate()`` every node has ``meta["operators"]``, a tuple of `OperatorCost`, and ``meta["cost"]``, their
    sum; nodes with tensors as result have ``meta["tensor_meta"]``. No operator runs on data.
    """

    def __init__(self, trace: Trace) -> None:
        self._named = trace.module.named
        super().__init__(trace.module)  # type: ignore[arg-type]  # any module with a graph will do
        self.extra_traceback = False  # the place is added to errors here
        self._inputs, self._owned, self._states = trace.inputs, trace.owned, trace.states
        self._symbols = trace.symbols
        self._attributes: dict[Any, Annotation] = {}
        self._at: fx.Node | None = None

    def propagate(self) -> Any:
        """Runs the graph on the example that it was traced with, and returns the result: meta tensors."""
        counter = without_data(self._owned, self._symbols)
        if self._symbols is not None:
            self._symbols.sizes.place = self._place
        inputs = [counter.represent(tensor) for tensor in self._inputs]
        self._calls = Calls(counter)  # before there is a mode at work
        with counting(counter), self._states.at_start():
            return self.run(*inputs)

    def _place(self) -> str:
        """Where in the model a size is asked for."""
        node = self._at
        return (
            "" if node is None else f", at {node.op} {node.name}, called in {node.meta['module'] or 'the model itself'}"
        )

    def run_node(self, n: fx.Node) -> Any:
        self._at = n
        if n.op == "get_attr":
            result = self._named[str(n.target)]
            n.meta.update(self._annotation_of(result))
            return result
        try:
            # Not ShapeProp's own run_node, which prints a traceback and hides the model's error behind its own.
            args: Any = self.map_nodes_to_values(n.args, n)
            kwargs: Any = self.map_nodes_to_values(n.kwargs, n) if n.kwargs else {}
            if self._symbols is not None:
                args, kwargs = decided((args, kwargs))
            result, note = self._run(n, args, kwargs)
        except Exception as error:
            inputs = {source.name: shape_text(source) for source in n.all_input_nodes}
            error.add_note(place_of(n.op, n.target, inputs, n.meta["module"]))
            raise
        n.meta.update(note)
        return result

    def _annotation_of(self, value: Any) -> Annotation:
        """That of an attribute, made once for all tensors of a form."""
        if type(value) not in (torch.Tensor, torch.nn.Parameter) or value.layout is not torch.strided:
            return annotation(value)
        form = (type(value), value.shape, value.stride(), value.dtype, value.requires_grad)
        if form not in self._attributes:
            self._attributes[form] = annotation(value)
        return self._attributes[form]

    def _run(self, n: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Annotation]:
        """Calls what the node calls, under the autocast that it was traced under."""
        run = getattr(self, n.op)
        if n.op in ("placeholder", "output"):
            result = run(n.target, args, kwargs)
            return result, annotation(result, (), StorageNumbers(args))
        called: Any = self._named[str(n.target)] if n.op == "call_module" else n.target
        target = n.target if self._symbols is None or n.op != "call_function" else for_symbols(called)
        if "autocast" in n.meta:
            autocast = n.meta["autocast"]
            return self._calls.run(called, args, kwargs, autocast.call, (run, target, args, kwargs), repeats=False)
        return self._calls.run(called, args, kwargs, for_the_model, (run, target, args, kwargs), repeats=True)

    def fetch_attr(self, target: str) -> Any:
        return self._named[target]
