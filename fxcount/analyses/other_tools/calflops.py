"""The rule of ``calflops.calculate_flops`` (calflops 0.3.2): replaced functions, and hooks on recurrent layers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import torch
from torch import fx

from fxcount._torch import forward_pre_hooks_of
from fxcount.analyses.other_tools import recurrent
from fxcount.analyses.other_tools.calls import Call, Calls, Seen, check_modules
from fxcount.analyses.other_tools.einsum import einsums
from fxcount.analyses.other_tools.functions import (
    LAYERS_OF_POOLS,
    POOLS,
    Functions,
    Rule,
    each_element,
    main,
    of_two,
    product,
)
from fxcount.analyses.other_tools.fvcore import WINDOW
from fxcount.analyses.other_tools.thop import CONVOLUTIONS, refuse_taken_apart
from fxcount.errors import InputError
from fxcount.result.node_cost import Shape

UNIT = "FLOPs, two for each MAC, and other operations beside them"
RULE = (
    "It counts calls of functions of torch, those in layers too: two operations for each MAC, the biases of "
    "convolutions but not of linear layers, norms, activations, pools and softmax by the element. It does not see "
    "operators such as x @ y, nor fused attention."
)

TWO = "2 a MAC"


def _linear(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = main(call)
    yield Seen(reached.place, TWO, 2 * reached.operator.cost.macs)


def _convolution(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = next(each for each in call.reached if each.name.startswith("conv"))
    given, weight = reached.given[:2]
    if len(given) != len(weight):
        raise InputError("calflops takes the input of a convolution to have a batch, and one has none")
    *_, stride, padding, dilation = calls.settings(call, (*WINDOW, "dilation"))
    if call.layer and calls.settings(call, ("padding_mode",)) not in (["zeros"], [None]):
        padding = 0  # the layer has padded its input before
    places = given[0] * _places(given[2:], weight[2:], stride, padding, dilation)
    macs = prod(weight) * places
    why = TWO if macs == reached.operator.cost.macs else "2 a MAC, of a place less for an even kernel"
    yield Seen(reached.place, why, 2 * macs)
    if reached.has("biases"):
        yield Seen(reached.place, "biases", weight[0] * places)


def _transposed(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = next(each for each in call.reached if each.name.startswith("conv"))
    given, weight = reached.given[:2]
    groups = reached.made[1] // weight[1]
    macs = prod(weight[2:]) * given[1] * (weight[1] // groups) * given[0] * prod(given[2:])
    why = TWO if macs == reached.operator.cost.macs else "divided by the groups twice"
    yield Seen(reached.place, why, 2 * macs)
    if reached.has("biases"):
        *_, stride, padding, _, _, dilation = calls.settings(call, (*WINDOW, "output_padding", "groups", "dilation"))
        places = given[0] * _places(given[2:], weight[2:], stride, padding, dilation)
        yield Seen(reached.place, "biases, as of a convolution that is not transposed", weight[1] * places)


def _places(sizes: Shape, kernel: Shape, stride: Any, padding: Any, dilation: Any) -> int:
    """The places of the result of a convolution, as it computes them."""
    strides, dilations = (_each(1 if value is None else value, kernel) for value in (stride, dilation))
    if isinstance(padding, str):
        padding = tuple(
            apart * (taps - 1) // 2 if padding == "same" else 0 for taps, apart in zip(kernel, dilations, strict=True)
        )
    rims = _each(padding or 0, kernel)
    return prod(
        (size + 2 * rim - (apart * (taps - 1) + 1)) // step + 1
        for size, taps, step, rim, apart in zip(sizes, kernel, strides, rims, dilations, strict=True)
    )


def _each(value: Any, kernel: Shape) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * len(kernel)
    if not all(isinstance(each, int) for each in values):
        raise InputError("calflops reads the stride and the padding of a convolution, and here they are computed")
    return values


def _norm(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = main(call)
    times = 5 if reached.has("scaled") else 4
    yield Seen(reached.place, f"norm: {times} an element", times * reached.elements)


def _batch_norm(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = main(call)
    scaled = reached.has("scaled")
    if len(reached.given) <= 1 + 2 * scaled:  # it has no running statistics
        yield from _norm(calls, call)
        return
    times = 2 if scaled else 1
    yield Seen(reached.place, f"norm: {times} an element", times * reached.elements)


def _interpolation(calls: Calls, call: Call) -> Iterator[Seen]:
    reached, (_, size) = call.reached[0], calls.settings(call, ("input", "size"))
    if size is None:
        yield from each_element(calls, call)
    else:
        amount = size if isinstance(size, int) else prod(reached.made[2:])
        if isinstance(size, fx.Node) and not _is_sequence(size):
            raise InputError("calflops reads the size of an interpolation, and here it is computed")
        yield Seen(reached.place, "its sizes, without channels", amount)
    if reached.name.startswith("adaptive_avg_pool"):  # the mode "area" calls it
        yield from each_element(calls, call)


def _is_sequence(node: fx.Node) -> bool:
    """Whether what a node computes are several sizes."""
    is_slice = node.target is operator.getitem and isinstance(node.args[1], slice)
    return is_slice or getattr(node.target, "__name__", "").endswith(torch.Size.__name__)


def _matrices(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = main(call)
    yield Seen(reached.place, TWO, 2 * product(reached))


def _added_matrices(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = main(call)
    added, first, second = reached.given[:3]
    yield Seen(reached.place, TWO, 2 * prod(first) * second[-1])
    yield Seen(reached.place, "what is added", prod(added))


def _attention(calls: Calls, call: Call) -> Iterator[Seen]:
    """``torch.nn.MultiheadAttention``, in which ``bmm`` and fused attention are not seen."""
    rules: Mapping[str, Rule] = {"linear": _linear, "softmax": each_element, "baddbmm": _added_matrices}
    for reached in call.reached:
        if reached.name in rules:
            yield from rules[reached.name](calls, Call(call.node, call.path, "", (reached,)))


def _recurrent(calls: Calls, call: Call) -> Iterator[Seen]:
    units = {"RNN": 1, "GRU": 7, "LSTM": 10}[recurrent.kind_of(call)]
    gates = recurrent.GATES[recurrent.kind_of(call)]
    total = 0
    for level in recurrent.levels(call.parameters):
        rows = level.from_input[0]
        total += 2 * (prod(level.from_input) + prod(level.from_state) - rows) + units * rows // gates + level.biases
    two = 2 if recurrent.is_bidirectional(call.parameters) else 1
    place = call.find(*recurrent.OPERATORS).place
    yield Seen(place, "gates and biases, estimated", two * total * recurrent.rows(call))


def _einsum(calls: Calls, call: Call) -> Iterator[Seen]:
    whole = einsums(calls).whole
    for reached in call.reached:
        if reached.place in whole:
            yield Seen(reached.place, "what NumPy prints", whole[reached.place].rounded_flops)


ACTIVATIONS = ("relu", "prelu", "elu", "leaky_relu", "relu6", "silu", "gelu")
FUNCTIONAL: Mapping[str, Rule] = {
    "linear": _linear,
    **{f"conv{axes}d": _convolution for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": _transposed for axes in (1, 2, 3)},
    **dict.fromkeys((*ACTIVATIONS, *POOLS, "softmax"), each_element),
    "batch_norm": _batch_norm,
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm"), _norm),
    "interpolate": _interpolation,
    "upsample": _interpolation,
    "multi_head_attention_forward": _attention,
}
TENSOR: Mapping[str, Rule] = {
    "matmul": _matrices,
    **dict.fromkeys(("addmm", "baddbmm"), _added_matrices),
    **dict.fromkeys(("mul", "add"), of_two),
    "einsum": _einsum,
}
FUNCTIONS = Functions("calflops", FUNCTIONAL, TENSOR, ("matmul", "mul", "add", "addmm"))

LAYERS: Mapping[str, Callable[[Calls, Call], Iterator[Seen]]] = {
    "Linear": _linear,
    **{name: _transposed if "Transpose" in name else _convolution for name in CONVOLUTIONS},
    **dict.fromkeys(LAYERS_OF_POOLS, each_element),
    **dict.fromkeys(("ReLU", "PReLU", "ELU", "LeakyReLU", "SiLU", "GELU", "Softmax", "Softmax2d"), each_element),
    **{f"BatchNorm{axes}d": _batch_norm for axes in (1, 2, 3)},
    **{f"InstanceNorm{axes}d": _norm for axes in (1, 2, 3)},
    **dict.fromkeys(("LayerNorm", "GroupNorm"), _norm),
    **dict.fromkeys(("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"), _interpolation),
    "MultiheadAttention": _attention,
    **{kind + end: _recurrent for kind in recurrent.GATES for end in ("", "Cell")},
}


def seen(calls: Calls) -> Iterator[Seen]:
    """What it counts, by operator.

    Raises:
        InputError: what it sees is not told by the count.
    """
    check_modules(calls, "calflops")
    refuse_taken_apart(calls, "calflops")
    model = calls.cost.module_at("")
    if model is not None and forward_pre_hooks_of(model):
        raise InputError("calflops does not count what hooks before the call of the model call, and it has such hooks")
    for call in calls.layers(LAYERS):
        yield from LAYERS[call.layer](calls, call)
    for call in calls.others():
        if not calls.in_layer(call, LAYERS):
            yield from FUNCTIONS.seen(calls, call)
    for call in calls.layers({module.kind for module in calls.cost.modules.values()} - set(LAYERS)):
        if call.node.op == "call_module":
            FUNCTIONS.check_parts(call, f"the layer {call.path!r} ({call.layer})")


def notes(calls: Calls) -> Iterator[str]:
    """None: it prints the same everywhere."""
    yield from ()
