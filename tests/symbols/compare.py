"""A model of the zoo in symbolic sizes, and what is counted at several sizes."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from fxcount import FxcountError, GraphCost, count_graph
from fxcount.result.at_sizes import is_exceptional
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.dynamic_shapes import DynamicShapes
from fxcount.tracing.example_call import ExampleCall
from tests.zoo.entry import Entry

POINTS: Mapping[str, tuple[Mapping[str, int], ...]] = {
    "batch": tuple({"batch": batch} for batch in (1, 2, 3, 7, 16)),
    "batch and length": tuple(
        {"batch": batch, "length": length, "length2": other}
        for batch, length, other in ((1, 7, 5), (2, 33, 17), (3, 64, 32), (5, 1, 1), (1, 101, 50))
    ),
    "batch, height and width": tuple(
        {"batch": batch, "height": height, "width": width}
        for batch, height, width in ((1, 224, 224), (2, 225, 223), (3, 97, 130), (1, 301, 255), (2, 256, 192))
    ),
}
"""What is a symbol, to the five sizes at which counts are compared, odd ones among them."""


@dataclass
class Compared:
    """What came out for one model; made of what JSON has."""

    family: str
    name: str
    kind: str
    """What is a symbol: one of ``POINTS``."""
    macs: str = ""
    conditions: list[str] = field(default_factory=list)
    equal: int = 0
    """At so many sizes the count in numbers is the same."""
    left_out: int = 0
    """So many sizes are none for which the conditions hold, or that the model takes."""
    different: list[str] = field(default_factory=list)
    settled: str = ""
    """Where the model settles a size, or why it cannot be counted without data."""
    ratio: float = 0.0
    """The time of the count in symbols over that of one in numbers."""


def compare(entry: Entry, kind: str) -> Compared | None:
    """The comparison of one model; None where it has no input of that kind."""
    model, example = entry.make()
    shapes = dynamic_shapes(example, kind)
    if shapes is None:
        return None
    result = Compared(entry.family, entry.name, kind)
    example = dict(example) if isinstance(example, Mapping) else example
    count_graph(model, example)
    times = [time.perf_counter()]
    count_graph(model, example)
    times.append(time.perf_counter())
    try:
        symbolic = count_graph(model, example, dynamic_shapes=shapes)
    except Exception as error:  # ours, or the model's own, of an input of another size
        kind = "" if isinstance(error, FxcountError) else f"{type(error).__name__}: "
        result.settled = without_paths(kind + " ".join((str(error), *getattr(error, "__notes__", ()))))
        return result
    times.append(time.perf_counter())
    result.ratio = round((times[2] - times[1]) / (times[1] - times[0]), 2)
    result.macs = str(symbolic.macs)
    result.conditions = [without_paths(str(each)) for each in symbolic.conditions]
    call = ExampleCall.of(example)
    inputs = DynamicShapes.of(shapes, call, CountedModel.of(model).forward)
    for point in POINTS[kind]:
        sizes = {name: size for name, size in point.items() if name in symbolic.sizes}
        if not all(each.holds(sizes) or each.is_exception for each in symbolic.conditions):
            result.left_out += 1
            continue
        resized = inputs.resized(call, sizes)
        try:
            counted = count_graph(model, resized.args, resized.kwargs, tracer=symbolic.tracer)
        except Exception:  # the model does not take such an input
            result.left_out += 1
            continue
        # Where the model would be counted anew for a caveat, it is the expressions that are compared.
        formula = symbolic if is_exceptional(symbolic, sizes) else replace(symbolic, conditions=(), count_at=None)
        found = [*differences(formula.at(**sizes), counted)]
        result.equal += not found
        result.different += [f"{sizes}: {each}" for each in found]
    return result


def dynamic_shapes(example: Any, kind: str) -> Any:
    """The axes that are symbols; None where the example is of another kind."""
    if isinstance(example, torch.Tensor):
        if kind == "batch and length":
            return None
        axes = {0: "batch", 2: "height", 3: "width"} if kind == "batch, height and width" else {0: "batch"}
        return (axes,) if example.dim() == 4 else None
    if not isinstance(example, Mapping) or kind == "batch, height and width":
        return None
    lengths: dict[int, str] = {}
    shapes: dict[str, dict[int, str]] = {}
    for name, value in example.items():
        if isinstance(value, torch.Tensor) and value.dim():
            shapes[name] = {0: "batch"}
            if kind == "batch and length" and value.dim() == 2 and not value.is_floating_point():
                shapes[name][1] = lengths.setdefault(
                    value.shape[1], "length" if not lengths else f"length{len(lengths) + 1}"
                )
    return shapes if lengths or kind == "batch" else None


def differences(symbolic: GraphCost, counted: GraphCost) -> Iterator[str]:
    """Field by field, and node by node where there are as many."""
    if symbolic.total != counted.total:
        yield f"the total is {symbolic.total} and not {counted.total}"
    if symbolic.traffic != counted.traffic:
        yield f"{symbolic.traffic} and not {counted.traffic}"
    if len(symbolic.nodes) != len(counted.nodes):
        yield f"{len(symbolic.nodes)} nodes and not {len(counted.nodes)}"
        return
    for one, other in zip(symbolic.nodes, counted.nodes, strict=True):
        pairs = (
            (getattr(one, name), getattr(other, name)) for name in ("cost", "params", "input_shapes", "output_shapes")
        )
        if any(here != there for here, there in pairs):
            yield f"node {one.name}"
            return


def without_paths(text: str) -> str:
    """A text in which files are told from where their package begins."""
    for path in sorted((each for each in sys.path if each), key=len, reverse=True):
        text = text.replace(f"{path.rstrip('/')}/", "")
    return re.sub(r"\s+", " ", text)
