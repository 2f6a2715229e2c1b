"""Weights that are no parameters: packed for a kernel, as in quantised modules, or constants of a frozen script."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from fxcount.engine.scripts import nodes_of

_READERS = ("weight", "bias", "get_weight", "get_bias")
"""The methods by which quantised modules unpack a copy of what they hold."""


def packed_weights(modules: Mapping[str, nn.Module], named: Mapping[str, Any]) -> dict[str, int | None]:
    """The path of every module with such weights, to how many elements they have; None where that cannot be read.

    ``modules`` are those of the model, ``named`` is what the nodes of its graph name, also outside of the model.
    """
    paths = {id(module): path for path, module in modules.items()}
    called = {paths.get(id(each), path): each for path, each in named.items() if isinstance(each, nn.Module)}
    known = dict(modules)
    for path, module in called.items():
        if path not in modules:
            known.update(module.named_modules(prefix=path))
    packed: dict[str, int | None] = {}
    for path, module in known.items():
        if torch.ScriptObject in map(type, vars(module).values()):
            reader = _reader_around(path, known)
            packed[path if reader is None else reader] = None if reader is None else _elements_of(known[reader])
    for path, module in called.items():
        if isinstance(module, torch.jit.ScriptModule) and (elements := _constants_of(module)) != 0:
            packed[path] = elements
    return packed


def _reader_around(path: str, modules: Mapping[str, nn.Module]) -> str | None:
    """The path of the innermost module, from the one at ``path`` outwards, that can unpack the weights."""
    while True:
        if any(callable(getattr(modules.get(path), name, None)) for name in _READERS):
            return path
        if not path:
            return None
        path = path.rpartition(".")[0]


def _elements_of(module: nn.Module) -> int:
    """The elements of all that the module unpacks: tensors, or tensors by name."""
    read = [getattr(module, name)() for name in _READERS if callable(getattr(module, name, None))]
    tensors = [tensor for each in read for tensor in (each.values() if isinstance(each, Mapping) else (each,))]
    return sum(tensor.numel() for tensor in tensors if tensor is not None)


def _constants_of(script: torch.jit.ScriptModule) -> int | None:
    """The elements of the constant tensors in the code of a script but for numbers; None if there are packed ones."""
    graph, elements = script.inlined_graph, 0
    for node in nodes_of(graph):
        if node.kind() in ("prim::Constant", "prim::ConstantMKLDNNTensor"):
            if str(node.output().type()).startswith("__torch__.torch.classes."):
                return None
            if node.hasAttribute("value") and node.kindOf("value") == "t":
                tensor = node.t("value")
                elements += tensor.numel() if tensor.dim() and tensor.dtype.is_floating_point else 0
    return elements
