"""The report of a run: totals by family, then everything that does not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import tabulate

from tests.zoo.check import Result


def report(results: Sequence[Result], command: str, versions: str) -> str:
    """The results as a page of Markdown."""
    parts = [
        "# Coverage",
        f"Printed by `{command}` with {versions}. Every model is built without weights and counted at its own input "
        "size; `tests/zoo/check.py` says what must hold.",
        totals(results),
        "## Tracers",
        "How many models each tracer counted when the choice was left to `tracer=\"auto\"`, and between which tracers "
        "the whole cost, field by field, was compared and is the same.",
        tracers(results),
        "## torch.utils.flop_counter",
        "How the multiply-accumulates compare with half of `FlopCounterMode`'s flops for the same model and input. An "
        "operator that it does not know counts as 0 there; where the difference is exactly what those operators cost "
        "here, they are named below. It runs the model itself, so it does not run where the model asks for values.",
        comparison(results),
        unknown(results),
        "## What does not hold",
        problems(results),
        "## All models",
        models(results),
    ]
    return "\n\n".join(parts) + "\n"


def totals(results: Sequence[Result]) -> str:
    """Models by family and kind."""
    rows = []
    for family, members in grouped(results, lambda result: result.family).items():
        kinds = grouped(members, lambda result: result.kind)
        shown = {"all": members, **(kinds if len(kinds) < 20 else {})}
        rows += [(family if kind == "all" else "", kind, *tally(some)) for kind, some in shown.items()]
    rows.append(("total", "", *tally(results)))
    return table(rows, ("library", "kind", "models", "counted", "nothing uncounted", "published figures equal", "problems"))


def tally(results: Sequence[Result]) -> tuple[int, ...]:
    return (
        len(results),
        sum(bool(result.tracer) for result in results),
        sum(bool(result.tracer) and not any(map(is_uncounted, result.problems)) for result in results),
        sum(result.published for result in results),
        sum(bool(result.problems) for result in results),
    )


def is_uncounted(problem: str) -> bool:
    return problem.startswith("uncounted")


def tracers(results: Sequence[Result]) -> str:
    rows = []
    for family, members in grouped(results, lambda result: result.family).items():
        chosen = Counter(result.tracer for result in members)
        agreeing = Counter(" = ".join(result.agreeing) for result in members if result.agreeing)
        agreed = ", ".join(f"{names}: {count}" for names, count in agreeing.most_common())
        rows.append((family, *(chosen[name] for name in ("symbolic", "recorded", "executed")), agreed))
    return table(rows, ("library", "symbolic", "recorded", "executed", "the same totals"))


OUTCOMES = ("equal", "equal but for unknown operators", "does not run", "differs")


def comparison(results: Sequence[Result]) -> str:
    rows = []
    for family, members in grouped(results, lambda result: result.family).items():
        outcomes = Counter(result.torch.partition(":")[0] for result in members)
        rows.append((family, *(outcomes[outcome] for outcome in OUTCOMES)))
    return table(rows, ("library", *OUTCOMES))


def unknown(results: Sequence[Result]) -> str:
    models: Counter[str] = Counter()
    for result in results:
        models.update(result.unknown.keys())
    return table(models.most_common(), ("contraction that FlopCounterMode does not know", "models"))


def problems(results: Sequence[Result]) -> str:
    lines = [f"- {result.family} {result.name}: {problem}" for result in results for problem in result.problems]
    return "\n".join(lines) or "Nothing."


def models(results: Sequence[Result]) -> str:
    rows = [
        (result.family, result.name, result.tracer, f"{result.params:,}", f"{result.macs:,}", f"{result.nodes:,}")
        for result in results
    ]
    return table(rows, ("library", "model", "tracer", "parameters", "macs", "nodes"))


def grouped(results: Iterable[Result], key: Callable[[Result], str]) -> dict[str, list[Result]]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    return tabulate.tabulate(rows, headers, tablefmt="github", disable_numparse=True)
