"""What the command does: the name of a model in, a view of its costs out."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

import fxcount
from fxcount.analyses.devices import device_named
from fxcount.cli.budget import excess
from fxcount.cli.example_inputs import call_with, dynamic_shapes, example_sizes, required_arguments
from fxcount.cli.named_models import NamedModel, in_dtype, load_model
from fxcount.cli.options import Options, parse
from fxcount.cli.progress import progress
from fxcount.cli.split_models import split_over
from fxcount.cli.worked_example import worked_example, worked_example_input
from fxcount.count import count_graph
from fxcount.errors import FxcountError, InputError, ModelError
from fxcount.fault_origin import REPORT
from fxcount.graph_cost import GraphCost
from fxcount.memory import count_memory
from fxcount.memory_cost import MemoryCost
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.memory_record import MemoryRecord
from fxcount.roofline import Roofline
from fxcount.tracing.example_call import ExampleCall
from fxcount.views.memory_table import memory_overview
from fxcount.views.overview import overview
from fxcount.views.page import page
from fxcount.views.roofline_table import roofline_overview
from fxcount.views.terminal import terminal_width
from fxcount.views.units import size_text

AnyCost = TypeVar("AnyCost", bound=CostedGraph)


def run(arguments: Sequence[str]) -> int:
    """Counts, shows, and holds the count against the budgets; the exit status.

    Raises:
        FxcountError: the arguments are not used as they should be.
        ModelError: the model cannot be built or counted.
    """
    options = parse(arguments)
    if options.view == "generate":
        _show(generation_view(options), options)
        return 0
    if options.view == "step":
        return show_step(options)
    memory = count_held(options.model, options) if options.memory or options.memory_budget is not None else None
    costs = not options.memory or options.flops_budget is not None or options.params_budget is not None
    cost = count(options.model, options) if costs else None
    other = other_count(options) if options.view == "compare" else None
    text = memory_view(memory, options) if memory is not None and options.memory else ""
    text = view(cost, options, other) if cost is not None and not options.memory else text
    _show(text, options)
    of_other = 0 if other is None else check_budgets(other, None, options)
    return max(check_budgets(cost, memory, options), of_other)


def other_count(options: Options) -> GraphCost:
    """The count that the first one is compared with: of a model, or one that was saved as JSON."""
    name = options.compare or ""
    if not name.endswith(".json"):
        return count(name, options)
    return GraphCost.from_json(Path(name).read_text(encoding="utf-8"))


def _show(text: str, options: Options) -> None:
    if options.output:
        Path(options.output).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    elif not options.quiet:
        print(text.rstrip("\n"), flush=True)


def generation_view(options: Options) -> str:
    """What a generation costs, as it is asked for.

    Raises:
        InputError: the model is no language model.
        ModelError: the model fails.
    """
    model = named_model(options.model, options, generates=True).model
    if not isinstance(model, torch.nn.Module):
        raise InputError("a saved program has one length: it cannot generate")
    with working(f"counting {options.model}", options):
        from fxcount.generation import count_generation  # not above: few ask for it

        assert options.prompt is not None
        assert options.generate is not None
        cost = count_generation(
            model, options.prompt, options.generate, batch=options.batch or 1, device=options.device
        )
    style, width = style_and_width(options)
    return cost.to_json(indent=1) if options.format == "json" else cost.table(style, width)


def show_step(options: Options) -> int:
    """Shows what a step takes on a device, and holds its memory against the budget; the exit status."""
    from fxcount.step import count_step  # not above: few ask for it

    check_numbers(options)
    model, call = named_call(options.model, options)
    with working(f"counting {options.model}", options):
        step = count_step(
            model,
            call.args,
            call.kwargs,
            device=options.device or "",
            backward=options.backward,
            optimizer=options.make_optimizer,
            measured=options.seconds,
        )
    if options.model is not None and not options.inputs:
        step = replace(step, cost=chosen_by_default(step.cost))
    style, width = style_and_width(options)
    _show(step.to_json(indent=1) if options.format == "json" else step.table(style, width), options)
    return check_budgets(None, step.memory, options)


def count(name: str | None, options: Options) -> GraphCost:
    """The costs of the model of that name, of the worked example if there is none.

    Raises:
        InputError: there is no such model, or its input must be described.
        ModelError: the model fails.
    """
    model, call = named_call(name, options)
    with working(f"counting {name}", options), split_over(options.axes, model):
        cost = count_graph(
            model,
            call.args,
            call.kwargs,
            convention=options.reading,
            backward=options.backward,
            optimizer=options.make_optimizer,
            strict=options.strict,
            dynamic_shapes=dynamic_shapes(options.inputs),
        )
    if name is not None and not options.inputs:
        cost = chosen_by_default(cost)
    return cost.at(**options.sizes) if options.sizes else cost


def chosen_by_default(cost: AnyCost) -> AnyCost:
    """The count, of an input that was chosen for the model."""
    return cost if cost.call is None else replace(cost, call=replace(cost.call, is_default=True))


def count_held(name: str | None, options: Options) -> MemoryCost:
    """The memory of that model, as ``count`` its costs."""
    check_numbers(options)
    model, call = named_call(name, options)
    with working(f"counting {name}", options):
        return count_memory(model, call.args, call.kwargs, backward=options.backward, optimizer=options.make_optimizer)


def check_numbers(options: Options) -> None:
    """
    Raises:
        InputError: a size is a name without a number.
    """
    missing = example_sizes(options.inputs, {}).keys() - options.sizes
    if missing:
        raise InputError(f"memory is counted at sizes in numbers: give --at {'=..., '.join(sorted(missing))}=...")


def named_call(name: str | None, options: Options) -> tuple[Any, ExampleCall]:
    """The model of that name, the worked example if there is none, and the call that is counted."""
    named = named_model(name, options)
    return named.model, example_call(named, options)


def named_model(name: str | None, options: Options, generates: bool = False) -> NamedModel:
    """The model of that name, in the dtype that is asked for; the worked example if there is none."""
    with working(f"building {name}", options):
        if name is None:
            named = NamedModel(worked_example(), ExampleCall((worked_example_input(),), {}))
        else:
            named = load_model(name, generates)
        return named if options.own_dtype is None else in_dtype(named, options.own_dtype)


@contextlib.contextmanager
def working(on: str, options: Options) -> Iterator[None]:
    """Shows that the work goes on; what fails in it, other than the usage, is the model."""
    with contextlib.nullcontext() if options.quiet else progress(on):
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            if REPORT in getattr(error, "__notes__", ()):  # whoever reports it needs the traceback
                raise
            raise ModelError(_message(error, on)) from error


def example_call(named: NamedModel, options: Options) -> ExampleCall:
    """The call on the inputs that the command line describes, else the model's own example."""
    if options.inputs:
        sizes = example_sizes(options.inputs, options.sizes)
        return call_with(options.inputs, named.model, sizes)
    if named.example is None:
        names = ", ".join(required_arguments(named.model))
        raise InputError(f"describe what {options.model} takes ({names}), such as --input 1,3,224,224")
    return named.example


def view(cost: GraphCost, options: Options, other: GraphCost | None = None) -> str:
    """What the options ask to see of the costs, beside those of another model."""
    style, width = style_and_width(options)
    if options.format == "html":
        return page(cost, other, None if options.device is None else device_named(options.device))
    match options.view:
        case "device":
            return time_view(cost.roofline(options.device or ""), options, style, width)  # type: ignore[arg-type]
        case "explain":
            return cost.explain(options.explain or "")
        case "compare":
            assert other is not None
            return cost.compare(other, options.depth, style, width)
        case "json":
            return cost.to_json(indent=1)
        case "csv":
            return cost.to_csv(options.by or "node")
    if options.bytes:
        shown = options.by or "module"
        chosen = BYTES[shown]
        if cost.has_backward:
            chosen = (*(each for each in chosen if each != "share"), "backward_read", "backward_written")
        if options.by is None and options.depth is None and options.top is None:
            return overview(cost, style, width, options.units, on_command_line=True, columns=chosen)
        return cost.table(shown, options.depth, options.top, None, chosen, style, width, options.units)
    by = options.by or ("module" if options.depth is not None else "node" if options.top is not None else None)
    if by:
        return cost.table(by, options.depth, options.top, format=style, width=width, units=options.units)
    text = overview(cost, style, width, options.units, on_command_line=True)
    return text if options.model else f"{WORKED_EXAMPLE}\n\n{text}"


def style_and_width(options: Options) -> tuple[str, int | None]:
    """The format of tables, and the columns that they may take."""
    style = "github" if options.format == "github" else "simple"
    return style, None if options.output or style == "github" else terminal_width()


def memory_view(memory: MemoryCost, options: Options) -> str:
    """What the options ask to see of the memory."""
    if options.format == "json":
        return memory.to_json(indent=1)
    if options.format == "csv":
        return memory.to_csv(options.by or "module")
    style, width = style_and_width(options)
    if options.by or options.depth is not None or options.top is not None:
        return memory.table(options.by or "module", options.depth, options.top, style, width)
    return memory_overview(memory, style, width)


def time_view(roof: Roofline, options: Options, style: str, width: int | None) -> str:
    """What the options ask to see of the time at best."""
    if options.format == "json":
        return roof.to_json(indent=1)
    if options.by or options.depth is not None or options.top is not None:
        return roof.table(options.by or "module", options.depth, options.top, style, width)
    return roofline_overview(roof, style, width)


BYTES = {
    "node": ("name", "target", "output_shapes", "flops", "read", "written", "intensity", "share"),
    "module": ("name", "kind", "calls", "flops", "read", "written", "intensity", "share"),
    "operator": ("name", "calls", "flops", "read", "written", "intensity", "share"),
}
"""The columns of tables that are asked for bytes."""

WORKED_EXAMPLE = "The worked example: a convolution, a batch norm and a Hardtanh on [1, 1, 130, 40]."


def check_budgets(cost: GraphCost | None, memory: MemoryRecord | None, options: Options) -> int:
    """0, or 1 and a line that says which budget is exceeded by how much."""
    excesses = []
    if cost is not None and options.flops_budget is not None and cost.sizes:
        raise InputError(f"a budget is for numbers: give --at {'=..., '.join(cost.sizes)}=...")
    if cost is not None and options.flops_budget is not None:
        unit = f"FLOPs ({cost.convention.name}: {cost.convention.meaning})"
        excesses.append(excess(cost.flops, options.flops_budget, unit))
    if cost is not None and options.params_budget is not None:
        excesses.append(excess(cost.params, options.params_budget, "parameters"))
    if memory is not None and options.memory_budget is not None:
        peak = memory.peak_of_any
        over = excess(peak, options.memory_budget, "bytes at the peak")
        excesses.append(f"{over}: {size_text(peak)} of {size_text(options.memory_budget)}" if over else "")
    line = "; ".join(filter(None, excesses))
    if line:
        print(f"fxcount: {line}", file=sys.stderr)
    return int(bool(line))


def _message(error: Exception, doing: str) -> str:
    """The error's message, and where in the model it happened: the notes that say so, else the line of code."""
    kind = "" if isinstance(error, FxcountError) else f"{type(error).__name__}: "
    notes = getattr(error, "__notes__", ()) or (f"while {doing}{_line(error)}",)
    return "\n  ".join((f"{kind}{error}", *notes))


def _line(error: Exception) -> str:
    """The innermost line that is neither torch's nor ours, such as ``, at model.py:14 in forward``."""
    others = [os.path.join(os.path.dirname(str(module.__file__)), "") for module in (torch, fxcount)]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if os.path.isfile(frame.filename) and not frame.filename.startswith(tuple(others)):
            return f", at {os.path.relpath(frame.filename)}:{frame.lineno} in {frame.name}"
    return ""
