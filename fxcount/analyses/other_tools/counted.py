"""A count as another tool counts it, beside ours, operator by operator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from fxcount.analyses.other_tools import calflops, fvcore, ptflops, thop, torch_counter, torchinfo
from fxcount.analyses.other_tools.calls import Calls, Seen
from fxcount.analyses.other_tools.record import ToolPart, ToolRecord
from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph


class Tool(NamedTuple):
    """The rule of one tool."""

    unit: str
    rule: str
    seen: Callable[[Calls], Iterator[Seen]]
    notes: Callable[[Calls], Iterator[str]]


TOOLS: Mapping[str, Tool] = {
    name: Tool(module.UNIT, module.RULE, module.seen, module.notes)
    for name, module in {
        "fvcore": fvcore,
        "ptflops": ptflops,
        "thop": thop,
        "torchinfo": torchinfo,
        "calflops": calflops,
        "torch": torch_counter,
    }.items()
}
"""The tools whose rules are known, by name."""

UNSEEN, UNSEEN_ATTENTION = "not seen", "attention is not seen"


def counted_by(cost: CostedGraph, tool: str) -> ToolRecord:
    """What ``tool`` prints for the counted call.

    Raises:
        InputError: the tool is unknown, sizes are symbols, or the count does not tell what the tool sees.
        FxcountError: the tool reads the graph, and the count was restored from JSON.
    """
    if tool not in TOOLS:
        raise InputError(f"no rule is known of {tool!r}; those of {', '.join(TOOLS)} are")
    if cost.sizes:
        raise InputError(f"other tools count numbers: put them in with cost.at({'=..., '.join(cost.sizes)}=...)")
    calls, rule = Calls(cost), TOOLS[tool]
    parts = _parts(calls, rule.seen(calls))
    return ToolRecord(tool, rule.unit, rule.rule, parts, tuple(rule.notes(calls)), cost)


def _parts(calls: Calls, seen: Iterable[Seen]) -> tuple[ToolPart, ...]:
    """All that is seen, and all that costs here, added up by operator and reason."""
    theirs: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for place, why, amount in seen:
        theirs[place][why] += amount
    read = calls.cost.convention.read
    added: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])

    def add(operator: str, why: str, amount: int, ours: int) -> None:
        for k, number in enumerate((1, amount, ours)):
            added[operator, why][k] += number

    for place, operator in enumerate(calls.operators):
        ours, reasons = read(operator.cost), theirs.pop(place, {})
        if not reasons and ours:
            reasons = {UNSEEN_ATTENTION if "attention" in operator.name else UNSEEN: 0}
        for k, (why, amount) in enumerate(reasons.items()):
            if amount or ours:
                add(operator.name, why, amount, 0 if k else ours)
    for reasons in theirs.values():
        for why, amount in reasons.items():
            add("", why, amount, 0)
    parts = [ToolPart(operator, why, *numbers) for (operator, why), numbers in added.items()]
    return tuple(sorted(parts, key=lambda part: (-abs(part.difference), -part.theirs, part.operator)))
