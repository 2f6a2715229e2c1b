"""What holds for every call, whatever its sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from fxcount import Cost
from tests.costing import cost_of
from tests.optional import TORCH

meta = partial(torch.empty, device="meta")
some = partial(settings, deadline=None)

Shape = tuple[int, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Call:
    """A call of ``function`` with tensors of these shapes."""

    name: str
    function: Callable[..., Any] = field(repr=False)
    shapes: tuple[Shape, ...]
    options: dict[str, Any] = field(default_factory=dict)
    batched: int = 0
    """How many of the tensors, from the first, have a batch as their first axis."""

    def cost(self, device: str = "meta") -> Cost:
        tensors = [torch.empty(shape, device=device) for shape in self.shapes]
        return cost_of(self.function, *tensors, **self.options)

    def of_batch(self, size: int) -> Call:
        batched = [(size, *shape[1:]) for shape in self.shapes[: self.batched]]
        return replace(self, shapes=(*batched, *self.shapes[self.batched :]))

    def is_valid(self) -> bool:
        """Whether torch takes the call: not every operator has a result for no elements, or for single ones."""
        try:
            self.function(*(meta(shape) for shape in self.shapes), **self.options)
        except (RuntimeError, IndexError, ValueError):
            return False
        return True


def call(function: Callable[..., Any], *shapes: Shape, batched: int = 0, name: str = "", **options: Any) -> Call:
    return Call(name or getattr(function, "__name__", repr(function)), function, shapes, options, batched)


sizes, positive = st.integers(0, 5), st.integers(1, 5)
UNARY = "relu neg abs sign round exp log sqrt rsqrt sin tanh erf sigmoid reciprocal square floor ceil log1p expm1"
BINARY = "add sub mul div maximum minimum atan2 pow"
TERNARY = "addcmul addcdiv lerp"
ACTIVATIONS = "silu gelu elu selu celu mish softplus logsigmoid leaky_relu hardswish hardsigmoid hardtanh relu6"
REDUCTIONS = "sum mean amax amin var std logsumexp"
ALONG_AN_AXIS = "softmax log_softmax cumsum cumprod sort argmax prod"


def one_of(names: str) -> st.SearchStrategy[str]:
    return st.sampled_from(names.split())


def shapes(*, least: int = 0) -> st.SearchStrategy[Shape]:
    return st.lists(sizes, min_size=least, max_size=4).map(tuple)


@st.composite
def pointwise(draw: Draw) -> Call:
    shape = draw(shapes(least=1))
    names, home, operands = draw(
        st.sampled_from([(UNARY, torch, 1), (ACTIVATIONS, F, 1), (BINARY, torch, 2), (TERNARY, torch, 3)])
    )
    return call(getattr(home, draw(one_of(names))), *[shape] * operands, batched=operands)


@st.composite
def reductions(draw: Draw) -> Call:
    shape = draw(shapes(least=2))
    axes = draw(st.lists(st.integers(1, len(shape) - 1), min_size=1, unique=True))
    return call(getattr(torch, draw(one_of(REDUCTIONS))), shape, dim=axes, keepdim=draw(st.booleans()), batched=1)


@st.composite
def along_an_axis(draw: Draw) -> Call:
    shape = draw(shapes(least=2))
    axis = draw(st.integers(1, len(shape) - 1)) - draw(st.sampled_from([0, len(shape)]))
    return call(getattr(torch, draw(one_of(ALONG_AN_AXIS))), shape, dim=axis, batched=1)


@st.composite
def convolutions(draw: Draw) -> Call:
    rank, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    per_axis = st.lists(st.integers(1, 3), min_size=rank, max_size=rank).map(tuple)
    kernel, stride, dilation = draw(per_axis), draw(per_axis), draw(per_axis)
    image = tuple(d * (k - 1) + draw(positive) for k, d in zip(kernel, dilation, strict=True))
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    bias = [(outputs * groups,)] * draw(st.booleans())
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    x = (draw(sizes), inputs * groups, *image)
    if draw(st.booleans()):
        weight = (inputs * groups, outputs, *kernel)
        return call(getattr(F, f"conv_transpose{rank}d"), x, weight, *bias, **options, batched=1)
    weight = (outputs * groups, inputs, *kernel)
    return call(getattr(F, f"conv{rank}d"), x, weight, *bias, **options, padding=1, batched=1)


@st.composite
def products(draw: Draw) -> Call:
    batch, rows, inner, columns = (draw(sizes) for _ in range(4))
    left, right = (batch, rows, inner), (batch, inner, columns)
    return draw(
        st.sampled_from(
            [
                call(torch.bmm, left, right, batched=2),
                call(torch.matmul, left, (inner, columns), batched=1),
                call(torch.matmul, left, (inner,), batched=1),
                call(torch.mm, left[1:], right[1:], batched=1),
                call(torch.inner, left, (columns, inner), batched=1),
                call(F.linear, left, (columns, inner), (columns,), batched=1),
                call(F.bilinear, (batch, rows), (batch, inner), (columns, rows, inner), batched=2),
                call(torch.addmm, (columns,), (rows, inner), (inner, columns), beta=2, alpha=3),
                call(torch.addbmm, (rows, columns), left, right),
                call(torch.baddbmm, (batch, rows, columns), left, right, alpha=2, batched=3),
            ]
        )
    )


@st.composite
def norms(draw: Draw) -> Call:
    groups = draw(positive)
    batch, channels, length = draw(sizes), groups * draw(positive), draw(sizes)
    x, affine = (batch, channels, length), draw(st.sampled_from([0, 1, 2]))
    return draw(
        st.sampled_from(
            [
                call(F.layer_norm, x, normalized_shape=[length], batched=1),
                call(F.layer_norm, x, normalized_shape=[channels, length], batched=1),
                call(F.rms_norm, x, normalized_shape=[length], batched=1),
                call(
                    lambda x, *affine: F.group_norm(x, groups, *affine),
                    x,
                    *[(channels,)] * affine,
                    batched=1,
                    name="group_norm",
                ),
                call(F.instance_norm, x, batched=1),
                call(F.batch_norm, x, (channels,), (channels,), *[(channels,)] * affine),
                call(F.batch_norm, x, (channels,), (channels,), *[(channels,)] * affine, training=True),
            ]
        )
    )


@st.composite
def attentions(draw: Draw, grouped: bool = True) -> Call:
    batch, heads, queries, keys, width, value_width = (draw(sizes) for _ in range(6))
    groups = draw(positive) if grouped else 1
    if TORCH < (2, 13) and not heads:  # which torch, where they are in groups, divides by, and Python ends
        groups = 1
    query, key, value = (
        (batch, heads * groups, queries, width),
        (batch, heads, keys, width),
        (batch, heads, keys, value_width),
    )
    mask = [(queries, keys)] * draw(st.booleans())
    return call(F.scaled_dot_product_attention, query, key, value, *mask, enable_gqa=groups > 1, batched=3)


@st.composite
def windows(draw: Draw) -> Call:
    kernel, image = draw(positive), (draw(sizes), draw(positive), draw(positive) + 4, draw(positive) + 4)
    size = [draw(positive), draw(positive)]
    return draw(
        st.sampled_from(
            [
                call(F.max_pool2d, image, kernel_size=kernel, stride=draw(positive), batched=1),
                call(F.avg_pool2d, image, kernel_size=kernel, ceil_mode=draw(st.booleans()), batched=1),
                call(F.adaptive_avg_pool2d, image, output_size=size, batched=1),
                call(F.adaptive_max_pool2d, image, output_size=size, batched=1),
                call(F.interpolate, image, size=size, mode="bilinear", batched=1),
                call(F.interpolate, image, size=size, mode="bicubic", batched=1),
                call(F.interpolate, image, size=size, mode="bilinear", antialias=True, batched=1),
                call(F.grid_sample, image, (image[0], *size, 2), align_corners=False, batched=2),
                call(F.unfold, image, kernel_size=kernel, batched=1),
            ]
        )
    )


FAMILIES = [pointwise, reductions, along_an_axis, convolutions, products, norms, attentions, windows]
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)


def valid(call: Call) -> Call:
    if not call.is_valid():
        reject()
    return call


@each_family
@some(max_examples=60)
@given(data=st.data())
def test_no_field_is_negative_and_devices_agree(family: Callable[[], Any], data: st.DataObject) -> None:
    drawn = valid(data.draw(family()))
    cost = drawn.cost()
    assert min(cost.to_dict().values()) >= 0
    assert drawn.cost(device="cpu") == cost


@each_family
@some(max_examples=60)
@given(data=st.data(), first=sizes, second=sizes)
def test_a_batch_costs_what_its_parts_cost(
    family: Callable[[], Any], data: st.DataObject, first: int, second: int
) -> None:
    drawn = valid(data.draw(family()))
    if not drawn.batched:
        reject()
    whole, *parts = (valid(drawn.of_batch(size)) for size in (first + second, first, second))
    assert whole.cost() == parts[0].cost() + parts[1].cost()


@some(max_examples=30)
@given(batch=positive, channels=positive, length=positive)
def test_what_a_batch_norm_pays_once(batch: int, channels: int, length: int) -> None:
    """Twice the batch costs twice as much but for what is paid per channel."""

    def cost(batch: int, training: bool) -> Cost:
        x, channel = meta(batch, channels, length), meta(channels)
        return cost_of(F.batch_norm, x, channel, channel, channel, channel, training=training)

    if batch * length > 1:  # torch refuses a batch norm in train over single values
        once, less = Cost(div=2 * channels, special=channels), Cost(add=channels)
        assert cost(2 * batch, True) + once == 2 * cost(batch, True) + less
    once = Cost(add=channels, special=channels)
    assert cost(2 * batch, False) + once == 2 * cost(batch, False)


@some(max_examples=60)
@given(shape=shapes(), name=one_of(UNARY))
def test_forms_of_one_operand(shape: Shape, name: str) -> None:
    function, x = getattr(torch, name), meta(shape)
    cost = cost_of(function, x)
    assert cost_of(getattr(x, name)) == cost
    assert cost_of(getattr(torch.ops.aten, name).out, x, out=meta(shape)) == cost
    assert cost_of(getattr(meta(shape), name + "_")) == cost
    assert cost_of(getattr(torch, f"_foreach_{name}", lambda tensors: [*map(function, tensors)]), [x, x]) == 2 * cost


@some(max_examples=60)
@given(shape=shapes(), other=shapes(), name=one_of(BINARY))
def test_forms_of_two_operands(shape: Shape, other: Shape, name: str) -> None:
    try:
        result = torch.broadcast_shapes(shape, other)
    except RuntimeError:
        reject()
    function, x, y = getattr(torch, name), meta(shape), meta(other)
    cost = cost_of(function, x, y)
    assert cost_of(function, y, x) == cost
    assert cost_of(getattr(x, name), y) == cost
    assert cost_of(function, x, y, out=meta(result)) == cost
    if hasattr(x, name + "_"):
        assert cost_of(getattr(meta(result), name + "_"), y) == cost


@some(max_examples=60)
@given(drawn=reductions())
def test_forms_of_reductions(drawn: Call) -> None:
    cost, x = valid(drawn).cost(), meta(drawn.shapes[0])
    result = drawn.function(x, **drawn.options)
    assert cost_of(getattr(x, drawn.name), **drawn.options) == cost
    assert cost_of(drawn.function, x, **drawn.options, out=meta(result.shape)) == cost


@some(max_examples=60)
@given(data=st.data())
def test_order_of_axes_does_not_matter(data: st.DataObject) -> None:
    drawn = valid(data.draw(st.one_of(pointwise(), reductions())))
    order = data.draw(st.permutations(range(len(drawn.shapes[0]))))
    moved = [meta(shape).permute(order) for shape in drawn.shapes]
    options = {**drawn.options}
    if "dim" in options:
        options["dim"] = [order.index(axis) for axis in options["dim"]]
    assert cost_of(drawn.function, *moved, **options) == drawn.cost()


@some(max_examples=40)
@given(drawn=convolutions(), data=st.data())
def test_order_of_a_convolutions_axes_does_not_matter(drawn: Call, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(drawn.shapes[0]) - 2)))
    moved = [meta(shape).permute(0, 1, *(2 + axis for axis in order)) for shape in drawn.shapes[:2]]
    bias = [meta(shape) for shape in drawn.shapes[2:]]
    options = {
        name: tuple(value[axis] for axis in order) if isinstance(value, tuple) else value
        for name, value in drawn.options.items()
    }
    assert cost_of(drawn.function, *moved, *bias, **options) == drawn.cost()


@some(max_examples=40)
@given(batch=shapes(), rows=sizes, inner=sizes, columns=sizes, data=st.data())
def test_order_of_a_products_axes_does_not_matter(
    batch: Shape, rows: int, inner: int, columns: int, data: st.DataObject
) -> None:
    a, b = meta(*batch, rows, inner), meta(*batch, inner, columns)
    order = data.draw(st.permutations(range(len(batch))))

    def moved(x: Tensor) -> Tensor:
        return x.permute(*order, -2, -1)

    cost = cost_of(torch.matmul, a, b)
    assert cost_of(torch.matmul, moved(a), moved(b)) == cost
    assert cost_of(torch.matmul, b.transpose(-1, -2), a.transpose(-1, -2)) == cost


@some(max_examples=40)
@given(drawn=attentions(grouped=False))
def test_heads_and_batch_are_alike_in_attention(drawn: Call) -> None:
    query, key, value, *mask = map(meta, drawn.shapes)
    moved = [x.transpose(0, 1) for x in (query, key, value)]
    assert cost_of(drawn.function, *moved, *mask) == drawn.cost()


@some(max_examples=40)
@given(shape=shapes(least=2), data=st.data())
def test_order_of_leading_axes_does_not_matter_to_layer_norm(shape: Shape, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(shape) - 1)))
    x, width = meta(shape), shape[-1:]
    moved = x.permute(*order, len(shape) - 1)
    assert cost_of(F.layer_norm, moved, width) == cost_of(F.layer_norm, x, width)
