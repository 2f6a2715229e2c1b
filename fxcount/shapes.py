"""Results by shape alone, for the few operators that torch cannot run on the meta device, or only on some dtypes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fxcount.formulas.arguments import ArgumentReader

ShapeFunction = Callable[..., Any]

SHAPES: dict[str, ShapeFunction] = {}
"""Operator name to a function of the operator's arguments that returns empty tensors of the result's shapes."""

READ_LENGTHS = frozenset({"aten::_pack_padded_sequence", "aten::_pad_packed_sequence"})
"""Operators that run on shapes as long as the lengths of sequences are known: their results' shapes follow."""


def shape_of(operators: str) -> Callable[[ShapeFunction], ShapeFunction]:
    """Registers the decorated function for ``operators``, names parted by blanks, ``aten::`` left out."""

    def register(function: ShapeFunction) -> ShapeFunction:
        SHAPES.update({f"aten::{name}": function for name in operators.split()})
        return function

    return register


@functools.cache
def find_shape(operator: torch._ops.OpOverload) -> Callable[[Sequence[Any], Any], Any] | None:
    """A function of a call's arguments that makes its result; None where torch does it well on meta."""
    function = SHAPES.get(operator._schema.name)
    if function is None:
        return None
    reader = ArgumentReader(operator, function)

    def result(args: Sequence[Any], kwargs: Any) -> Any:
        positional, keyword = reader.read(args, kwargs)
        return function(*positional, **keyword)

    return result


@shape_of("lstm gru rnn_tanh rnn_relu")
def recurrent_network(x: Any, *, hx: Any, bidirectional: bool) -> Any:
    """The states of every step, and the last state, of which an LSTM has two; the network itself would run a small
    kernel for each gate of each step."""
    last = list(hx) if isinstance(hx, list | tuple) else [hx]
    steps = x.new_empty((*x.shape[:-1], (2 if bidirectional else 1) * last[0].shape[-1]))
    return (steps, *(state.new_empty(state.shape) for state in last))


@shape_of("ctc_loss")
def ctc_loss(log_probs: Any, *, reduction: int) -> Any:
    """One loss, or one for each example of the batch; the operator would read the lengths."""
    return log_probs.new_empty(() if reduction else log_probs.shape[1:-1])


@shape_of("_grouped_mm")
def grouped_product(a: Any, b: Any, offs: Any = None, bias: Any = None, out_dtype: Any = None) -> Any:
    """Groups lie along the first axis of a 3-D operand, or end at ``offs`` along the shared axis of a 2-D one."""
    dtype = out_dtype or a.dtype
    if a.dim() == 2 and b.dim() == 2:
        return a.new_empty(offs.shape[0], a.shape[0], b.shape[1], dtype=dtype)
    if a.dim() == 3 and b.dim() == 3:
        return a.new_empty(a.shape[0], a.shape[1], b.shape[2], dtype=dtype)
    return a.new_empty(a.shape[-2], b.shape[-1], dtype=dtype)


@shape_of("geqrf")
def householder_factors(a: Any) -> Any:
    """The factors in the place of the matrix, and one scalar for each reflector."""
    return torch.empty_like(a), a.new_empty(*a.shape[:-2], min(a.shape[-2:]))


@shape_of("_aminmax")
def smallest_and_largest(a: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Two results of the shape of a maximum."""
    largest = a.max() if dim is None else a.amax(dim, keepdim)
    return largest, torch.empty_like(largest)


@shape_of("_masked_softmax")
def masked_softmax(x: Any, mask: Any, dim: int | None = None, mask_type: int | None = None) -> Any:
    """As the input."""
    return torch.empty_like(x)
