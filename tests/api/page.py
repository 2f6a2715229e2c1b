"""The page of the public names, ``docs/api.md``, written from the code."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fxcount
from fxcount.cost import conventions
from tests.api.docstring import link, markdown, marked
from tests.api.source import attributes, class_statement, method_signature, methods, properties, signature
from tests.markdown import table

PAGE = Path(__file__).parents[2] / "docs" / "api.md"

INTRODUCTION = """\
The public names of `fxcount`, as `python -m tests.api` writes them from the code. One call, `count_graph`, counts a
model. It returns a `GraphCost`: totals, the costs of nodes, modules and operators, and the views of them. Every cost is
a `Cost`, and a `Convention` makes one number of it, the FLOPs. The [tutorial](tutorial.md) shows all of this at work,
and the [cost model](cost-model.md) says what counts."""

GROUPS = {
    "Counting": ("", ["count_graph", "count_memory", "count_step", "count_generation", "count_pipeline"]),
    "The result": (
        "A `Shape` is a `tuple[int, ...]`. A `CostedGraph` is a `GraphCost` without the views, and a `Submodule` the "
        "class name and the calls of a module.",
        [
            "GraphCost",
            "NodeCost",
            "ModuleCost",
            "OperatorTotal",
            "OperatorCost",
            "OperatorCall",
            "TensorInfo",
            "Condition",
            "CountedCall",
            "Counts",
            "OptimizerStep",
        ],
    ),
    "Memory": (
        "A `MemoryRecord` is a `MemoryCost` without the views.",
        ["MemoryCost", "ModuleMemory", "Allocation", "Moment"],
    ),
    "Time": (
        "A `RooflineRecord` is a `Roofline` without the views, and `Rooflines` are those of several devices.",
        ["Device", "Roofline", "TimeAtBest", "CallAtBest"],
    ),
    "Steps and generations": (
        "A `StepRecord` is a `StepCost` without the views, and a `GenerationRecord` a `GenerationCost`.",
        ["StepCost", "GenerationCost", "GenerationPart"],
    ),
    "Several ranks": (
        "A `PipelineRecord` is a `PipelineCost` without the views. An `Action` is a stage, `F`, `B`, `I` or `W`, and a "
        "microbatch; a `Received` is a stage, bytes, and whether their gradient is given back.",
        ["fake_mesh", "Communication", "Collective", "PipelineCost", "StageCost"],
    ),
    "Pictures": ("", ["Picture"]),
    "Other tools": (
        "A `ToolRecord` is a `ToolCount` without the views. [Why my number differs](other-tools.md) has the rules.",
        ["ToolCount", "ToolPart"],
    ),
    "Costs and conventions": (
        "The [cost model](cost-model.md) says what each field counts and who uses which convention.",
        ["Cost", "Convention", "CONVENTIONS"],
    ),
    "Formulas": (
        "The [tutorial](tutorial.md#your-own-formulas) has one for a module, an operator and a function.",
        ["register_formula"],
    ),
    "Errors": (
        "An error of the model itself is none of these: it is raised as it is, with a note on where it happened.",
        [
            "FxcountError",
            "ConventionError",
            "InputError",
            "TracingError",
            "DataNeededError",
            "SizeError",
            "FormulaError",
            "UncountedError",
        ],
    ),
}
"""The sections: what is said in front, and the names."""


def api_page() -> str:
    """The page as Markdown: a list of all names, then each of them."""
    contents = "\n".join(f"- {title}: {', '.join(map(link, names))}" for title, (_, names) in GROUPS.items())
    blocks = ["# The public names", marked(INTRODUCTION), contents]
    for title, (introduction, names) in GROUPS.items():
        blocks += [f"## {title}", *filter(None, [marked(introduction)])]
        for name in names:
            blocks += _blocks(name, getattr(fxcount, name))
    return "\n\n".join(blocks) + "\n"


def _blocks(name: str, value: Any) -> Iterator[str]:
    yield f"### {name}"
    if inspect.isclass(value):
        yield from _class(value)
    elif inspect.isfunction(value):
        yield _code(signature(value, name))
        yield _text(value)
    else:
        (constant,) = (each for each in attributes(conventions) if each.name == name)
        yield _code(f"{name}: {constant.type}")
        yield markdown(constant.text)


def _class(kind: type) -> Iterator[str]:
    """The class, its attributes, and its methods; those of a base class first."""
    yield _code(class_statement(kind))
    yield _text(kind)
    ours = [each for each in reversed(kind.__mro__) if each.__module__.startswith("fxcount.")]
    found = [attribute for each in ours for attribute in (*attributes(each), *properties(each))]
    if found:
        rows = ((f"`{each.name}`", marked(f"`{each.type}`"), markdown(each.text)) for each in found)
        yield table(("attribute", "type", "what it is"), rows).rstrip("\n")
    for each in ours:
        for name, method, of_the_class in methods(each):
            yield f"#### {kind.__name__}.{name}"
            yield _code(method_signature(method, f"classmethod {name}" if of_the_class else name))
            yield _text(method)


def _code(text: str) -> str:
    return textwrap.indent(text, "    ")


def _text(thing: Any) -> str:
    return markdown(inspect.getdoc(thing) or "")
