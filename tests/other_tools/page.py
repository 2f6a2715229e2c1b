"""The page on why numbers differ."""

from __future__ import annotations

from collections.abc import Sequence

from fxcount.analyses.other_tools import TOOLS as RULES
from fxcount.views.tool_table import signed
from tests.markdown import table
from tests.other_tools.held import Held, HeldModel
from tests.other_tools.models import HEADLINES
from tests.other_tools.tools import TOOLS

HEAD = """# Why my number differs

Written by `python -m tests.other_tools`, which runs the other tools: what each prints for a model, under which
convention, and the difference from the count here taken apart into operators, to the last integer. The same for any
count is `cost.as_counted_by("fvcore")`, and so on, which needs no other tool. The models have random weights, are in
eval mode, and are counted once with one argument.
"""

LIMITS = """## Where a rule cannot be stated

`as_counted_by` raises, and never guesses, where a count does not tell what a tool sees:

- Tools that replace functions (ptflops, calflops) count `torch.add(x, y)` and `x.add(y)` and not `x + y`. Where a
  function of the model's or of torch's is one node, what it called in it is not told; `tracer="recorded"` takes the
  model's apart.
- `torch.nn.TransformerEncoderLayer` and its like are one node here, and the tools that read modules count the layers in
  it.
- A module that the model holds by several paths is counted at each of them by thop, ptflops and calflops, and torchinfo
  knows one of these.
- Factors of an interpolation that differ by axis and are no whole numbers (ptflops), and sizes or strides that the
  model computes (calflops).
- A module that is called and that the model does not hold, such as those that an export tells of, for tools that read
  modules.
- A function that is looked up neither in torch, nor under a name of the file's own (`from torch.nn.functional import
  relu`), nor in a module (`self.act = F.relu`), but in a dict or a list, as an argument or its default, in a variable
  of the function or of one around it, or by `map`: ptflops and calflops replace what torch's names stand for, and what
  is kept in such a place may be older.
- Hooks of torch's that compute the weight of a layer, such as those of the older `spectral_norm`, hooks of a layer
  that return something else than the layer, and hooks that are called before the model (calflops).
- What NumPy makes of an einsum of more than two tensors (fvcore, calflops).
- Symbols as sizes, and counts that were restored from JSON, for tools that read modules or functions.
"""


def page(models: Sequence[HeldModel], versions: str) -> str:
    """The whole page."""
    parts = [HEAD, f"Versions: {versions}.\n", "## What each tool counts\n"]
    parts.append(table(("tool", "called as", "its number", "what it counts"), map(_rule, TOOLS)))
    headlines = [model for name in HEADLINES for model in models if model.name == name]
    if headlines:
        parts += ["## What each prints\n", _printed(headlines)]
    for model in headlines:
        parts += [f"## {model.name}\n", _apart(model), *_notes(model)]
    parts += ["## Where the rule says what the tool prints\n", _equal(models), _unequal(models), LIMITS]
    return "\n".join(parts).rstrip("\n") + "\n"


def _rule(tool: str) -> tuple[str, ...]:
    return tool, f"`{TOOLS[tool].call}`{TOOLS[tool].where}", RULES[tool].unit, RULES[tool].rule


def _printed(models: Sequence[HeldModel]) -> str:
    rows = [
        (tool, *(_number(model.tools[tool]) for model in models))
        for tool in TOOLS
        if all(tool in model.tools for model in models)
    ]
    ours = ("fxcount, multiplications", *(f"{model.cost.flops:,}" for model in models))
    macs = ("fxcount, macs", *(f"{model.cost.macs:,}" for model in models))
    return table(("", *(model.name for model in models)), [ours, macs, *rows])


def _number(each: Held) -> str:
    return "fails" if each.printed is None else f"{each.printed:,}"


def _apart(model: HeldModel) -> str:
    """The difference of each tool from ours, by operator."""
    rows = []
    for tool, each in model.tools.items():
        if each.count is None or not each.is_equal:
            rows.append((tool, "", "", _number(each), f"{model.cost.flops:,}", "", each.why_not))
            continue
        ours = each.count.cost.flops
        rows.append((tool, "total", "", f"{each.count.total:,}", f"{ours:,}", signed(each.count.difference), ""))
        rows += [
            (
                "",
                _operator(part.operator),
                f"{part.calls:,}",
                f"{part.theirs:,}",
                f"{part.ours:,}",
                signed(part.difference),
                part.why,
            )
            for part in each.count.parts
            if part.difference
        ]
    return table(("tool", "operator", "calls", "theirs", "ours", "difference", "why"), rows)


def _notes(model: HeldModel) -> list[str]:
    """Where a tool prints another number for the same model."""
    notes = {tool: each.count.notes for tool, each in model.tools.items() if each.count is not None}
    return [f"{tool}: {' '.join(some)}\n" for tool, some in notes.items() if some]


def _operator(name: str) -> str:
    return f"`{name}`" if name else ""


def _equal(models: Sequence[HeldModel]) -> str:
    sums = {tool: sum(model.tools[tool].is_equal for model in models) for tool in TOOLS}
    text = ", ".join(f"{tool} {number}" for tool, number in sums.items())
    rows = [(model.name, *(_sign(model.tools[tool]) for tool in TOOLS)) for model in models]
    return f"Of {len(models)} models the two numbers are equal to the last integer for {text}.\n\n" + table(
        ("", *TOOLS), rows
    )


def _sign(each: Held) -> str:
    if each.is_equal:
        return "equal, recorded" if each.recorded else "equal"
    return "the tool fails" if each.printed is None else "not stated" if each.count is None else "differs"


def _unequal(models: Sequence[HeldModel]) -> str:
    lines = [
        f"- {model.name}, {each.tool}: {each.why_not}."
        for model in models
        for each in model.tools.values()
        if not each.is_equal
    ]
    return "\n".join(["Not equal:\n", *lines, ""]) if lines else ""
