"""What must hold for every model of the zoo."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from fxcount import FxcountError, GraphCost, count_graph
from fxcount.tracing.example_call import ExampleCall
from tests.zoo.backward import backward_as_torch_does, taken_inside
from tests.zoo.entry import Entry, Published
from tests.zoo.flop_counter import TorchCount, count_as_torch_does

TRACERS = ("symbolic", "recorded", "executed")


@dataclass
class Result:
    """What came out for one model; made of what JSON has."""

    family: str
    kind: str
    name: str
    tracer: str = ""
    """The tracer that "auto" ended at."""
    agreeing: list[str] = field(default_factory=list)
    """The tracers whose totals were compared, and are the same."""
    macs: int = 0
    params: int = 0
    nodes: int = 0
    cost: dict[str, int] = field(default_factory=dict)
    """The total, field by field."""
    fingerprint: str = ""
    """A hash of all that is known of every node: two counts with the same one are the same."""
    uncounted: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    """What the whole check took."""
    torch: str = ""
    """How the macs compare with FlopCounterMode: "equal", or why they do not."""
    torch_on: str = ""
    """What FlopCounterMode ran on: see `flop_counter.RUNS`."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Contractions that FlopCounterMode counts as 0, to the macs that are missing there."""
    otherwise: dict[str, int] = field(default_factory=dict)
    """Operators that FlopCounterMode counts by another rule, as the entry says, to the macs that are missing there."""
    backward: dict[str, int] = field(default_factory=dict)
    """The cost of the backward pass, field by field."""
    backward_torch: str = ""
    """How its macs compare with those of autograd's own run under FlopCounterMode, as ``torch``."""
    backward_on: str = ""
    """What autograd ran on: see `backward.RUNS`."""
    published: int = 0
    """How many published figures are the same here."""
    problems: list[str] = field(default_factory=list)
    """What does not hold, a line each."""
    doing: str = ""
    """What the check was at; what is wrong if it ends there."""


def check(entry: Entry, backward: bool) -> Result:
    """Counts one model in every way that there is, with ``backward`` its backward pass too; a failure is noted, not
    raised."""
    result = Result(entry.family, entry.kind, entry.name)
    started = time.perf_counter()
    try:
        check_all(entry, result, backward)
    except Exception as error:
        result.problems.append(f"{result.doing}: {one_line(error)}")
    result.seconds = round(time.perf_counter() - started, 2)
    return result


def check_all(entry: Entry, result: Result, backward: bool) -> None:
    """Notes in ``result`` what does not hold; an error ends it, and ``result.doing`` says where."""
    result.doing = "cannot be built"
    model, example = entry.make()
    before = state_of(model)
    result.doing = "cannot be counted"
    cost = count_graph(model, example)
    result.tracer, result.macs, result.params, result.nodes = cost.tracer, cost.macs, cost.params, len(cost.nodes)
    result.cost, result.fingerprint, result.uncounted = cost.total.to_dict(), fingerprint_of(cost), cost.uncounted
    if cost.uncounted:
        result.problems.append(f"uncounted: {cost.uncounted}")
    if cost.params != (params := sum(parameter.numel() for parameter in model.parameters())):
        result.problems.append(f"{cost.params} parameters, the model has {params}")
    result.doing = "the graph is not well formed"
    cost.graph.graph.lint()
    if cost.tracer == "symbolic":
        result.doing = "cannot be recorded"
        compare_tracers(cost, count_graph(model, example, tracer="recorded"), result)
    if entry.executes:
        result.doing = "cannot be run on data"
        compare_on_data(entry, cost, result)
    if changed := [name for name, state in state_of(model).items() if before.get(name) != state]:
        result.problems.append(f"the model has changed: {', '.join(changed)}")
    compare_with_torch(entry, model, example, cost, result)
    if backward:
        result.doing = "has no backward pass"
        compare_backward(model, example, result)
    result.doing = "cannot be counted as it is published"
    for published in entry.published():
        compare_with_published(published, result)


def fingerprint_of(cost: GraphCost) -> str:
    """A hash of the nodes of a count: their names, calls, shapes, parameters, and operators with their equations."""
    return hashlib.sha256(json.dumps(cost.to_dict()["nodes"]).encode()).hexdigest()


def state_of(model: nn.Module) -> dict[str, tuple[Any, ...]]:
    """Every parameter and buffer, to which object it is, and where its data are."""
    state = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    return {name: (id(tensor), tensor.device, tensor.dtype, tensor.shape, address_of(tensor)) for name, tensor in state}


def address_of(tensor: torch.Tensor) -> int:
    """Where its data are; 0 for a sparse tensor, which has no one place."""
    return tensor.data_ptr() if tensor.layout == torch.strided else 0


def compare_tracers(cost: GraphCost, other: GraphCost, result: Result) -> None:
    """The whole cost and the parameters are the same, whoever made the graph."""
    if (other.total, other.params) == (cost.total, cost.params):
        result.agreeing = result.agreeing or [cost.tracer]
        if other.tracer not in result.agreeing:
            result.agreeing.append(other.tracer)
    else:
        result.problems.append(
            f"tracers disagree: {cost.tracer} {cost.total}, {cost.params} parameters, "
            f"{other.tracer} {other.total}, {other.params} parameters"
        )


def compare_on_data(entry: Entry, cost: GraphCost, result: Result) -> None:
    """With real weights and input every tracer counts the same, and its graph computes what the model computes."""
    model, example = entry.make("cpu")
    call = ExampleCall.of(example)
    counts = [count_graph(model, example, tracer=tracer) for tracer in TRACERS[TRACERS.index(cost.tracer) :]]
    # After the counts, for some models remember what they computed, and with gradients as there: some ask for them.
    expected = tensors_in(model(*call.args, **call.kwargs))
    for real in counts:
        compare_tracers(cost, real, result)
        computed = tensors_in(real.graph(*call.tensors()))
        if len(computed) != len(expected) or not all(map(torch.equal, computed, expected)):
            result.problems.append(f"the graph of the tracer {real.tracer!r} does not compute what the model computes")


def tensors_in(value: Any) -> list[torch.Tensor]:
    """The tensors in what a model returns, also in objects such as a cache."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    elif hasattr(value, "__dict__"):
        value = list(vars(value).values())
    return [tensor for each in value for tensor in tensors_in(each)] if isinstance(value, list | tuple) else []


def compare_with_torch(entry: Entry, model: nn.Module, example: Any, cost: GraphCost, result: Result) -> None:
    """Macs are half of FlopCounterMode's flops, but for operators that it does not know or counts by another rule."""
    try:
        theirs = count_as_torch_does(model, example)
    except Exception as error:
        result.torch = f"does not run: {one_line(error)}"
        return
    result.torch_on, result.unknown, result.otherwise = theirs.ran_on, dict(theirs.unknown), dict(theirs.otherwise)
    result.torch = agreement(cost.macs, theirs)
    if theirs.macs != cost.macs and not theirs.otherwise.keys() <= entry.otherwise.keys():
        result.torch = "differs"
    if result.torch == "differs":
        result.problems.append(
            f"{cost.macs} macs, FlopCounterMode {theirs.macs}, it does not know {dict(theirs.unknown)}, "
            f"and counts otherwise {dict(theirs.otherwise)}"
        )


def agreement(macs: int, theirs: TorchCount) -> str:
    """How our macs compare with torch's count."""
    if theirs.macs == macs:
        return "equal"
    if theirs.macs + sum((*theirs.unknown.values(), *theirs.otherwise.values())) != macs:
        return "differs"
    return "equal but for other rules" if theirs.otherwise else "equal but for unknown operators"


def compare_backward(model: nn.Module, example: Any, result: Result) -> None:
    """Macs are half of FlopCounterMode's flops when autograd runs the backward pass; a model that takes it itself costs
    the same, field by field; the forward costs what it does alone. In training, if the model runs then, and on data in
    evaluation, for training is random."""
    torch.manual_seed(0)  # for each run anew: what a model makes may be as long as a random number says
    try:
        cost = count_graph(model.train(), example)
    except Exception:
        cost = count_graph(model.eval(), example)
    if cost.tracer == "executed":
        cost = count_graph(model.eval(), example)
    trained: GraphCost | Exception
    try:
        trained = count_graph(model, example, backward=True)
        inside = trained.backward if trained.tracer == "executed" else taken_inside(model, example)
    except Exception as error:
        trained = error
    theirs: TorchCount | Exception
    try:
        theirs = backward_as_torch_does(model, ExampleCall.of(example))
    except Exception as error:
        theirs = error
    if isinstance(trained, Exception):
        if isinstance(theirs, TorchCount):
            raise trained
        result.backward_torch = f"does not run: {one_line(trained)}"  # nor does it without us
        return
    assert trained.backward is not None
    if not (trained.trainable and trained.backward):
        result.problems.append("there is nothing to train")
    result.backward = trained.backward.to_dict()
    if trained.total != cost.total:
        result.problems.append(f"with its backward pass the forward costs {trained.total}, not {cost.total}")
    if trained.uncounted != cost.uncounted:
        result.problems.append(f"uncounted in the backward pass: {trained.uncounted}")
    if inside != trained.backward:
        result.problems.append(f"the backward pass costs {trained.backward}, taken inside of the model {inside}")
    if isinstance(theirs, Exception):
        result.backward_torch = f"does not run: {one_line(theirs)}"
        return
    result.backward_on = theirs.ran_on
    result.backward_torch = agreement(trained.backward.macs, theirs)
    if result.backward_torch == "differs":
        result.problems.append(
            f"backward: {trained.backward.macs} macs, FlopCounterMode {theirs.macs}, it does not know "
            f"{dict(theirs.unknown)}, and counts otherwise {dict(theirs.otherwise)}"
        )


def compare_with_published(published: Published, result: Result) -> None:
    """Macs, to the three decimals of the figure, and parameters are what the library publishes."""
    cost = count_graph(*published.entry.make())
    giga_macs = None if published.giga_macs is None else round(cost.macs / 1e9, 3)
    if (cost.params, giga_macs) == (published.params, published.giga_macs):
        result.published += 1
    else:
        result.problems.append(
            f"{published.source}: {published.params} parameters and {published.giga_macs} G macs are published, "
            f"counted {cost.params} and {giga_macs}"
        )


def one_line(error: BaseException, length: int = 400) -> str:
    """An error with its notes on one line."""
    kind = (
        type(error).__name__ if isinstance(error, FxcountError) else f"{type(error).__module__}.{type(error).__name__}"
    )
    text = " ".join(f"{kind.removeprefix('builtins.')}: {error} {' '.join(getattr(error, '__notes__', []))}".split())
    return text if len(text) <= length else f"{text[:length]}..."
