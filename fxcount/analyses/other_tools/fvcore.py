"""The rule of ``fvcore.nn.FlopCountAnalysis`` (fvcore 0.1.5): operators that `torch.jit.trace` sees."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod

import torch

from fxcount.analyses.other_tools.calls import Call, Calls, Reached, Seen
from fxcount.analyses.other_tools.einsum import EXACT, einsums
from fxcount.errors import InputError

UNIT = "MACs, which it calls flops"
RULE = (
    "It counts operators of the traced graph: products and convolutions in MACs without their biases, and estimates "
    "for norms, adaptive average pools and interpolation. What it has no rule for is 0, as are fused attention, "
    "recurrent networks, convolutions with a padding that is called same, and what is computed for nothing."
)

TORCH = ("torch", "_VariableFunctions")
MACS, PRODUCT = "MACs", "no batch of the second"


WINDOW = ("input", "weight", "bias", "stride", "padding")
"""The arguments of a convolution."""


def _macs(each: Reached) -> tuple[str, int]:
    return MACS, each.operator.cost.macs


def _product(each: Reached) -> tuple[str, int]:
    first, second = each.given[:2]
    if len(second) < 2:
        raise InputError(f"fvcore fails on a {each.name} of {list(first)} and {list(second)}")
    amount = prod(first) * second[-1]
    return (MACS if amount == each.operator.cost.macs else PRODUCT), amount


def _norm(each: Reached) -> tuple[str, int]:
    if not 2 <= len(each.given[0]) <= 5:
        raise InputError(f"fvcore fails on a {each.name} of {list(each.given[0])}")
    times = 5 if each.has("scaled") else 4
    return f"norm: {times} an element", times * each.elements


def _batch_norm(each: Reached) -> tuple[str, int]:
    if each.has("measured"):
        return _norm(each)
    times = 2 if each.has("scaled") else 1
    return f"norm: {times} an element", times * each.elements


def _results(each: Reached, times: int) -> tuple[str, int]:
    return f"{times} an output element", times * each.results


def _elements(each: Reached) -> tuple[str, int]:
    return "1 an input element", each.elements


RULES: Mapping[str, Callable[[Reached], tuple[str, int]]] = {
    **dict.fromkeys(
        (
            *("linear", "addmm", "bmm", "convolution", "_convolution"),
            *("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),  # traced as linear layers
            *(f"conv{transposed}{axes}d" for transposed in ("", "_transpose") for axes in (1, 2, 3)),
        ),
        _macs,
    ),
    **dict.fromkeys(("matmul", "linalg_matmul", "mm"), _product),
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm"), _norm),
    "batch_norm": _batch_norm,
    "upsample_nearest2d": partial(_results, times=1),
    "upsample_bilinear2d": partial(_results, times=4),
    "grid_sampler": partial(_results, times=4),
    "adaptive_avg_pool2d": _elements,
}


def seen(calls: Calls) -> Iterator[Seen]:
    """What it counts, by operator."""
    sums = einsums(calls)
    for place, each in sums.whole.items():
        exact = each.equation in EXACT
        why = MACS if exact else "half of what NumPy prints"
        yield Seen(place, why, each.products if exact else each.rounded_flops // 2)
    used = _used(calls)
    for node, some in calls.nodes:
        for reached in some:
            is_known = reached.name in RULES and not reached.operator.name.endswith("_")  # which writes to its argument
            if node.name not in used or reached.place in sums.parts or not is_known:
                continue
            call = Call(node, node.owner, "", some)
            if not (_is_taken_apart(calls, call) or (reached.name.startswith("conv") and _is_padded(calls, call))):
                yield Seen(reached.place, *RULES[reached.name](reached))


def _is_padded(calls: Calls, call: Call) -> bool:
    """Whether the padding of a convolution is "same" or "valid", which makes it an operator that has no rule; a layer
    that pads by other values than zeros has done it before."""
    if call.node.op == "call_module" and calls.settings(call, ("padding_mode",)) not in (["zeros"], [None]):
        return False
    return isinstance(calls.settings(call, WINDOW)[-1], str)


def _is_taken_apart(calls: Calls, call: Call) -> bool:
    """Whether a node is a function that to torch.jit.trace is one operator, which has no rule, and here is several."""
    if call.node.op not in ("call_function", "call_method") or not _is_unruled(call.node.target):
        return False
    target = calls.traced[call.node.name].target
    return isinstance(target, str) or str(getattr(target, "__module__", None) or "torch").startswith(TORCH)


def _is_unruled(name: str) -> bool:
    return name.rstrip("_") not in RULES and hasattr(torch.ops.aten, name)


def _used(calls: Calls) -> set[str]:
    """The nodes that what is returned depends on, and those that write to a tensor: torch.jit.trace drops others."""
    found: set[str] = set()
    for node, some in reversed(calls.nodes):
        if node.op == "output" or node.name in found or any(each.operator.written for each in some):
            found |= {node.name, *node.inputs}
    return found


def notes(calls: Calls) -> Iterator[str]:
    """None: it prints the same everywhere."""
    yield from ()
