"""`roofline`: how long a count takes at best on a device, call by call, and what binds it.

A call takes no less than its operations take at the peak, and no less than its bytes take at the bandwidth; the larger
one binds it. (Williams, Waterman and Patterson, 2009, Roofline: an insightful visual performance model.)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property

import torch

from fxcount.analyses.device import Device
from fxcount.cost import CONVENTIONS, OperatorCost, TensorInfo, Traffic
from fxcount.cost.traffic import bytes_held, place_of_table
from fxcount.errors import InputError
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.module_paths import depth_of, parent_of
from fxcount.result.node_cost import NodeCost

ARITHMETIC = CONVENTIONS["arithmetic"]
"""The operations that count against the peak: two for a multiply-accumulate, and multiplications, additions, divisions
and special functions; comparisons do not."""

PHASES = ("forward", "backward", "optimizer")


@dataclass(frozen=True)
class TimeAtBest:
    """What calls take at best. Times add."""

    seconds: float = 0.0
    """The sum over the calls."""
    compute: float = 0.0
    """The part of calls that their operations bind."""
    computing: float = 0.0
    """What the operations alone take at their peaks."""
    operations: float = 0.0
    """Operations that count against the peak."""
    bytes: float = 0.0
    """Bytes that are read and written."""
    calls: int = 0
    """Calls that take any time."""
    linking: float = 0.0
    """What collectives take over the links between ranks."""

    def __add__(self, other: TimeAtBest) -> TimeAtBest:
        return TimeAtBest(
            self.seconds + other.seconds,
            self.compute + other.compute,
            self.computing + other.computing,
            self.operations + other.operations,
            self.bytes + other.bytes,
            self.calls + other.calls,
            self.linking + other.linking,
        )

    def __mul__(self, times: int) -> TimeAtBest:
        return TimeAtBest(*(getattr(self, each.name) * times for each in fields(self)))

    def fused(self, given: float, device: Device) -> TimeAtBest:
        """What the calls take at best together if nothing between two of them goes through memory: their operations one
        after the other at their peaks, or what they are ``given``, in bytes, read once, or what ranks send meanwhile,
        whichever is longest."""
        moving = given / device.bandwidth
        seconds = max(self.computing, moving, self.linking)
        compute = seconds if self.computing == seconds else 0.0
        return TimeAtBest(seconds, compute, self.computing, self.operations, given, 1, self.linking)

    @property
    def bound(self) -> str:
        """What binds the largest share of the time: ``compute``, ``memory``, ``links`` between ranks, or nothing."""
        if not self.seconds:
            return ""
        if self.linking * 2 > self.seconds:
            return "links"
        return "compute" if self.compute * 2 >= self.seconds - self.linking else "memory"

    @property
    def intensity(self) -> float | None:
        """Operations for each byte; None where nothing moves."""
        return self.operations / self.bytes if self.bytes else None


@dataclass(frozen=True)
class CallAtBest:
    """One call of an operator."""

    node: str
    """The node that makes it; empty in a step of an optimizer."""
    module: str
    """The path of the module that its cost belongs to."""
    operator: str
    """The operator, such as ``aten.conv2d``; of a step the optimizer's class."""
    phase: str
    """``forward``, ``backward`` or ``optimizer``."""
    time: TimeAtBest
    """What it takes."""


@dataclass(frozen=True)
class RooflineRecord:
    """The times of a count on one device."""

    device: Device
    """What it runs on."""
    calls: tuple[CallAtBest, ...]
    """Every call of an operator, in the order in which they run, and the step of an optimizer as one."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """The module tree: each path to its class name."""
    fused: TimeAtBest = field(default_factory=TimeAtBest)
    """What the whole takes at best if nothing between two calls goes through memory: each input, parameter and output
    once."""
    cost: CostedGraph | None = field(default=None, repr=False, compare=False)
    """The count that it is of."""

    @cached_property
    def total(self) -> TimeAtBest:
        """All calls."""
        return sum((call.time for call in self.calls), TimeAtBest())

    @property
    def seconds(self) -> float:
        """The sum over the calls, each as it is called."""
        return self.total.seconds

    @property
    def fused_seconds(self) -> float:
        """What no implementation can beat, however it fuses the calls."""
        return self.fused.seconds

    @property
    def bound(self) -> str:
        """What binds the larger share of the time: ``compute`` or ``memory``."""
        return self.total.bound

    def by_phase(self) -> dict[str, TimeAtBest]:
        """The forward pass, the backward pass and the step of the optimizer, as far as they were counted."""
        found = {phase: TimeAtBest() for phase in PHASES if any(call.phase == phase for call in self.calls)}
        for call in self.calls:
            found[call.phase] += call.time
        return found

    def by_module(self) -> dict[str, TimeAtBest]:
        """Every module, to the time of all that it contains; "" is the model itself."""
        whole = dict(self.own_by_module())
        for path in sorted(whole, key=depth_of, reverse=True):
            if path:
                whole[parent_of(path)] += whole[path]
        return whole

    def own_by_module(self) -> dict[str, TimeAtBest]:
        """Every module, to the time of what it calls itself, outside of its submodules."""
        own = dict.fromkeys(self.kinds or {"": ""}, TimeAtBest())
        for call in self.calls:
            own[call.module] += call.time
        return own

    def by_operator(self) -> dict[str, TimeAtBest]:
        """Every operator, to the time of its calls."""
        found: dict[str, TimeAtBest] = {}
        for call in self.calls:
            found[call.operator] = found.get(call.operator, TimeAtBest()) + call.time
        return found


def calls_at_best(cost: CostedGraph, device: Device) -> RooflineRecord:
    """The times of a count on a device.

    Raises:
        InputError: the costs are expressions in sizes.
    """
    if cost.sizes:
        raise InputError(f"a time is one of numbers: put them in with cost.at({'=..., '.join(cost.sizes)}=...)")
    owners = {node.name: node.owner for node in cost.nodes}
    calls = [
        CallAtBest(call.node, owners[call.node], call.operator.name, "forward", time_of(call.operator, device))
        for call in cost.operator_calls
    ]
    for node in cost.nodes:
        for name, time in _of_gradient(node, device):
            calls.append(CallAtBest(node.name, node.owner, name, "backward", time))
    if cost.optimizer is not None:
        step = cost.optimizer
        time = at_best(ARITHMETIC.read(step.cost), step.traffic.total, device.rate(step.dtypes), device)
        calls.append(CallAtBest("", "", step.optimizer, "optimizer", time))
        for each in step.collectives:
            calls.append(CallAtBest("", "", each.name, "optimizer", time_of(each, device)))
    kinds = {path: module.kind for path, module in cost.modules.items()}
    return RooflineRecord(device, tuple(calls), kinds, _fused(cost, calls, device), cost)


GRADIENT_IN_ONE = tuple(
    f"aten.{name}" for name in ("scaled_dot_product_attention", "lstm", "gru", "rnn_tanh", "rnn_relu", "rms_norm")
)
"""Operators whose gradient is counted in parts, and for which there are kernels that compute it as one."""


def _of_gradient(node: NodeCost, device: Device) -> Iterator[tuple[str, TimeAtBest]]:
    """The operators of a node's gradient and their times. Where one kernel may compute it all, it does so in the dtype
    of the forward call, without twice what a mask leaves out there, and reads no less than that call read, and a
    gradient of what that returned."""
    operators, whole = node.backward_operators or (), _in_one(node)
    if whole is None:
        yield from ((each.name, time_of(each, device)) for each in operators)
    elif operators:
        left_out = sum(ARITHMETIC.read(each.cost) - operations_of(each) for each in node.operators)
        operations = max(sum(ARITHMETIC.read(each.cost) for each in operators) - 2 * left_out, 0)
        moved = min(sum(Traffic.of(each).total for each in some) for some in (node.operators, operators))
        rate = device.rate(dtypes_of(whole), reduced=True)
        yield f"{whole.name} (gradient)", at_best(operations, moved, rate, device)


def _in_one(node: NodeCost) -> OperatorCost | None:
    """The operator of a node whose gradient may be one call."""
    return next((each for each in node.operators if each.name in GRADIENT_IN_ONE), None)


def dtypes_of(call: OperatorCost) -> list[torch.dtype]:
    """Those that a call computes on."""
    dtypes = [each.dtype for each in call.inputs if each.dtype.is_floating_point or each.dtype.is_complex]
    return dtypes or [each.dtype for each in call.inputs]


def time_of(call: OperatorCost, device: Device) -> TimeAtBest:
    """What one call takes at best; a collective what it sends over the link of its axis, where that is known."""
    if call.group:
        seconds = call.sent / device.links[call.group] if call.group in device.links else 0.0
        return TimeAtBest(seconds, calls=int(seconds > 0), linking=seconds)
    rate = device.rate(dtypes_of(call), reduced=call.cost.macs > 0)
    return at_best(operations_of(call), Traffic.of(call).total, rate, device)


def contractions_at_peak(cost: CostedGraph, device: Device) -> float:
    """The seconds that the multiply-accumulates of contractions take, forward and backward, at the peak of their
    dtypes."""
    seconds = 0.0
    for node in cost.nodes:
        whole = _in_one(node)
        for each in (*node.operators, *(node.backward_operators or ())):
            if each.cost.macs:
                alike = each if whole is None or each in node.operators else whole
                seconds += 2 * each.cost.macs / device.rate(dtypes_of(alike))
    return seconds


def at_best(operations: float, moved: float, rate: float, device: Device) -> TimeAtBest:
    """What operations at this rate take at best that move so many bytes."""
    computing, moving = operations / rate, moved / device.bandwidth
    seconds = max(computing, moving)
    compute = seconds if computing >= moving else 0.0
    return TimeAtBest(seconds, compute, computing, operations, moved, int(seconds > 0))


def operations_of(call: OperatorCost) -> float:
    """The operations that count against the peak. A kernel need not compute products with padding, nor of causal
    attention scores that are masked."""
    of_product = 8 if any(dtype.is_complex for dtype in dtypes_of(call)) else 2
    operations = max(ARITHMETIC.read(call.cost) - of_product * call.quantities.get("padded", 0), 0)
    if "attention" in call.name and call.quantities.get("selected") and not _has_mask(call.inputs):
        queries, keys = call.inputs[0].shape[-2], call.inputs[1].shape[-2]
        seen = sum(min(row + 1, keys) for row in range(queries))
        return operations * seen / max(queries * keys, 1)
    return operations


def _has_mask(inputs: Iterable[TensorInfo]) -> bool:
    return any(each.dtype is torch.bool for each in inputs)


def _fused(cost: CostedGraph, calls: Iterable[CallAtBest], device: Device) -> TimeAtBest:
    """The bound of the whole."""
    given = bytes_given(call.operator for call in cost.operator_calls)
    given += cost.optimizer.traffic.total if cost.optimizer is not None else 0
    return sum((call.time for call in calls), TimeAtBest()).fused(given, device)


def bytes_given(calls: Iterable[OperatorCost]) -> int:
    """The bytes that calls read of what none of them has made: inputs, parameters and buffers, each element once. Of
    what is selected from no more than is selected."""
    made: set[int] = set()
    given: list[TensorInfo] = []
    selected: dict[int, int] = {}
    for call in calls:
        selects = place_of_table(call)
        read = [each for place, each in enumerate(call.inputs) if place not in (*call.unread, selects)]
        if selects is not None:
            table = call.inputs[selects]
            if table.storage not in made:
                rest = Traffic.of(call).read - bytes_held(read)
                selected[table.storage] = max(selected.get(table.storage, 0), rest)
        if Traffic.of(call).total:  # a view reads nothing
            given += [each for each in read if each.storage not in made]
        known = {each.storage for each in call.inputs}
        made |= {each.storage for each in call.outputs if each.storage not in known}
        made |= {call.inputs[place].storage for place in call.written}
    whole = {each.storage for each in given}
    return bytes_held(given) + sum(size for storage, size in selected.items() if storage not in whole)
