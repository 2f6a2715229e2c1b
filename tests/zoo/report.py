"""The report of a run: totals by family, then how the counts compare, and everything that does not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import tabulate

from tests.zoo.backward import RUNS as BACKWARD_RUNS
from tests.zoo.check import TRACERS, Result
from tests.zoo.flop_counter import RUNS


def report(results: Sequence[Result], command: str, versions: str) -> str:
    """The results as a page of Markdown."""
    parts = [
        "# Coverage",
        f"Printed by `{command}` with {versions}. Every model is built from its configuration, without trained "
        "weights, and counted at its own input size. A problem is whatever `tests/zoo/check.py` finds not to hold: a "
        "failure, an operator that is not counted, another number of parameters than the model has, a model that has "
        "changed, a graph that is not well formed or computes something else, tracers that disagree, another count of "
        "multiply-accumulates than torch's, other figures than the library publishes.",
        totals(results),
        "## What does not hold",
        problems(results),
        "## Tracers",
        'Which tracer counted a model when the choice was left to `tracer="auto"`; and, where more than one was tried, '
        "between which ones the whole cost, field by field, is the same. A model that was executed has been run with "
        "real weights and input as well, and the graph of every tracer has computed what the model computes.",
        tracers(results),
        "## torch.utils.flop_counter",
        "The multiply-accumulates and half of `FlopCounterMode`'s flops for the same model and input. An operator that "
        "it does not know counts as 0 there: where the counts differ by exactly what these operators cost, they are "
        "listed in the second table, and this is no agreement. The model runs on meta tensors where it can; on shapes "
        "and known values, such as those of a mask, where it asks for them; on data where its control flow does.",
        comparison(results),
        unknown(results),
        "## The backward pass",
        "The multiply-accumulates of `count_graph(..., backward=True)` and half of `FlopCounterMode`'s flops in a "
        "backward pass that autograd runs for the same outputs, attention by its definition, the flops of a grouped "
        "convolution's gradient mended; a model runs without data where it can, else with values that are known, or on "
        "data. A recording of a model that takes its gradients itself costs the same, field by field, and the forward "
        "what it costs alone: else it is a problem above.",
        backward(results),
        "## The largest models",
        largest(results),
        "## Architectures of transformers",
        names(result for result in results if result.family == "transformers"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def totals(results: Sequence[Result]) -> str:
    """Models by family and kind; timm has about a hundred kinds, so its are only counted."""
    rows: list[Sequence[object]] = []
    for family, members in by_family(results).items():
        kinds = grouped(members, lambda result: result.kind)
        rows.append((family, f"all {len(kinds)} kinds", *tally(members)))
        if len(kinds) < 20:
            rows += [("", kind, *tally(some)) for kind, some in kinds.items()]
    rows.append(("total", "", *tally(results)))
    headers = ("library", "kind", "models", "counted", "nothing uncounted", "published figures equal", "with problems")
    return table(rows, headers)


def tally(results: Sequence[Result]) -> tuple[int, ...]:
    counted = [result for result in results if result.tracer]
    return (
        len(results),
        len(counted),
        sum(not result.uncounted for result in counted),
        sum(result.published for result in results),
        sum(bool(result.problems) for result in results),
    )


def problems(results: Sequence[Result]) -> str:
    lines = [f"- {result.family} {result.name}: {problem}" for result in results for problem in result.problems]
    return "\n".join(lines) or "Nothing: every check held for every model."


def tracers(results: Sequence[Result]) -> str:
    rows = []
    for family, members in by_family(results).items():
        chosen = Counter(result.tracer for result in members)
        agreeing = Counter(" = ".join(result.agreeing) for result in members if result.agreeing)
        agreed = ", ".join(f"{names} for {count}" for names, count in agreeing.most_common())
        rows.append((family, *(chosen[name] for name in TRACERS), agreed))
    return table(rows, ("library", *TRACERS, "the same cost"))


OUTCOMES = ("equal", "equal but for unknown operators", "equal but for other rules", "does not run", "differs")


def comparison(results: Sequence[Result]) -> str:
    rows = []
    for family, members in by_family(results).items():
        for ran_on in (*RUNS, ""):
            some = [result for result in members if result.torch_on == ran_on and result.torch]
            outcomes = Counter(result.torch.partition(":")[0] for result in some)
            if some:
                rows.append((family, ran_on, *(outcomes[outcome] for outcome in OUTCOMES)))
    return table(rows, ("library", "run on", *OUTCOMES))


def backward(results: Sequence[Result]) -> str:
    rows = []
    for family, members in by_family(results).items():
        for ran_on in (*BACKWARD_RUNS, "data", ""):
            some = [result for result in members if result.backward_on == ran_on and result.backward_torch]
            outcomes = Counter(result.backward_torch.partition(":")[0] for result in some)
            if some:
                rows.append((family, ran_on, *(outcomes[outcome] for outcome in OUTCOMES)))
    return table(rows, ("library", "run on", *OUTCOMES)) if rows else ""


def unknown(results: Sequence[Result]) -> str:
    """The contractions that FlopCounterMode does not know, and in which models it has met them."""
    models: dict[str, list[str]] = {}
    for result in results:
        for operator in result.unknown:
            models.setdefault(operator, []).append(result.name)
    rows = [(operator, len(found), ", ".join(found)) for operator, found in sorted(models.items())]
    return table(rows, ("unknown operator", "models", "which")) if rows else ""


def largest(results: Sequence[Result], count: int = 10) -> str:
    rows = [
        (result.name, f"{result.params:,}", f"{result.macs:,}", f"{result.nodes:,}")
        for result in sorted(results, key=lambda result: -result.params)[:count]
    ]
    return table(rows, ("model", "parameters", "macs", "nodes"))


def names(results: Iterable[Result]) -> str:
    kinds = grouped(results, lambda result: result.kind)
    return "\n".join(f"- {kind}: {', '.join(result.name for result in members)}" for kind, members in kinds.items())


def by_family(results: Iterable[Result]) -> Mapping[str, list[Result]]:
    return grouped(results, lambda result: result.family)


def grouped(results: Iterable[Result], key: Callable[[Result], str]) -> dict[str, list[Result]]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    numbers = [isinstance(value, int) or str(value).replace(",", "").isdigit() for value in rows[0]]
    return tabulate.tabulate(
        rows,
        headers,
        tablefmt="github",
        disable_numparse=True,
        colalign=["right" if each else "left" for each in numbers],
    )
