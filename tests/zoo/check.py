"""What must hold for every model of the zoo."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from fxcount import FxcountError, GraphCost, count_graph
from tests.zoo.entry import Entry, Published
from tests.zoo.flop_counter import count_as_torch_does


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
    seconds: float = 0.0
    """What `count_graph` took, from the model to the result."""
    torch: str = ""
    """How the macs compare with FlopCounterMode: "equal", or why they do not."""
    torch_on: str = ""
    """What FlopCounterMode ran on: see `flop_counter.RUNS`."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Contractions that FlopCounterMode counts as 0, to the macs that are missing there."""
    published: int = 0
    """How many published figures are the same here."""
    problems: list[str] = field(default_factory=list)
    """What does not hold, a line each."""


def check(entry: Entry) -> Result:
    """Counts one model in every way that there is; a failure is noted, not raised."""
    result = Result(entry.family, entry.kind, entry.name)
    try:
        model, example = entry.make()
    except Exception as error:
        result.problems.append(f"cannot be built: {one_line(error)}")
        return result
    try:
        started = time.perf_counter()
        cost = count_graph(model, example)
        result.seconds = time.perf_counter() - started
    except Exception as error:
        result.problems.append(f"cannot be counted: {one_line(error)}")
        return result
    result.tracer, result.macs, result.params, result.nodes = cost.tracer, cost.macs, cost.params, len(cost.nodes)
    if cost.uncounted:
        result.problems.append(f"uncounted: {cost.uncounted}")
    if cost.params != (params := sum(parameter.numel() for parameter in model.parameters())):
        result.problems.append(f"{cost.params} parameters, the model has {params}")
    try:
        cost.graph.graph.lint()
    except Exception as error:
        result.problems.append(f"the graph is not well formed: {one_line(error)}")
    compare_tracers(entry, model, example, cost, result)
    compare_with_torch(model, example, cost, result)
    for published in entry.published():
        compare_with_published(published, result)
    return result


def compare_tracers(entry: Entry, model: nn.Module, example: Any, cost: GraphCost, result: Result) -> None:
    """The totals of the other tracers that can trace the model, and of its real run where that is cheap, are equal."""
    others = []
    if cost.tracer == "symbolic":
        others.append(("recorded", model, example))
    if entry.executes:
        others.append(("executed", *entry.make("cpu")))
    for tracer, same_model, same_example in others:
        try:
            other = count_graph(same_model, same_example, tracer=tracer)
        except Exception as error:
            result.problems.append(f"the tracer {tracer!r} fails: {one_line(error)}")
            continue
        if (other.total, other.params) == (cost.total, cost.params):
            result.agreeing.append(tracer)
        else:
            result.problems.append(
                f"tracers disagree: {cost.tracer} {cost.total}, {cost.params} parameters, "
                f"{tracer} {other.total}, {other.params} parameters"
            )
    if result.agreeing:
        result.agreeing.insert(0, cost.tracer)


def compare_with_torch(model: nn.Module, example: Any, cost: GraphCost, result: Result) -> None:
    """Macs are half of FlopCounterMode's flops, where it runs and knows every contraction that it meets."""
    try:
        theirs = count_as_torch_does(model, example)
    except Exception as error:
        result.torch = f"does not run: {one_line(error)}"
        return
    result.torch_on, result.unknown = theirs.ran_on, dict(theirs.unknown)
    if theirs.macs == cost.macs:
        result.torch = "equal"
    elif theirs.macs + sum(theirs.unknown.values()) == cost.macs:
        result.torch = "equal but for unknown operators"
    else:
        result.torch = "differs"
        result.problems.append(
            f"{cost.macs} macs, FlopCounterMode {theirs.macs}, and it does not know {dict(theirs.unknown)}"
        )


def compare_with_published(published: Published, result: Result) -> None:
    """Macs, to the three decimals of the figure, and parameters are what the library publishes."""
    try:
        cost = count_graph(*published.entry.make())
    except Exception as error:
        result.problems.append(f"{published.source}: cannot be counted: {one_line(error)}")
        return
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
    kind = type(error).__name__ if isinstance(error, FxcountError) else f"{type(error).__module__}.{type(error).__name__}"
    text = " ".join(f"{kind.removeprefix('builtins.')}: {error} {' '.join(getattr(error, '__notes__', []))}".split())
    return text if len(text) <= length else f"{text[:length]}..."
