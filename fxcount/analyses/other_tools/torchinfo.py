"""The rule of ``torchinfo.summary`` (torchinfo 1.8): parameters times sizes of what a module returns."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from torch import nn

from fxcount.analyses.other_tools.calls import Calls, Reached, Seen, check_modules
from fxcount.analyses.other_tools.thop import refuse_taken_apart
from fxcount.errors import InputError
from fxcount.result.node_cost import NodeCost, Shape

UNIT = "mult-adds"
RULE = (
    "It counts the parameters of modules without children, biases too: those of convolutions once for each place of "
    "the result, those called weight and bias of other modules once for each example, whatever the other axes, and "
    "those of recurrent networks once for each step. What has no parameters is 0."
)

Found = tuple[NodeCost, tuple[Reached, ...]]


def seen(calls: Calls) -> Iterator[Seen]:
    """What it counts, by operator.

    Raises:
        InputError: what it sees is not told by the count.
    """
    check_modules(calls, "torchinfo", at_each_path=False)
    refuse_taken_apart(calls, "torchinfo")
    shared = next((node.called_as for node in calls.cost.nodes if node.called_as), None)
    if shared is not None:
        raise InputError(f"torchinfo knows a module by one of its paths, and {shared!r} is called by several")
    for path, module in calls.cost.modules.items():
        parameters = calls.parameters_in(path)
        if not module.calls or not parameters or next(_module_at(calls, path).children(), None) is not None:
            continue
        buffers = dict(_module_at(calls, path).named_buffers())
        if any(f"{name.removesuffix('_orig')}_mask" in buffers for name in parameters if name.endswith("_orig")):
            raise InputError(f"torchinfo reads the values of masks, and {path!r} is pruned")
        for shape, reached in _calls_of(calls, path):
            place = max(reached, key=lambda each: each.operator.cost.macs).place if reached else -1
            for name, size in parameters.items():
                yield from _of_parameter(place, name, prod(size), shape, "Conv" in module.kind)


def _module_at(calls: Calls, path: str) -> nn.Module:
    module = calls.cost.module_at(path)
    assert module is not None  # as check_modules has seen
    return module


def _of_parameter(place: int, name: str, size: int, result: Shape, is_convolution: bool) -> Iterator[Seen]:
    if name in ("weight", "bias"):
        if is_convolution:
            why = f"its {name}, once a place"
            yield Seen(place, why, size * prod(result[:1] + result[2:]))
        else:
            yield Seen(place, f"its {name}, once an example", size * (result[0] if result else 1))
    elif "weight" in name or "bias" in name:
        yield Seen(place, "weights and biases, once a step", size * prod(result[:2]))


def _calls_of(calls: Calls, path: str) -> Iterator[tuple[Shape, tuple[Reached, ...]]]:
    """The shape of what each call of a module without children returns, and the operators that it reaches."""
    own = [each for each in calls.nodes if each[0].owner == path]
    leaves = [each for each in own if each[0].op == "call_module"]
    if leaves:
        for node, reached in leaves:
            yield node.output_shapes[0], reached
        return
    times = calls.cost.modules[path].calls
    ran = [each for each in own if each[0].op != "get_attr"]
    if not ran or len(ran) % times:
        raise InputError(f"which nodes belong to which of {times} calls of {path!r} is not known")
    size = len(ran) // times
    for start in range(0, len(ran), size):
        of_call = ran[start : start + size]
        yield _result(calls, path, of_call), tuple(each for _, reached in of_call for each in reached)


def _result(calls: Calls, path: str, ran: list[Found]) -> Shape:
    """The shape of what is used elsewhere of these nodes, or else of the last."""
    names = {node.name for node, _ in ran}
    used = {name for node in calls.cost.nodes if node.owner != path or node.op == "output" for name in node.inputs}
    shapes = {node.output_shapes[0] for node, _ in ran if node.name in names & used and node.output_shapes}
    if len(shapes) > 1:
        raise InputError(f"which tensor torchinfo takes for the result of {path!r} is not known")
    last = ran[-1][0].output_shapes
    return next(iter(shapes), last[0] if last else ())


def notes(calls: Calls) -> Iterator[str]:
    """None: it prints the same everywhere."""
    yield from ()
