"""`count_graph`: from a model and an example input to the costs of its graph."""

from __future__ import annotations

import contextlib
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from fxcount.cost import Convention, OptimizerStep
from fxcount.engine.counting_context import counting
from fxcount.engine.one_count import one_count
from fxcount.engine.optimizer_step import MakeOptimizer, optimizer_step, refuse_no_maker
from fxcount.engine.sharding import refuse_uneven
from fxcount.engine.symbolic_sizes import name_sizes, numbers_wanted
from fxcount.engine.threads import one_thread
from fxcount.engine.unused_formulas import unused_formulas
from fxcount.engine.with_symbols import without_data
from fxcount.errors import (
    DataNeededError,
    FormulaError,
    FxcountError,
    InputError,
    SizeError,
    TracingError,
    UncountedError,
)
from fxcount.fault_origin import REPORT, origin_of_fault
from fxcount.formulas.custom import formulas_for_one_count
from fxcount.graph_cost import GraphCost
from fxcount.interpreter import CostInterpreter
from fxcount.reading import read_cost, trained_parameters
from fxcount.tracing.autograd_replay import AutogradReplay
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.example_call import ExampleCall, refuse_shapes
from fxcount.tracing.module_stacks import check_guards
from fxcount.tracing.recorder import execute, record
from fxcount.tracing.restore import unchanged
from fxcount.tracing.run import TracedRun
from fxcount.tracing.symbolic import trace_symbolically
from fxcount.tracing.trace import Trace

if TYPE_CHECKING:
    from fxcount.tracing.dynamic_shapes import DynamicShapes


def count_graph(
    model: Callable[..., Any],
    example_input: Any,
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    convention: str | Mapping[str, int] | Convention = "multiplications",
    tracer: str = "auto",
    backward: bool = False,
    optimizer: MakeOptimizer | None = None,
    strict: bool = False,
    formulas: Mapping[Any, Callable[..., Any]] | None = None,
    dynamic_shapes: Any = None,
) -> GraphCost:
    """Counts what one call of ``model`` on ``example_input`` costs.

    Nothing runs on data, unless the control flow of the model depends on values (see ``tracer``).

    Args:
        model: an ``nn.Module``, a ``torch.fx.GraphModule``, a ``torch.export.ExportedProgram`` or any callable, on any
            device, ``meta`` included. An exported program has the modules of the model that was exported.
        example_input: a tuple is the positional arguments, a mapping the keyword arguments, anything else the one
            argument. Only the shapes and dtypes of its tensors are used.
        example_kwargs: further keyword arguments.
        convention: what "flops" means: ``multiplications`` (macs + mul), ``macs``, ``torch`` (2 macs), ``arithmetic``
            (2 macs + mul + add + div + special), or a mapping of the fields of a `Cost` to weights.
        tracer: how the graph is made. ``symbolic``: `torch.fx` runs the model on proxies; the graph holds for every
            input. ``recorded``: one run on shapes is recorded, as Python executes it. ``executed``: one run on data,
            for models whose control flow depends on values. ``auto``: the first of these that can.
        backward: count also the backward pass: what autograd computes for the gradients of all that the model returns,
            with respect to every parameter and input that requires one.
        optimizer: count the backward pass, and one step of the optimizer that this makes of the parameters that
            require a gradient, such as ``torch.optim.AdamW`` or a ``functools.partial`` of it.
        strict: raise when anything is not counted.
        formulas: formulas for this count only, by what they are for, as `register_formula` takes them. One for an
            operator that the model reaches only inside another operator, which is counted as a whole, is not used, and
            a warning names both.
        dynamic_shapes: the sizes that are to be symbols, as `torch.export` takes them: by name or position of the
            argument, nested as it is, each axis to a name or a ``torch.export.Dim``, such as
            ``{"input": {0: "batch"}}``. A name is one size wherever it stands; a Dim may have bounds, or be derived of
            another. Axes that are given for a container or an object, such as a cache, are those of every tensor in it.
            All costs are expressions in these names then; ``at`` puts numbers in, ``conditions`` say where they hold.

    Returns:
        The costs: totals, by node, by module, by operator; ``print`` shows them as a table, ``tracer`` and ``gave_up``
        say how the graph was made, and why not otherwise.

    Raises:
        ConventionError: the convention is unknown.
        InputError: the model, the example input or the optimizer is not of a kind that can be used, such as a shape
            instead of a tensor.
        FormulaError: one of ``formulas`` is for what cannot have a formula, or does not fit it.
        TracingError: the model cannot be traced, is in parts on several ranks, or computes on nested tensors; a
            `DataNeededError` says that it asks for values it does not have, a `SizeError` that it settles a size that
            was to be a symbol.
        UncountedError: with ``strict``, an operator has no formula.

    An error of the model itself is raised as it is, with a note that says where in the model it happened. So is a fault
    of fxcount, with a note that says so: no other tracer is tried then.
    """
    reading = Convention.of(convention)
    counted, backward = CountedModel.of(model), backward or optimizer is not None
    if tracer not in ("auto", *TRACERS):
        raise InputError(f"unknown tracer {tracer!r}; the known ones are auto, {', '.join(TRACERS)}")
    if optimizer is not None:
        refuse_no_maker(optimizer)
    call = ExampleCall.of(example_input, example_kwargs)
    asked = Question(counted, tracer, backward, optimizer, reading, formulas)
    with one_count() as wrappers, formulas_for_one_count(formulas) as custom:
        refuse_uneven(("an example input", tensor) for tensor in call.tensors())
        if dynamic_shapes is None:
            cost, _ = asked.cost_of(call)
        else:
            if tracer == "executed":
                raise InputError("a run on data has the sizes of its data: dynamic_shapes needs another tracer")
            from fxcount.tracing.dynamic_shapes import DynamicShapes  # not above: few ask for symbols

            cost = asked.cost_in_symbols(call, DynamicShapes.of(dynamic_shapes, call, counted.forward))
        counted.refuse_foreign(wrappers)
        unused = unused_formulas(custom)
    for name, whole in unused.items():
        warnings.warn(
            f"the formula for {name} was not used: it is a part of {whole}, which is counted as a whole; "
            f"give a formula to {whole} instead",
            stacklevel=2,
        )
    if strict and cost.uncounted:
        names = ", ".join(f"{name} ({calls} calls)" for name, calls in cost.uncounted.items())
        raise UncountedError(f"not counted: {names}")
    return cost


@dataclass(frozen=True)
class Question:
    """What is counted, and how."""

    model: CountedModel
    tracer: str
    backward: bool
    optimizer: MakeOptimizer | None
    convention: Convention
    formulas: Mapping[Any, Callable[..., Any]] | None

    def cost_of(self, call: ExampleCall, shapes: DynamicShapes | None = None) -> tuple[GraphCost, Trace]:
        """The cost of a call, in symbols where ``shapes`` has any, and the trace that it was read from."""
        model, backward = self.model, self.backward
        try:
            check_guards(model.run, call.args, call.kwargs)
        except Exception as error:
            refuse_shapes(call, error)
            raise
        trace, gave_up = costed_trace(model, call, self.tracer, backward, shapes)
        step = None
        if self.optimizer is not None:
            try:
                step = taken_step(self.optimizer, model, trace)
            except DataNeededError as error:
                if self.tracer != "auto" or trace.tracer == "executed" or shapes or not model.has_data(call):
                    raise
                gave_up[trace.tracer] = traceback.format_exception_only(error)[0].strip()
                trace, _ = costed_trace(model, call, "executed", backward)
                step = taken_step(self.optimizer, model, trace)
        calls = Counter(path for path, _ in trace.called)
        for wrapper in model.wrappers:
            times = calls[wrapper.path] if wrapper.path else 1
            wrapper.note(trace.module.graph.nodes, times, trace.gradients or {})
        if trace.symbols is not None:
            from fxcount.tracing.settled_graph import settle

            settle(trace.module.graph, trace.symbols.sizes)
        return read_cost(model, trace, self.convention, gave_up, step), trace

    def cost_in_symbols(self, call: ExampleCall, given: DynamicShapes) -> GraphCost:
        """The cost of a call of which some sizes are symbols, with the conditions under which it holds."""
        sizes = given.several()
        try:
            return self._found_at(sizes, call, given)
        except SizeError as settled:  # perhaps a size is another one by chance
            try:
                return self._found_at(given.elsewhere(sizes), call, given)
            except Exception as error:
                if origin_of_fault(error):
                    raise
                raise settled from None
        except DataNeededError as error:
            error.add_note("with dynamic_shapes nothing runs on data: give numbers for its sizes, and it is executed")
            raise
        except Exception as error:
            ones = [name for name, size in given.example.items() if size != sizes[name]]
            if not ones or isinstance(error, FxcountError) or origin_of_fault(error):
                raise
            self.cost_of(call)  # or the error is that of the example
            raise SizeError(f"the model takes no other {' and '.join(ones)} than one: {error}") from error

    def _found_at(self, sizes: Mapping[str, int], call: ExampleCall, given: DynamicShapes) -> GraphCost:
        """The cost in symbols, found while these are the sizes."""
        from fxcount.checked_sizes import CheckedSizes

        traced = call if sizes == given.example else given.resized(call, sizes)
        cost, trace = self.cost_of(traced, given.at(sizes))
        assert trace.symbols is not None
        asked, numeric = trace.symbols.sizes, replace(self, tracer=trace.tracer)
        cost = replace(cost, sizes=given.example, conditions=asked.conditions())
        checked = CheckedSizes(cost, lambda at: numeric.cost_of(given.resized(call, at))[0], asked.values_asked)
        conditions = checked.conditions(sizes, given.conditions)
        return replace(cost, conditions=conditions, count_at=partial(self.count_at, call, given))

    def count_at(self, call: ExampleCall, given: DynamicShapes, sizes: Mapping[str, int]) -> GraphCost:
        """The cost where some or all of the symbols are numbers, counted anew."""
        numbers = {**given.example, **sizes}
        resized = given.resized(call, numbers)
        left = given.at(numbers, without=sizes)
        with one_count(), formulas_for_one_count(self.formulas):
            return self.cost_in_symbols(resized, left) if left.example else self.cost_of(resized)[0]


@contextlib.contextmanager
def with_gradients() -> Iterator[None]:
    """While it lasts, autograd is on, wherever the count was asked for."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def taken_step(optimizer: MakeOptimizer, model: CountedModel, trace: Trace) -> OptimizerStep:
    """A step on the parameters of the model; the random numbers that it draws are not the model's."""
    with with_gradients(), torch.random.fork_rng(devices=()):
        return optimizer_step(optimizer, trained_parameters(model, trace))


def trace_and_interpret(model: CountedModel, call: ExampleCall, put_back: Callable[[], None], backward: bool) -> Trace:
    """A symbolic trace, costed by running its graph on shapes.

    Raises:
        TracingError: the model is on several ranks: how a result is split is known in a run.
    """
    if model.is_split(call, backward):
        raise TracingError("a model on several ranks is not traced symbolically")
    trace = trace_symbolically(model, call, backward=backward)
    CostInterpreter(trace).propagate()
    if backward:
        counter = without_data(trace.owned, trace.symbols)
        with counting(counter):
            trace = replace(trace, gradients=AutogradReplay(TracedRun(trace), counter, model).backward())
    return trace


TRACERS: dict[str, Callable[[CountedModel, ExampleCall, Callable[[], None], bool], Trace]] = {
    "symbolic": trace_and_interpret,
    "recorded": record,
    "executed": execute,
}
"""From a model and a call to a costed graph: the more general, the later."""


def costed_trace(
    model: CountedModel, call: ExampleCall, tracer: str, backward: bool, shapes: DynamicShapes | None = None
) -> tuple[Trace, dict[str, str]]:
    """The graph with its costs, by the tracer of that name or the first that can, and why those before it gave up; the
    model is left as it was."""
    executes = model.has_data(call) and shapes is None
    names = [tracer] if tracer != "auto" else [name for name in TRACERS if name != "executed" or executes]
    if tracer == "auto" and model.is_split(call, backward):
        names = ["executed" if executes else "recorded"]
    gave_up: dict[str, str] = {}
    before = sys.exception()
    with unchanged(model, call) as put_back:
        for name in names:
            attempt = call if shapes is None else shapes.with_symbols(call)
            try:
                gradients = with_gradients() if backward else contextlib.nullcontext()
                with one_thread(), gradients, numbers_wanted() if shapes else contextlib.nullcontext():
                    return TRACERS[name](model, attempt, put_back, backward), gave_up
            except Exception as error:
                if attempt.symbols is not None:
                    name_sizes(error, attempt.symbols.sizes)
                origin, is_last = origin_of_fault(error, before), name == names[-1]
                # All tracers apply the same formulas, and on data it is known whether torch accepts the call.
                if origin and (is_last or not origin.startswith("fxcount.formulas")):
                    error.add_note(REPORT)
                    raise
                if is_last:
                    refuse_shapes(call, error)
                if isinstance(error, FormulaError) or is_last:
                    raise
                gave_up[name] = traceback.format_exception_only(error)[0].strip()
                put_back()
    raise AssertionError("the last tracer returns or raises")
