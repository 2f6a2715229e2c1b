"""The rule of ``thop.profile`` (thop 0.1.1): layers of the classes that it knows, by hooks."""

from collections.abc import Callable, Iterator, Mapping
from math import prod

from fxcount.analyses.other_tools import recurrent
from fxcount.analyses.other_tools.calls import Call, Calls, Reached, Seen, check_modules
from fxcount.errors import InputError

UNIT = "MACs, and other operations beside them"
RULE = (
    "It counts layers of some classes of torch.nn: linear layers and convolutions in MACs without their biases, norms "
    "by 2 for each element and 4 with a scale, and pools, softmax and recurrent networks by estimates. Functions, "
    "attention and layers of all other classes are 0."
)

CONVOLUTIONS = tuple(f"Conv{transposed}{axes}d" for transposed in ("", "Transpose") for axes in (1, 2, 3))
NORMS = (
    *(f"{kind}Norm{axes}d" for kind in ("Batch", "Instance") for axes in (1, 2, 3)),
    *("LayerNorm", "SyncBatchNorm"),
)
UPSAMPLED = {"upsample_nearest1d": 1, "upsample_nearest2d": 1, "upsample_nearest3d": 1, "upsample_linear1d": 5}
UPSAMPLED |= {"upsample_bilinear2d": 11, "upsample_bicubic2d": 259}
"""What an element of the result of an interpolation counts."""
TAKEN_APART = (
    *("TransformerEncoderLayer", "TransformerDecoderLayer", "TransformerEncoder", "TransformerDecoder"),
    *("Transformer", "AdaptiveLogSoftmaxWithLoss"),
)
"""Layers of torch.nn that call others, which here are parts of one node."""

Counted = tuple[Reached, str, int]


def _main(call: Call) -> Reached:
    """The operator that a layer is; of several the one that costs most."""
    return max(call.reached, key=lambda each: (each.operator.cost.macs, each.elements if each.operator.inputs else 0))


def _linear(call: Call) -> Counted:
    each = _main(call)
    return each, "MACs", call.parameters["weight"][1] * each.results


def _convolution(call: Call) -> Counted:
    each = _main(call)
    weight, channels = call.parameters["weight"], each.given[0][1]
    if len(each.given[0]) != len(weight):
        raise InputError(f"thop takes the input of {call.path!r} to have a batch, and it has none")
    groups = channels // weight[1] if "Transpose" not in call.layer else each.made[1] // weight[1]
    amount = each.results * (channels // groups) * prod(weight[2:])
    is_the_same = amount == each.operator.cost.macs
    return each, "MACs" if is_the_same else "each result by all taps", amount


def _norm(call: Call) -> Counted:
    each, times = _main(call), 4 if call.parameters else 2
    return each, f"norm: {times} an element", times * each.elements


def _prelu(call: Call) -> Counted:
    each = _main(call)
    return each, "1 an element", each.elements


def _softmax(call: Call) -> Counted:
    each = call.find("softmax")
    lines = each.operator.quantities["lines"]
    return each, "softmax: 3 an element, less 1 a line", 3 * each.elements - lines


def _pool(call: Call) -> Counted:
    each = _main(call)
    return each, "1 an output element", each.results


def _adaptive_pool(call: Call) -> Counted:
    each = _main(call)
    window = prod(size / made for size, made in zip(each.given[0][2:], each.made[2:], strict=True))
    return each, "its window and 1 an output element", int((window + 1) * each.results)


def _upsample(call: Call) -> Counted:
    each = _main(call)
    times = UPSAMPLED.get(each.name, 0)
    return each, f"{times} an output element", times * each.results


def _recurrent(call: Call) -> Counted:
    each, kind = call.find(*recurrent.OPERATORS), recurrent.kind_of(call)
    two = 2 if recurrent.is_bidirectional(call.parameters) else 1
    gates = recurrent.GATES[kind]
    if any(name.startswith("weight_hr") for name in call.parameters):
        raise InputError(f"thop does not know that {call.path!r} is projected, and what it counts is not stated")
    total = 0
    for level in recurrent.levels(call.parameters):
        hidden = level.from_input[0] // gates
        units = {"RNN": 1, "GRU": 7, "LSTM": 8}[kind]
        total += two * (gates * hidden * (level.from_input[1] + hidden) + units * hidden + level.biases)
    return each, "gates and biases, estimated", recurrent.rows(call) * total


RULES: Mapping[str, Callable[[Call], Counted]] = {
    "Linear": _linear,
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys(NORMS, _norm),
    "PReLU": _prelu,
    "Softmax": _softmax,
    **{f"AvgPool{axes}d": _pool for axes in (1, 2, 3)},
    **{f"AdaptiveAvgPool{axes}d": _adaptive_pool for axes in (1, 2, 3)},
    **dict.fromkeys(("Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"), _upsample),
    **{kind + end: _recurrent for kind in recurrent.GATES for end in ("", "Cell")},
}


def seen(calls: Calls) -> Iterator[Seen]:
    """What it counts, by operator.

    Raises:
        InputError: what it sees is not told by the count.
    """
    check_modules(calls, "thop")
    refuse_taken_apart(calls, "thop")
    for call in calls.layers(RULES):
        reached, why, amount = RULES[call.layer](call)
        yield Seen(reached.place, why, amount)


def refuse_taken_apart(calls: Calls, tool: str) -> None:
    """
    Raises:
        InputError: a layer of torch.nn was called that calls others.
    """
    for call in calls.layers(TAKEN_APART):
        if call.node.op == "call_module":
            raise InputError(f"{tool} counts the layers in {call.path!r} ({call.layer}), and here it is one node")


def notes(calls: Calls) -> Iterator[str]:
    """None: it prints the same everywhere."""
    yield from ()
