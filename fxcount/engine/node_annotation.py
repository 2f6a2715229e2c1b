"""What a node of a costed graph carries in ``node.meta``, written by whoever runs the node."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import fx
from torch.fx.passes.shape_prop import TensorMetadata

from fxcount._torch import tensor_metadata
from fxcount.cost import OperatorCost, total_cost
from fxcount.engine.storage_numbers import StorageNumbers
from fxcount.errors import NESTED, TracingError

Annotation = Mapping[str, Any]
"""Entries of ``node.meta``; nodes whose calls are equal share their values."""


def annotation(
    result: Any, operators: tuple[OperatorCost, ...] = (), storages: StorageNumbers | None = None
) -> Annotation:
    """``operators``, ``cost``, their sum, and of a result ``type``, ``shapes``, those of all tensors in it, and where
    there are any, as `ShapeProp` writes it, ``tensor_meta``. ``storages`` are how many tensors the call was given, and
    the numbers of those in the result."""
    described, cost = _described(result), total_cost(each.cost for each in operators)
    shapes = _shapes(described)
    storages = StorageNumbers() if storages is None else storages
    numbers = (storages.given, storages.of(result))
    entries = {"operators": operators, "cost": cost, "type": type(result), "shapes": shapes, "storages": numbers}
    return {**entries, "tensor_meta": described} if shapes else entries


def _shapes(described: Any) -> tuple[tuple[int, ...], ...]:
    """The shapes in the description of a result, which is nested as the result is."""
    if isinstance(described, TensorMetadata):
        return (tuple(described.shape),)
    if isinstance(described, Mapping):
        described = described.values()
    elif not isinstance(described, tuple):
        return ()
    return tuple(chain.from_iterable(map(_shapes, described)))


_MEMORY_FORMATS = {
    4: (torch.contiguous_format, torch.channels_last),
    5: (torch.contiguous_format, torch.channels_last_3d),
}
"""Those that tensors of so many axes may have; of any other number only the first."""


def describe(tensor: torch.Tensor) -> TensorMetadata:
    """What `ShapeProp` writes about a tensor; it asks for memory formats in Python, which takes most of its time.

    Raises:
        TracingError: the tensor is nested.
    """
    if tensor.is_nested:
        raise TracingError(NESTED)
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return tensor_metadata(tensor)
    shape, stride = tensor.shape, tensor.stride()
    formats = _MEMORY_FORMATS.get(len(shape), (torch.contiguous_format,))
    memory_format = next((each for each in formats if tensor.is_contiguous(memory_format=each)), None)
    return TensorMetadata(shape, tensor.dtype, tensor.requires_grad, stride, memory_format, False, {})


def _described(value: Any) -> Any:
    """``value`` with the metadata of each tensor in its place."""
    if isinstance(value, torch.Tensor):
        return describe(value)
    if isinstance(value, Mapping):
        return {key: _described(part) for key, part in value.items()}
    return tuple(map(_described, value)) if isinstance(value, list | tuple) else value


def place_of(op: str, target: Any, inputs: Mapping[str, str], module: str) -> str:
    """Where in the model a call is made, for an error: what is called, on which shapes, by which module."""
    name = target if isinstance(target, str) else getattr(target, "__name__", repr(target))
    shapes = ", ".join(f"{source} {shape}".rstrip() for source, shape in inputs.items())
    return f"at {op} {name} on {shapes or 'no input'}, called in {module or 'the model itself'}"


def shape_text(node: fx.Node) -> str:
    """The shape of a node's result, such as ``[2, 3]``; empty where it is no tensor."""
    meta = node.meta.get("tensor_meta")
    return str(list(meta.shape)) if isinstance(meta, TensorMetadata) else ""
