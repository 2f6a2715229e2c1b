"""What the numbers of a table mean: the convention, the other conventions, and what is not counted."""

from fxcount.cost import CONVENTIONS, Convention
from fxcount.result.costed_graph import CostedGraph


def legend(cost: CostedGraph) -> list[str]:
    """What FLOPs means here, the total under the other conventions, and what is not counted."""
    convention = cost.convention
    others = ", ".join(
        f"{other.read(cost.total):,} {other.name} ({other.meaning})" for other in other_conventions(convention)
    )
    return [
        f"FLOPs here are {convention.name} ({convention.meaning}): {cost.flops:,} in all.",
        f"Under the other conventions: {others}.",
        *uncounted(cost),
    ]


def other_conventions(convention: Convention) -> list[Convention]:
    """The named conventions but this one."""
    return [other for other in CONVENTIONS.values() if other != convention]


def uncounted(cost: CostedGraph, where: str = "") -> list[str]:
    """A line that names every operator that is not counted; none where all are."""
    if not cost.uncounted:
        return []
    names = ", ".join(f"{name} ({calls} calls)" for name, calls in cost.uncounted.items())
    return [f"Not counted{where}: {names}."]
