"""The rule of ``ptflops.get_model_complexity_info`` (ptflops 0.7.5) with its default back end: hooks on layers, and
functions that it replaces, which many of the layers call too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from fxcount.analyses.other_tools import recurrent
from fxcount.analyses.other_tools.calls import Call, Calls, Reached, Seen, check_modules, is_inside
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
from fxcount.analyses.other_tools.thop import CONVOLUTIONS, refuse_taken_apart
from fxcount.errors import InputError

UNIT = "MACs, and other operations beside them"
RULE = (
    "It counts layers of torch.nn by hooks, with biases, norms, activations and pools by the element, and calls of "
    "some functions; the activations and pools that are layers call these functions, so that they count twice. It does "
    "not see operators such as x @ y, nor fused attention, and divides what layers count by the batch. Where timm is "
    "installed, which is taken for granted here, its Attention stands for the layers in it, which count nothing."
)

ATTENTION = ("timm.layers.attention", "Attention")

SOFTMAX = "softmax"


def _interpolation(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = call.reached[0]
    yield Seen(reached.place, "1 an output element", _resized(calls, call, reached))
    if reached.name.startswith("adaptive_avg_pool"):  # the mode "area" calls it
        yield from each_element(calls, call)


def _resized(calls: Calls, call: Call, reached: Reached) -> int:
    """The elements of the result of an interpolation as it computes them, of a factor too that is no whole number."""
    _, size, factor = calls.settings(call, ("input", "size", "scale_factor"))
    if size is None and isinstance(factor, int | float):
        return int(reached.elements * factor ** (len(reached.made) - 2))
    ratios = zip(reached.made[2:], reached.given[0][2:], strict=True)
    if size is None and any(made % before for made, before in ratios):
        raise InputError("ptflops counts by the factors of an interpolation, and here they are no whole numbers")
    return reached.results


def _matrices(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = main(call)
    yield Seen(reached.place, "MACs", product(reached))


def _added_matrices(calls: Calls, call: Call) -> Iterator[Seen]:
    reached = main(call)
    added, first, second = reached.given[:3]
    yield Seen(reached.place, "MACs", prod(first) * second[-1])
    yield Seen(reached.place, "what is added", prod(added))


ACTIVATIONS = ("relu", "prelu", "elu", "relu6", "gelu", "silu")
TENSOR: Mapping[str, Rule] = {
    **dict.fromkeys(("matmul", "mm", "bmm"), _matrices),
    **dict.fromkeys(("addmm", "baddbmm"), _added_matrices),
    **dict.fromkeys(("mul", "add"), of_two),
}
FUNCTIONAL: Mapping[str, Rule] = {
    **dict.fromkeys((*ACTIVATIONS, *POOLS, SOFTMAX), each_element),
    "interpolate": _interpolation,
    "upsample": _interpolation,
}
FUNCTIONS = Functions("ptflops", FUNCTIONAL, TENSOR, ("matmul", "mm", "bmm", "mul", "add", "addmm"))

CALLED = {"ReLU": "relu", "PReLU": "prelu", "ELU": "elu", "GELU": "gelu", "SiLU": "silu"}
CALLED |= {"Softmax": SOFTMAX, "Softmax2d": SOFTMAX, **LAYERS_OF_POOLS}
CALLED |= dict.fromkeys(("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"), "interpolate")
"""The layers of torch.nn that call a replaced function."""


def _linear(call: Call) -> Iterator[tuple[str, int]]:
    reached = main(call)
    columns, inputs = call.parameters["weight"]
    rows = prod(reached.given[0][:-1])
    yield "MACs", inputs * columns * rows
    if "bias" in call.parameters:
        yield "biases", columns * rows


def _convolution(call: Call) -> Iterator[tuple[str, int]]:
    reached = next(each for each in call.reached if each.name.startswith("conv"))
    given, made = reached.given[0], reached.made
    places = prod(given[2:]) if "Transpose" in call.layer else prod(made[2:])
    yield "MACs", prod(call.parameters["weight"]) * given[0] * places
    if "bias" in call.parameters:
        yield "biases", given[0] * prod(made[1:])


def _norm(call: Call) -> Iterator[tuple[str, int]]:
    times = 2 if call.parameters and call.layer != "LayerNorm" else 1
    yield f"norm: {times} an element", times * main(call).elements


def _element(call: Call) -> Iterator[tuple[str, int]]:
    yield "its layer: 1 an input element", call.reached[0].elements


def _upsampled(call: Call) -> Iterator[tuple[str, int]]:
    yield "its layer: 1 an element of one result", call.reached[0].results // call.reached[0].made[0]


def _recurrent(call: Call) -> Iterator[tuple[str, int]]:
    units = {"RNN": 1, "GRU": 7, "LSTM": 10}[recurrent.kind_of(call)]
    gates = recurrent.GATES[recurrent.kind_of(call)]
    total = 0
    for level in recurrent.levels(call.parameters):
        total += prod(level.from_input) + prod(level.from_state) + units * level.from_input[0] // gates + level.biases
    two = 2 if recurrent.is_bidirectional(call.parameters) else 1
    yield "gates and biases, estimated", two * total * recurrent.rows(call)


LAYERS = {
    "Linear": _linear,
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **{f"{kind}Norm{axes}d": _norm for kind in ("Batch", "Instance") for axes in (1, 2, 3)},
    **dict.fromkeys(("GroupNorm", "LayerNorm"), _norm),
    **dict.fromkeys(("ReLU", "PReLU", "ELU", "LeakyReLU", "ReLU6", "GELU", *LAYERS_OF_POOLS), _element),
    "Upsample": _upsampled,
    **{kind + end: _recurrent for kind in recurrent.GATES for end in ("", "Cell")},
}


def seen(calls: Calls) -> Iterator[Seen]:
    """What it counts, by operator.

    Raises:
        InputError: what it sees is not told by the count.
    """
    check_modules(calls, "ptflops")
    refuse_taken_apart(calls, "ptflops")
    of_layers = [*_of_layers(calls)]
    yield from of_layers
    yield from _of_functions(calls)
    whole, batch = sum(each.amount for each in of_layers), _batch(calls)
    if batch > 1:
        yield Seen(-1, f"divided by the batch of {batch}", whole // batch - whole)


def _of_layers(calls: Calls) -> Iterator[Seen]:
    attentions = [
        path
        for path, module in calls.cost.modules.items()
        if module.kind == ATTENTION[1] and module.calls and type(calls.cost.module_at(path)).__module__ == ATTENTION[0]
    ]
    for call in calls.layers({*LAYERS, "MultiheadAttention"}):
        if any(is_inside(call.path, path) for path in attentions):
            continue
        if call.layer == "MultiheadAttention":
            yield Seen(_costliest(call), "attention, estimated", _attention(calls, call))
            continue
        place = _costliest(call)
        for why, amount in LAYERS[call.layer](call):
            yield Seen(place, why, amount)
    for path in attentions:
        yield _timm_attention(calls, path)


def _costliest(call: Call) -> int:
    """The place of the operator with the most MACs, or else the first with a cost."""
    return max(call.reached, key=lambda each: (each.operator.cost.macs, each.place == main(call).place)).place


def _attention(calls: Calls, call: Call) -> int:
    """Of ``torch.nn.MultiheadAttention`` of as many features in its queries, keys and values."""
    if call.node.op != "call_module":
        raise InputError(
            f"the attention {call.path!r} is several nodes, as where it has hooks, and its arguments are not told"
        )
    given, _ = calls.arguments(call)
    shapes = {node.name: node.output_shapes[0] for node in calls.cost.nodes if node.output_shapes}
    if len(given) != 3 or len(shapes[given[0].name]) != 3:
        raise InputError("ptflops fails on an attention that is not called with three tensors of three axes each")
    queries, keys, values = (shapes[each.name] for each in given)
    batch_first, heads = calls.settings(call, ("batch_first", "num_heads"))
    steps = 1 if batch_first else 0
    width, rows, columns, batch = queries[2], queries[steps], keys[steps], queries[1 - steps]
    total: int = rows * width + rows * width**2 + columns * (keys[2] ** 2 + values[2] ** 2)
    if "in_proj_bias" in call.parameters:
        total += (rows + 2 * columns) * width
    total += heads * rows * columns * (width // heads + 1 + values[2] // heads)
    total += rows * values[2] * (values[2] + 1)
    return batch * total


def _timm_attention(calls: Calls, path: str) -> Seen:
    """Of the class of timm: the scaling, the products and the softmax of its attention, without its projections."""
    reached = [each for node, some in calls.nodes if is_inside(node.owner, path) or node.owner == path for each in some]
    for each in reached:
        if each.name == "scaled_dot_product_attention":
            batch, heads, rows, width = each.given[0]
            total = rows * width * heads + heads * rows * rows * (2 * width + 1)
            return Seen(each.place, "attention, estimated", batch * total)
    raise InputError(f"the attention of {path!r} is not fused, and is not stated")


def _of_functions(calls: Calls) -> Iterator[Seen]:
    for call in calls.layers(CALLED):
        for each in FUNCTIONAL[CALLED[call.layer]](calls, call):
            yield each._replace(why=f"its function: {each.why}")
    for call in calls.layers({"MultiheadAttention"}):
        for reached in call.reached:
            if reached.name in ("bmm", "baddbmm", SOFTMAX):
                part = Call(call.node, call.path, "", (reached,))
                yield from ({**TENSOR, **FUNCTIONAL}[reached.name])(calls, part)
    for call in calls.others():
        if not calls.in_layer(call, CALLED):
            yield from FUNCTIONS.seen(calls, call)
    known = {*LAYERS, *CALLED, "MultiheadAttention"}
    for call in calls.layers({module.kind for module in calls.cost.modules.values()} - known):
        if call.node.op == "call_module":
            FUNCTIONS.check_parts(call, f"the layer {call.path!r} ({call.layer})")


def _batch(calls: Calls) -> int:
    """The length of the first argument."""
    first = next((node for node in calls.cost.nodes if node.op == "placeholder"), None)
    return first.output_shapes[0][0] if first and first.output_shapes and first.output_shapes[0] else 1


def notes(calls: Calls) -> Iterator[str]:
    """None: it prints the same everywhere."""
    yield from ()
