"""The operators of a graph in the order in which they ran, with the memory of their tensors, and what else tools of
`torch.fx` read of nodes."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import fx
from torch.fx.passes.shape_prop import TensorMetadata

from fxcount._torch import storage_identity
from fxcount.cost import OperatorCost, Place, moved


class OperatorCall(NamedTuple):
    """One call of an operator by a node."""

    node: str
    """The name of the node."""
    module: str
    """The path of the module whose forward made the call; "" is the model itself."""
    operator: OperatorCost
    """The record; the numbers of storages are those of the whole count."""


class Storages:
    """Which nodes of a graph, and which operators in them, compute into the same memory."""

    def __init__(
        self, graph: fx.Graph, named: Mapping[str, Any], read: Callable[[Any], Any] = lambda record: record
    ) -> None:
        """``named`` is what the nodes name, by its path; ``read`` changes what their ``meta`` says."""
        self._read = read
        self._graph = graph
        self._named = named
        self._next = itertools.count()
        self._of_tensors: defaultdict[int, int] = defaultdict(self._next.__next__)
        self._of_nodes: dict[fx.Node, tuple[Place, ...]] = {}

    def calls(self) -> Iterator[OperatorCall]:
        """Every operator that a node reached."""
        for node, numbers in self._nodes():
            for operator in self._read(node.meta["operators"]):
                yield OperatorCall(node.name, node.meta["module"], moved(operator, numbers.__getitem__))

    def results(self) -> Iterator[tuple[fx.Node, tuple[Place, ...]]]:
        """Every node, and where the tensors in its result lie."""
        for node, _ in self._nodes():
            yield node, self._of_nodes[node]

    def _nodes(self) -> Iterator[tuple[fx.Node, "defaultdict[int, Place]"]]:
        """Every node, but those that somebody has added to the graph, and its numbers."""
        for node in self._graph.nodes:
            if "storages" in node.meta:
                yield node, self._numbers(node)

    def _numbers(self, node: fx.Node) -> "defaultdict[int, Place]":
        """Those of the whole graph, by those in the records of ``node``."""
        given, result = self._read(node.meta["storages"])
        places = [*self._of_arguments((node.args, node.kwargs))]
        if node.op == "call_module":
            module = self._named[str(node.target)]
            places = [*map(self._of_tensor, (*module.parameters(), *module.buffers())), *places]
        numbers = defaultdict(self._start, enumerate(places, given - len(places)))
        if node.op == "get_attr" and isinstance(value := self._named[str(node.target)], torch.Tensor):
            numbers[0] = self._of_tensor(value)
        self._of_nodes[node] = tuple((numbers[storage][0], numbers[storage][1] + place) for storage, place in result)
        return numbers

    def _start(self) -> Place:
        return next(self._next), 0

    def _of_arguments(self, value: Any) -> Iterator[Place]:
        if isinstance(value, fx.Node):
            yield from self._of_nodes.get(value, ())
        elif isinstance(value, list | tuple | Mapping):
            for each in value.values() if isinstance(value, Mapping) else value:
                yield from self._of_arguments(each)

    def _of_tensor(self, tensor: torch.Tensor) -> Place:
        offset = int(tensor.storage_offset()) if tensor.layout is torch.strided else 0
        return self._of_tensors[storage_identity(tensor)[0]], offset


def write_values(storages: Storages) -> None:
    """Writes ``meta["val"]``, a result on the meta device; those that lie in the same memory do so there too."""
    results = dict(storages.results())
    described = {node: [*_metadata(node.meta.get("tensor_meta"))] for node in results}
    sizes: defaultdict[int, int] = defaultdict(int)
    for node, numbers in results.items():
        for (number, place), meta in zip(numbers, described[node], strict=False):
            sizes[number] = max(sizes[number], place * meta.dtype.itemsize + _bytes(meta))
    memory = {number: torch.UntypedStorage(size, device="meta") for number, size in sizes.items()}
    for node, numbers in results.items():
        placed = zip(numbers, described[node], strict=False)
        made = iter([_value(meta, memory[number], place) for (number, place), meta in placed])
        if described[node] and len(numbers) == len(described[node]):  # a mapping of another class may show more
            node.meta["val"] = _with(node.meta["tensor_meta"], made)


def write_module_stacks(graph: fx.GraphModule, kinds: Mapping[str, str]) -> None:
    """Writes ``meta["nn_module_stack"]``, the modules around a call, from outside in: by path, the path and class."""
    for node in graph.graph.nodes:
        path = node.meta.get("called_as") or node.meta.get("module", "")
        around = [*itertools.accumulate(path.split("."), "{}.{}".format)] if path else []
        node.meta["nn_module_stack"] = {each: (each, kinds.get(each, "")) for each in around}


def _metadata(value: Any) -> Iterator[TensorMetadata]:
    if isinstance(value, TensorMetadata):
        yield value
    elif isinstance(value, tuple | Mapping):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _metadata(each)


def _bytes(meta: TensorMetadata) -> int:
    if 0 in meta.shape:
        return 0
    last = sum((size - 1) * step for size, step in zip(meta.shape, meta.stride, strict=False))
    return (1 + last) * meta.dtype.itemsize


def _value(meta: TensorMetadata, memory: torch.UntypedStorage, place: int) -> torch.Tensor:
    if len(meta.stride) < len(meta.shape):  # of a sparse one
        return torch.empty(meta.shape, dtype=meta.dtype, device="meta")
    return torch.empty(0, dtype=meta.dtype, device="meta").set_(memory, place, meta.shape, meta.stride)


def _with(value: Any, made: Iterator[torch.Tensor]) -> Any:
    if isinstance(value, TensorMetadata):
        return next(made)
    if isinstance(value, Mapping):
        return {key: _with(each, made) for key, each in value.items()}
    return tuple(_with(each, made) for each in value) if isinstance(value, tuple) else value
