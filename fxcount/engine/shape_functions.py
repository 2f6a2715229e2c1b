"""Results by shape alone, for operators that torch cannot run on the meta device, only on some dtypes, or slowly.

A function here returns ``NotImplemented`` for a call that it does not describe, such as one that is an error: torch
runs it, and says what is wrong.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from fxcount._torch import Operator, schema_of
from fxcount.formulas import operator_name
from fxcount.formulas.arguments import ArgumentReader

ShapeFunction = Callable[..., Any]

SHAPES: dict[str, ShapeFunction] = {}
"""Operator name to a function of the operator's arguments that returns empty tensors of the result's shapes."""

READ_VALUES = frozenset(
    {
        "aten._pack_padded_sequence",
        "aten._pad_packed_sequence",
        "aten.masked_select",
        "aten.narrow",
        "aten.repeat_interleave",
        "aten.tensor_split",
    }
)
"""Operators that run on shapes as long as lengths, places or masks are known: the shapes of their results follow."""

_INDEXED = frozenset({"aten.index", "aten.index_put", "aten.index_put_", "aten._unsafe_index_put"})

_MASKS = (torch.bool, torch.uint8)


def reads_values(operator: Operator, args: Sequence[Any]) -> bool:
    """Whether the shape of a call's result, or its cost, depends on values; an index with numbers selects as many as
    there are."""
    name = operator_name(operator)
    if name in _INDEXED:
        return any(each is not None and each.dtype in _MASKS for each in args[1])
    return name in READ_VALUES


def shape_of(operators: str) -> Callable[[ShapeFunction], ShapeFunction]:
    """Registers the decorated function for ``operators``, names parted by blanks, ``aten.`` left out."""

    def register(function: ShapeFunction) -> ShapeFunction:
        SHAPES.update({name if "." in name else f"aten.{name}": function for name in operators.split()})
        return function

    return register


def find_shape(operator: Operator) -> Callable[[Sequence[Any], Any], Any] | None:
    """A function of a call's arguments that makes its result; None where torch does it well on meta."""
    name = operator_name(operator)
    if not schema_of(operator).is_mutable:
        return _fitted(operator, SHAPES.get(name))
    functional = _fitted(operator, SHAPES.get(name[:-1])) if name.endswith("_") else None
    return None if functional is None else _in_place(functional)


def _fitted(operator: Operator, function: ShapeFunction | None) -> Callable[[Sequence[Any], Any], Any] | None:
    if function is None:
        return None
    reader = ArgumentReader(operator, function)

    def result(args: Sequence[Any], kwargs: Any) -> Any:
        positional, keyword = reader.read(args, kwargs)
        return function(*positional, **keyword)

    return result


def _in_place(functional: Callable[[Sequence[Any], Any], Any]) -> Callable[[Sequence[Any], Any], Any]:
    """The tensor itself, where it has the shape of what is written to it."""

    def result(args: Sequence[Any], kwargs: Any) -> Any:
        out = functional(args, kwargs)
        fits = out is not NotImplemented and out.shape == args[0].shape and out.dtype == args[0].dtype
        return args[0] if fits else NotImplemented

    return result


_META = torch.device("meta")


def _empty(shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """A contiguous tensor of the dtype of another; its ``new_empty`` would take four times as long on meta."""
    return torch.empty(shape, dtype=like.dtype, device=_META)


@shape_of("batch_norm instance_norm group_norm")
def channel_norm(
    x: Any, *, weight: Any = None, bias: Any = None, running_mean: Any = None, running_var: Any = None
) -> Any:
    """As the input, in its memory format; torch takes a norm apart on meta."""
    of_channels = [each for each in (weight, bias, running_mean, running_var) if each is not None]
    fits = x.dim() > 1 and x.dtype.is_floating_point and all(each.shape == x.shape[1:2] for each in of_channels)
    return _empty(x.shape, x) if fits and x.is_contiguous() else NotImplemented


@shape_of("native_batch_norm")
def norm_by_running_statistics(x: Any, *, training: bool = False) -> Any:
    """As the input, and no statistics of the batch; on meta torch makes room for these."""
    return NotImplemented if training else (torch.empty_like(x), _empty((0,), x), _empty((0,), x))


@shape_of("layer_norm rms_norm")
def last_axes_norm(x: Any, normalized_shape: Sequence[int], weight: Any, *, bias: Any = None) -> Any:
    """As the input, contiguous."""
    normalized = tuple(normalized_shape)
    shapes = [tuple(each.shape) for each in (weight, bias) if each is not None]
    fits = x.dtype.is_floating_point and tuple(x.shape[max(0, x.dim() - len(normalized)) :]) == normalized
    return _empty(x.shape, x) if fits and all(shape == normalized for shape in shapes) else NotImplemented


@shape_of(
    "gelu hardswish hardsigmoid mish softplus elu selu relu silu sigmoid tanh hardtanh leaky_relu exp log sqrt rsqrt "
    "sin cos erf abs neg square reciprocal"
)
def elementwise(x: Any) -> Any:
    """As the input."""
    return _empty(x.shape, x) if x.dtype.is_floating_point and x.is_contiguous() else NotImplemented


@shape_of("add sub mul div")
def broadcast(x: Any, y: Any) -> Any:
    """Of the shape that both are broadcast to; a number takes the dtype of the tensor."""
    if not (isinstance(x, torch.Tensor) and x.dtype.is_floating_point and x.is_contiguous()):
        return NotImplemented
    if isinstance(y, int | float):
        return _empty(x.shape, x)
    fits = isinstance(y, torch.Tensor) and y.dtype == x.dtype and y.is_contiguous()
    if fits and x.shape == y.shape:
        return _empty(x.shape, x)
    axes = zip(reversed(x.shape), reversed(y.shape), strict=False) if fits else ()
    fits = fits and all(a == b or a == 1 or b == 1 for a, b in axes)
    return _empty(torch.broadcast_shapes(x.shape, y.shape), x) if fits else NotImplemented


@shape_of("linear")
def linear(x: Any, weight: Any, bias: Any) -> Any:
    """The last axis becomes the output features."""
    fits = x.dim() > 0 and weight.dim() == 2 and x.shape[-1] == weight.shape[1] and x.dtype == weight.dtype
    fits = fits and (bias is None or bias.shape == weight.shape[:1])
    return _empty((*x.shape[:-1], weight.shape[0]), x) if fits else NotImplemented


@shape_of("max_pool1d")
def max_pool1d(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, *, ceil_mode: bool) -> Any:
    """As the pooling of an axis more, which torch does on meta for sizes that are symbols too."""
    (step,), (taps,) = stride or kernel_size, kernel_size
    args = ((1, taps), (1, step), (0, *padding), (1, *dilation), ceil_mode)
    return torch.ops.aten.max_pool2d(x.unsqueeze(-2), *args).squeeze(-2)


@shape_of("scaled_dot_product_attention")
def attention(query: Any, key: Any, value: Any) -> Any:
    """As the queries, with the width of the values."""
    same = query.dim() == key.dim() == value.dim() == 4 and query.shape[0] == key.shape[0] == value.shape[0]
    fits = same and query.shape[1] == key.shape[1] == value.shape[1] and query.shape[3] == key.shape[3]
    fits = fits and key.shape[2] == value.shape[2] and query.dtype == key.dtype == value.dtype
    return _empty((*query.shape[:-1], value.shape[-1]), query) if fits else NotImplemented


@shape_of("lstm gru rnn_tanh rnn_relu")
def recurrent_network(x: Any, *, hx: Any, bidirectional: bool) -> Any:
    """The states of every step, and the last state, of which an LSTM has two; the network itself would run a small
    kernel for each gate of each step."""
    last = list(hx) if isinstance(hx, list | tuple) else [hx]
    steps = x.new_empty((*x.shape[:-1], (2 if bidirectional else 1) * last[0].shape[-1]))
    return (steps, *(state.new_empty(state.shape) for state in last))


@shape_of("_weight_norm_interface_backward")
def weight_norm_backward(grad: Any, v: Any, magnitude: Any) -> Any:
    """A gradient for the direction and one for the magnitude; torch 2.9 does not run it on meta."""
    return _empty(v.shape, v), _empty(magnitude.shape, magnitude)


@shape_of("ctc_loss")
def ctc_loss(log_probs: Any, *, reduction: int) -> Any:
    """One loss, or one for each example of the batch; the operator would read the lengths."""
    return log_probs.new_empty(() if reduction else log_probs.shape[1:-1])


@shape_of("index")
def index(x: Any, indices: Sequence[Any]) -> Any:
    """A mask selects as many places as it has true values; one that is not known is left to torch, which refuses."""
    numbers: list[Any] = []
    for each in indices:
        if each is not None and each.dtype in _MASKS and not each.is_meta:
            numbers += [place.to("meta") for place in each.nonzero(as_tuple=True)]
        else:
            numbers.append(each if each is None else each.to("meta"))
    return torch.ops.aten.index(x if x.is_meta else x.to("meta"), numbers)


@shape_of("index_put _unsafe_index_put")
def index_put(x: Any) -> Any:
    """As the tensor that is written to, whatever a mask selects."""
    return torch.empty_like(x, device=_META)


@shape_of("repeat_interleave")
def repeat_interleave(x: Any, *, repeats: Any = None, dim: int | None = None) -> Any:
    """Each element as often as its number of repeats says."""
    if not isinstance(repeats, torch.Tensor) or repeats.is_meta or x is repeats:
        return NotImplemented
    shape = [x.numel()] if dim is None else list(x.shape)
    axis = dim or 0
    shape[axis] = int(repeats.expand(shape[axis]).sum())
    return x.new_empty(shape, device="meta")


@shape_of("masked_select")
def masked_select(x: Any, mask: Any) -> Any:
    """As many elements as the mask has true values, of the places that both are broadcast to."""
    if mask.is_meta:
        return NotImplemented
    return x.new_empty(int(mask.expand(torch.broadcast_shapes(x.shape, mask.shape)).sum()), device="meta")


@shape_of("_grouped_mm")
def grouped_product(a: Any, b: Any, offs: Any = None, bias: Any = None, out_dtype: Any = None) -> Any:
    """Groups lie along the first axis of a 3-D operand, or end at ``offs`` along the shared axis of a 2-D one."""
    dtype = out_dtype or a.dtype
    if a.dim() == 2 and b.dim() == 2:
        return a.new_empty(offs.shape[0], a.shape[0], b.shape[1], dtype=dtype)
    if a.dim() == 3 and b.dim() == 3:
        return a.new_empty(a.shape[0], a.shape[1], b.shape[2], dtype=dtype)
    return a.new_empty(a.shape[-2], b.shape[-1], dtype=dtype)


@shape_of("_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward")
def adaptive_pool_backward(grad: Any, x: Any) -> Any:
    """As the input."""
    return torch.empty_like(x)


@shape_of("geqrf")
def householder_factors(a: Any) -> Any:
    """The factors in the place of the matrix, and one scalar for each reflector."""
    return torch.empty_like(a), a.new_empty(*a.shape[:-2], min(a.shape[-2:]))


@shape_of("_aminmax")
def smallest_and_largest(a: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Two results of the shape of a maximum."""
    largest = a.max() if dim is None else a.amax(dim, keepdim)
    return largest, torch.empty_like(largest)


@shape_of("_native_multi_head_attention")
def multi_head_attention(
    query: Any, key: Any, value: Any, *, num_head: int, need_weights: bool, average_attn_weights: bool
) -> Any:
    """As the queries, and if wanted the weights, of each head or their mean; torch 2.9 does not run it on meta."""
    if not query.shape == key.shape == value.shape:
        return NotImplemented
    batch, length = query.shape[:2]
    weights = (batch, length, length) if average_attn_weights else (batch, num_head, length, length)
    return torch.empty_like(query), query.new_empty(weights) if need_weights else None


@shape_of("bucketize")
def bucketize(x: Any, boundaries: Any, *, out_int32: bool) -> Any:
    """One place for a number, which torch up to 2.10 does not look up on meta."""
    dtype = torch.int32 if out_int32 else torch.int64
    return NotImplemented if isinstance(x, torch.Tensor) else boundaries.new_empty((), dtype=dtype)


@shape_of("_transformer_encoder_layer_fwd")
def transformer_encoder_layer(src: Any, embed_dim: int) -> Any:
    """As the input; torch up to 2.12 does not run it on meta."""
    return torch.empty_like(src) if src.dim() == 3 and src.shape[-1] == embed_dim else NotImplemented


@shape_of("_masked_softmax")
def masked_softmax(x: Any) -> Any:
    """As the input."""
    return torch.empty_like(x)


@shape_of("_c10d_functional._wrap_tensor_autograd")
def awaited(given: torch.Tensor) -> torch.Tensor:
    """What a collective is still filling: the same memory, of which torch makes another without data."""
    return given.detach()
