"""What the numbers of a table mean: the convention, the other conventions, and what is not as one may think."""

from collections import Counter
from collections.abc import Iterable
from math import prod

from fxcount.cost import CONVENTIONS, Convention
from fxcount.result.communication import Communication
from fxcount.result.costed_graph import CostedGraph
from fxcount.views.units import size_text

AT_MOST = 5
"""A line names this many modules."""


def legend(cost: CostedGraph) -> list[str]:
    """What FLOPs means here, the total under the other conventions, and what else the totals do not tell."""
    convention = cost.convention
    others = ", ".join(
        f"{other.read(cost.total):,} {other.name} ({other.meaning})" for other in other_conventions(convention)
    )
    return [
        f"FLOPs here are {convention.name} ({convention.meaning}): {cost.flops:,} in all.",
        *([] if cost.sizes else [f"Under the other conventions: {others}."]),
        *symbolic_sizes(cost),
        *backward(cost),
        *_communication(cost),
        *_unregistered(cost),
        *_packed(cost),
        *uncounted(cost),
    ]


def symbolic_sizes(cost: CostedGraph) -> list[str]:
    """Lines on the sizes that are symbols, and the conditions; none where all are numbers."""
    if not cost.sizes:
        return []
    example = ", ".join(f"{name}={size}" for name, size in cost.sizes.items())
    lines = [f"Sizes: {', '.join(cost.sizes)}; shares, ratios and the order of rows are those at {example}."]
    if cost.conditions:
        lines.append(f"The costs hold for {'; '.join(map(str, cost.conditions))}.")
    return lines


def other_conventions(convention: Convention) -> list[Convention]:
    """The named conventions but this one."""
    return [other for other in CONVENTIONS.values() if other != convention]


def uncounted(cost: CostedGraph, where: str = "") -> list[str]:
    """A line that names every operator that is not counted; none where all are."""
    if not cost.uncounted:
        return []
    names = ", ".join(f"{name} ({calls} calls)" for name, calls in cost.uncounted.items())
    return [f"Not counted{where}: {names}."]


def backward(cost: CostedGraph, where: str = "") -> list[str]:
    """Lines on the backward pass, and the step of an optimizer; none unless they were asked for."""
    if cost.backward is None or cost.backward_flops is None:
        return []
    ratio = f", {cost.backward_flops / cost.flops:.2f} times those of the forward" if cost.flops else ""
    trainable = f"{cost.trainable:,} of {cost.params:,}" if cost.frozen else "all"
    flops = f"{cost.backward_flops:,} FLOPs{ratio}"
    lines = [
        f"Backward{where}: what autograd computes for the gradients of all that the model returns, with respect to "
        f"every parameter and input that requires one ({trainable} are trainable): {flops}."
    ]
    if cost.optimizer is not None:
        step = f"{cost.convention.read(cost.optimizer.cost):,} FLOPs, after its first ones"
        lines.append(f"Optimizer{where}: one step of {cost.optimizer.optimizer} is {step}.")
    return lines


def _communication(cost: CostedGraph) -> list[str]:
    """A line on what a rank sends; none of a model on one."""
    found = Communication.of(cost.nodes, cost.optimizer)
    if not found:
        return []
    parts = []
    for axis, sent in found.by_axis().items():
        calls = Counter[str]()
        for each in found:
            calls[each.name] += each.calls * (each.axis == axis)
        times = ", ".join(f"{number:,} {name}" for name, number in calls.items() if number)
        parts.append(f"{size_text(sent)} over {axis} ({times})")
    return [f"This is what one rank does. It sends {' and '.join(parts)}, as rings do.", *_whole(cost)]


def _whole(cost: CostedGraph) -> list[str]:
    """A line on the parameters that no axis splits, while others are split."""
    splits = {} if cost.call is None else cost.call.splits
    whole = [name for name in cost.parameters if name not in splits]
    if not splits or not whole:
        return []
    elements = sum(prod(cost.parameters[name]) for name in whole)
    holders = dict.fromkeys(name.rpartition(".")[0] or name for name in whole)
    return [f"Whole on every rank: {elements:,} parameters, of {_named(holders)}."]


def _unregistered(cost: CostedGraph) -> list[str]:
    """A line on the parameters that the model does not register; none where there are none."""
    if not cost.unregistered:
        return []
    elements = sum(prod(cost.parameters[name]) for name in cost.unregistered)
    holders = dict.fromkeys(name.rpartition(".")[0] or name for name in cost.unregistered)
    return [
        f"The model uses {elements:,} parameters that it does not register, so that model.parameters() lacks them: "
        f"{_named(holders)}."
    ]


def _packed(cost: CostedGraph) -> list[str]:
    """A line on the weights that are no parameters; none where there are none."""
    if not cost.packed:
        return []
    read = sum(elements or 0 for elements in cost.packed.values())
    size = [f"{read:,} elements"] if read else []
    size += ["weights whose number cannot be read"] if None in cost.packed.values() else []
    return [
        f"Beside the parameters there are {' and '.join(size)}, packed for a kernel or constants of a script: "
        f"{_named(path or 'the model' for path in cost.packed)}."
    ]


def _named(paths: Iterable[str]) -> str:
    """The first few paths, and how many more there are."""
    names = [*paths]
    more = f" and {len(names) - AT_MOST:,} more" if len(names) > AT_MOST else ""
    return ", ".join(names[:AT_MOST]) + more
