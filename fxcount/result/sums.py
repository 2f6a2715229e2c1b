"""`sum_over`: the costs at several sizes, added up."""

from __future__ import annotations

from typing import Any, Protocol

from fxcount.cost import Cost, total_cost
from fxcount.errors import InputError
from fxcount.result.at_sizes import InSizes, check_sizes, has_caveats, is_exceptional
from fxcount.sizes.expressions import read, summed


class CostInSizes(InSizes, Protocol):
    """What a count has of it all."""

    @property
    def total(self) -> Cost: ...

    def at(self, /, **sizes: int) -> CostInSizes: ...


def sum_over(cost: CostInSizes, name: str, start: int | str, count: int | str) -> dict[str, Any]:
    """The fields of the sum of the costs at ``count`` sizes of that name, from ``start`` on.

    Raises:
        InputError: as `CostedGraph.sum_over` says.
    """
    if name not in cost.sizes:
        raise InputError(f"the count has no size {name!r}; its sizes are {', '.join(cost.sizes) or 'none'}")
    first, times = (read(each) if isinstance(each, str) else each for each in (start, count))
    for what, each, least in (("start", first, 1), ("count", times, 0)):
        is_number = isinstance(each, int) and not isinstance(each, bool)
        if each is None or isinstance(each, bool | float) or (is_number and each < least):
            raise InputError(f"{what} is a whole number of at least {least}, or an expression in names, not {each!r}")
    if isinstance(first, int) and isinstance(times, int):
        steps = range(first, first + times)
        if has_caveats(cost) or any(is_exceptional(cost, {name: size}) for size in steps):
            return total_cost(cost.at(**{name: size}).total for size in steps).to_dict()
        for size in steps:
            check_sizes(cost, {name: size})
    return {field: summed(value, name, first, times) for field, value in cost.total.to_dict().items()}
