"""`CheckedSizes`: a count in symbolic sizes, compared with counts in numbers.

Torch answers some questions about a size as it is in the example, such as whether an axis has one element, and a model
may ask for values that depend on sizes. So the costs are compared with those that are counted at other sizes: where
they are the same, a question made no difference; where not, it is a condition, or an error.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from fxcount.errors import SizeError
from fxcount.fault_origin import origin_of_fault
from fxcount.graph_cost import GraphCost
from fxcount.result.at_sizes import reader
from fxcount.sizes.conditions import Condition, caveat, excluded, more_than_one, solved, tightest

Sizes = Mapping[str, int]

MOST_EXCEPTIONS = 8
"""So many exceptions are tried; further ones stay conditions."""


class CheckedSizes:
    """The conditions of a count, as far as they make a difference."""

    def __init__(self, cost: GraphCost, count: Callable[[Sizes], GraphCost], values_asked: Sequence[str]) -> None:
        """``count`` counts at sizes in numbers; ``values_asked`` are the places where a value was asked for that
        depends on sizes."""
        self._cost = cost
        self._count = count
        self._values_asked = values_asked
        self._agrees: dict[tuple[int, ...], bool] = {}

    def conditions(self, traced: Sizes, bounds: Sequence[Condition] = ()) -> tuple[Condition, ...]:
        """Those without which the costs are not the same as counted, and ``bounds``, which stay in any case; ``traced``
        are sizes at which they were found.

        Raises:
            SizeError: the costs are others at sizes for which nothing was asked.
        """
        exceptions = [each for each in self._cost.conditions if excluded(each.relation) is not None]
        kept = firm = [*bounds, *(each for each in self._cost.conditions if each not in exceptions)]
        for name in traced:  # torch takes a size to be more than one, and asks nothing
            if not self._makes_no_difference({**traced, name: 1}, firm):
                kept = [*kept, Condition(more_than_one(name), "one is counted otherwise", is_exception=True)]
        tried = 0
        for condition in exceptions:
            point = next(
                (each for each in solved(excluded(condition.relation), traced) if not condition.holds(each)), None
            )
            if point is not None and not all(each.holds(point) for each in kept):
                continue
            tried += 1
            if point is None or tried > MOST_EXCEPTIONS or not self._makes_no_difference(point, firm):
                kept = [*kept, condition._replace(is_exception=True)]
        further = [*others_nearby(traced, kept)]
        if self._values_asked:
            further += [each for each in farther(traced) if all(condition.holds(each) for condition in kept)]
        for sizes in further if self._cost.sizes == traced else (*further, self._cost.sizes):
            if all(each.holds(sizes) for each in kept) and not self._is_right_at(sizes):
                raise SizeError(self._wrong_at(sizes))
        places = [place.removeprefix(", ") for place in dict.fromkeys(self._values_asked)]
        kept += [caveat(f"a value that depends on sizes is as in the example ({place})") for place in places]
        if self._cost.has_backward and further and not self._has_right_bytes_at(further[0]):
            kept.append(caveat("the bytes of the backward pass are those of another way to compute it"))
        return tightest(kept)

    def _makes_no_difference(self, sizes: Sizes, firm: Iterable[Condition]) -> bool:
        """Whether the costs hold at sizes that a question has excluded, or others exclude them too."""
        return not all(each.holds(sizes) for each in firm) or self._is_right_at(sizes)

    def _is_right_at(self, sizes: Sizes) -> bool:
        point = tuple(map(sizes.__getitem__, self._cost.sizes))
        if point not in self._agrees:
            try:
                self._agrees[point] = is_same(self._cost, sizes, self._count(sizes))
            except Exception as error:
                if origin_of_fault(error):
                    raise
                self._agrees[point] = False  # the model does not take such an input
        return self._agrees[point]

    def _has_right_bytes_at(self, sizes: Sizes) -> bool:
        counted, symbolic = self._count(sizes), replace(self._cost, conditions=(), count_at=None).at(**sizes)
        return symbolic.backward_traffic == counted.backward_traffic

    def _wrong_at(self, sizes: Sizes) -> str:
        where = ", ".join(f"{name}={size}" for name, size in sizes.items())
        asked = "".join(dict.fromkeys(self._values_asked))
        cause = f"; the model asks for values that depend on the sizes{asked}" if asked else ""
        return f"the costs in symbolic sizes are not those that are counted at {where}{cause}"


def is_same(cost: GraphCost, sizes: Sizes, counted: GraphCost) -> bool:
    """Whether costs at these sizes are those that were counted there, node by node where there are as many."""
    read = reader(sizes)
    if len(cost.nodes) != len(counted.nodes):
        return bool(read(cost.total) == counted.total and read(cost.backward) == counted.backward)
    pairs = zip(cost.nodes, counted.nodes, strict=True)
    return all(
        read(one.cost) == other.cost
        and read(one.output_shapes) == other.output_shapes
        and read(one.backward) == other.backward
        for one, other in pairs
    )


def farther(sizes: Sizes) -> Iterator[Sizes]:
    """Sizes that are larger and smaller by far."""
    yield {name: 5 * size + 2 for name, size in sizes.items()}
    yield {name: max(size // 3, 2) for name, size in sizes.items()}


def others_nearby(sizes: Sizes, conditions: Iterable[Condition]) -> Iterator[Sizes]:
    """Other sizes for which the conditions hold: an odd one for each name, together where that can be, else apart."""
    conditions = tuple(conditions)

    def may_be(found: Sizes) -> bool:
        return all(each.holds(found) for each in conditions)

    apart: list[Sizes] = []
    for name, size in sizes.items():
        smaller, larger = range(size - 1, 2, -1), range(size + 1, 4 * size + 1)
        odd_first = sorted((*smaller, *larger), key=lambda each: (each % 2 == 0, each > size))
        found = next((each for each in odd_first if may_be({**sizes, name: each})), None)
        if found is not None:
            apart.append({**sizes, name: found})
    together = {name: next((each[name] for each in apart if each[name] != size), size) for name, size in sizes.items()}
    if apart:
        yield from ([together] if may_be(together) else apart)
        return
    changes = sorted(
        range(-min(sizes.values()) + 2, 4 * max(sizes.values())), key=lambda each: (each % 2 == 0, each > 0)
    )
    moved = ({name: size + change for name, size in sizes.items()} for change in changes if change)
    found = next(filter(may_be, moved), None)  # where one size is another one
    yield from () if found is None else (found,)
