"""`count_graph`: from a model and an example input to the costs of its graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fxcount.cost import Convention
from fxcount.costed_graph import count_parameters, read_nodes
from fxcount.errors import InputError, UncountedError
from fxcount.graph_cost import GraphCost
from fxcount.interpreter import CostInterpreter
from fxcount.tracing import ExampleCall, trace_symbolically
from fxcount.unchanged import unchanged


def count_graph(
    model: Callable[..., Any],
    example_input: Any,
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    convention: str | Mapping[str, int] = "multiplications",
    tracer: str = "auto",
    strict: bool = False,
) -> GraphCost:
    """Counts what one call of ``model`` on ``example_input`` costs, without running anything on data.

    Args:
        model: an ``nn.Module``, a ``torch.fx.GraphModule`` or any callable, on any device, ``meta`` included.
        example_input: a tuple is the positional arguments, a mapping the keyword arguments, anything else the one
            argument. Only the shapes and dtypes of its tensors are used.
        example_kwargs: further keyword arguments.
        convention: what "flops" means: ``multiplications`` (macs + mul), ``macs``, ``torch`` (2 macs), ``arithmetic``
            (2 macs + mul + add + div + special), or a mapping of the fields of a `Cost` to weights.
        tracer: ``auto`` or ``symbolic``.
        strict: raise when anything is not counted.

    Returns:
        The costs: totals, by node, by module, by operator; ``print`` shows them as a table.

    Raises:
        ConventionError: the convention is unknown.
        InputError: the model or the example input is not of a kind that can be used.
        TracingError: the model cannot be traced.
        UncountedError: with ``strict``, an operator has no formula.

    An error of the model itself is raised as it is, with a note that says where in the model it happened.
    """
    reading = Convention.of(convention)
    if not callable(model):
        raise InputError(f"the model must be callable, not {type(model).__name__}")
    if tracer not in ("auto", "symbolic"):
        raise InputError(f"unknown tracer {tracer!r}; the known ones are auto, symbolic")
    call = ExampleCall.of(example_input, example_kwargs)
    with unchanged(model):
        trace = trace_symbolically(model, call)
        CostInterpreter(trace).propagate()
    cost = GraphCost(
        nodes=read_nodes(trace.module.graph, trace.module, reading),
        params=count_parameters(trace.module if not hasattr(model, "parameters") else model),
        modules=trace.modules,
        tracer=trace.tracer,
        convention=reading,
        make_graph=trace.module.graph_module,
    )
    if strict and cost.uncounted:
        names = ", ".join(f"{name} ({calls} calls)" for name, calls in cost.uncounted.items())
        raise UncountedError(f"not counted: {names}")
    return cost
