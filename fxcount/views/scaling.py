"""How a cost grows with each of its sizes, in words."""

import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from fxcount.result.costed_graph import CostedGraph
from fxcount.sizes.expressions import names_in, put_in, symbol, written
from fxcount.views.shown_text import ShownText
from fxcount.views.terminal import terminal_width

WIDTH = 100

GROWTH = {0: "constant", 1: "linear", 2: "quadratic", 3: "cubic"}

LARGEST = 2**60
"""Where one part is not the larger one up to here, it is not said to be."""


def scaling(cost: CostedGraph) -> str:
    """What `GraphCost.scaling` describes."""
    width = min(terminal_width() or WIDTH, WIDTH)
    if not cost.sizes:
        return "No size is a symbol: count with dynamic_shapes to see how the cost grows."
    lines = [f"FLOPs ({cost.convention.meaning}): {written(cost.flops)}"]
    lines += [line for name in cost.sizes for line in _growth(cost.flops, name, cost.sizes)]
    return ShownText("\n".join(line for each in lines for line in textwrap.wrap(each, width, subsequent_indent="  ")))


def _growth(flops: Any, name: str, sizes: Mapping[str, int]) -> Iterator[str]:
    """Lines on one size."""
    parts = parts_by_degree(flops, name)
    degrees = sorted(parts)
    yield f"{name}: {GROWTH.get(degrees[-1], f'of degree {degrees[-1]}')}"
    if len(degrees) < 2:
        return
    for degree in degrees:
        yield f"  {GROWTH.get(degree, f'of degree {degree}')} part: {written(parts[degree])}"
    for lower, higher in pairwise(degrees):
        others = {other: size for other, size in sizes.items() if other != name}
        at = ", ".join(f"{other}={size}" for other, size in others.items())
        first = larger_from(parts[lower], parts[higher], name, others)
        if first is not None:
            where = f", at {at}" if at and _depends(parts[lower], parts[higher], name) else ""
            kinds = (GROWTH.get(each, f"of degree {each}") for each in (higher, lower))
            yield "  the {} part is larger than the {} one from {}={:,} on{}".format(*kinds, name, first, where)


def parts_by_degree(expression: Any, name: str) -> dict[int, Any]:
    """The parts of an expression by the power of a size in which they grow."""
    import sympy

    if isinstance(expression, int):
        return {0: expression}
    parts: defaultdict[int, Any] = defaultdict(int)
    for term in sympy.Add.make_args(sympy.expand(expression)):
        parts[_degree(term, name)] += term
    return {degree: int(part) if part.is_Integer else part for degree, part in parts.items()}


def _degree(term: Any, name: str) -> int:
    """The power of a size in which a term grows; a floor grows as what it is of, a logarithm as a constant."""
    import sympy

    if term == symbol(name):
        return 1
    if name not in names_in(term):
        return 0
    if isinstance(term, sympy.Mul):
        return sum(_degree(factor, name) for factor in term.args)
    if isinstance(term, sympy.Pow) and term.exp.is_Integer:
        return int(term.exp) * _degree(term.base, name)
    if isinstance(term, sympy.Add | sympy.Max | sympy.floor | sympy.ceiling):
        return max(_degree(part, name) for part in term.args)
    if isinstance(term, sympy.Min):
        return min(_degree(part, name) for part in term.args)
    return 0


def _depends(lower: Any, higher: Any, name: str) -> bool:
    """Whether it matters to how two parts compare what the other sizes are."""
    import sympy

    return bool(names_in(sympy.sympify(sympy.cancel(sympy.sympify(higher) / lower))) - {name})


def larger_from(lower: Any, higher: Any, name: str, others: Mapping[str, int]) -> int | None:
    """The size from which on ``higher`` is the larger part; None if it is not, or not for any size that is met."""

    def is_larger(size: int) -> bool:
        there = {**others, name: size}
        return bool(put_in(higher, there) > put_in(lower, there))

    above = 1
    while not is_larger(above):
        above *= 2
        if above > LARGEST:
            return None
    below = above // 2
    while above - below > 1:
        middle = (above + below) // 2
        below, above = (below, middle) if is_larger(middle) else (middle, above)
    return above
