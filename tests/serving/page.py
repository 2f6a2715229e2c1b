"""The page of what serving costs, beside counted steps, real runs and published figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.markdown import table
from tests.serving.held import BATCH, GENERATE, PROMPT, Held
from tests.serving.published import FIGURES, UNITS, Counted, is_exact

HEAD = f"""\
# Serving, beside counted steps, real runs and published figures

Written by `python -m tests.serving`.

## In closed form, and step by step

`count_generation` counts some steps and knows those between. Here all are counted, one after the other in one count, of
small models of transformers: {BATCH} sequences, a prompt of {PROMPT} tokens and {GENERATE} more, so that windows of 16
tokens fill. `sum`: every field of the cost and the bytes are those of the counted steps. `generate`: the macs are those
that torch's own `FlopCounterMode` sees in a real run of `generate`, with random weights and data.

"""

PUBLISHED = """
## Published figures

Models are built from their configurations, without weights, in bfloat16. Active parameters are the weights that a token
meets in products, the table of embeddings and all vectors. FLOPs of training are two for each multiply-accumulate of
the forward and the backward pass of 4,096 tokens: `attention half` counts half of all scores, for no token sees a later
one, where `count_graph` counts what the operator is defined to compute, all of them.

"""


def page(families: Iterable[Held], counted: Mapping[str, Counted]) -> str:
    """The whole page."""
    rows = [
        (
            each.family,
            f"{each.counted.whole.cost.macs:,}",
            ", ".join(f"{one.first}-{one.last}" for one in each.counted.stretches),
            "equal" if each.is_sum else "differs",
            "equal" if each.counted.whole.cost.macs == each.real else f"{each.real:,}",
        )
        for each in families
    ]
    text = HEAD + table(("family", "macs", "stretches of the cache's length", "sum", "generate"), rows)
    return text + PUBLISHED + table(("model", "quantity", "published", "counted", "", "source"), _figures(counted))


def _figures(counted: Mapping[str, Counted]) -> Iterable[tuple[str, ...]]:
    for each in FIGURES:
        number = counted[each.model].of(each.quantity)
        shown = f"{number / UNITS[each.figure.split()[1]]:,.3f} {each.figure.split()[1]}"
        verdict = "exact" if is_exact(each.figure, number) else each.note
        yield each.model, each.quantity, each.figure, shown, verdict, each.source
