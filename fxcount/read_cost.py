"""`read_cost`: from an interpreted trace to the `GraphCost` that people get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from torch import fx, nn
from torch.fx.passes.shape_prop import TensorMetadata

from fxcount.cost import Convention
from fxcount.costed_graph import NodeCost, Shape, Submodule, holder_of, leaf_paths, parent_of
from fxcount.graph_cost import GraphCost
from fxcount.tracing import CountedModel, Trace, TracedModule


def read_cost(model: CountedModel, trace: Trace, convention: Convention) -> GraphCost:
    """The costs that the nodes of the traced ``model`` carry, and what is known of its modules and parameters."""
    names = model.parameters if model.modules else _parameters_in(trace.module.named)
    nodes = _read_nodes(trace.module, convention, names)
    parameters, shared = _first_and_further(names)
    leaves = leaf_paths(nodes)
    holders = [holder_of(name, leaves) for name in parameters]
    return GraphCost(
        nodes=nodes,
        parameters=parameters,
        shared=shared,
        modules=_read_modules(model, trace.called, holders),
        tracer=trace.tracer,
        convention=convention,
        make_graph=trace.module.graph_module,
    )


def _read_nodes(
    traced: TracedModule, convention: Convention, names: Mapping[str, nn.Parameter]
) -> tuple[NodeCost, ...]:
    """The costs in ``node.meta``."""
    first = {id(parameter): name for name, parameter in reversed([*names.items()])}
    seen: set[int] = set()
    shapes = {node: tuple(_shapes(node.meta.get("tensor_meta"))) for node in traced.graph.nodes}
    nodes = []
    for node in traced.graph.nodes:
        used = _parameters_of(node, traced.named)
        new = {id(parameter): parameter.numel() for parameter in used.values() if id(parameter) not in seen}
        seen.update(new)
        nodes.append(
            NodeCost(
                name=node.name,
                op=node.op,
                target=_target_name(node.target),
                module=node.meta["module"],
                input_shapes=_joined([shapes[source] for source in node.all_input_nodes]),
                output_shapes=shapes[node],
                params=sum(new.values()),
                parameters=tuple(name if name in names else first.get(id(used[name]), name) for name in used),
                operators=node.meta["operators"],
                cost=node.meta["cost"],
                convention=convention,
            )
        )
    return tuple(nodes)


def _joined(shapes: list[tuple[Shape, ...]]) -> tuple[Shape, ...]:
    """All shapes in one tuple: that of a single input itself, for it may be long, and each of its items be taken."""
    return shapes[0] if len(shapes) == 1 else tuple(chain.from_iterable(shapes))


def _target_name(target: Any) -> str:
    if isinstance(target, str):
        return target
    return getattr(target, "__name__", None) or str(target)


def _shapes(described: Any) -> Iterator[Shape]:
    """The shapes in a node's ``tensor_meta``, which is nested as its result is."""
    if isinstance(described, TensorMetadata):
        yield tuple(described.shape)
    elif isinstance(described, Mapping):
        yield from _shapes(list(described.values()))
    elif isinstance(described, list | tuple):
        for part in described:
            yield from _shapes(part)


def _parameters_of(node: fx.Node, named: Mapping[str, Any]) -> dict[str, nn.Parameter]:
    """The parameters that a node uses, by name: those of the module that it calls, or the one that it gets."""
    if node.op not in ("call_module", "get_attr"):
        return {}
    return _parameters_in({str(node.target): named[str(node.target)]})


def _parameters_in(named: Mapping[str, Any]) -> dict[str, nn.Parameter]:
    """The parameters among modules and tensors, and inside of them, by name."""
    found: dict[str, nn.Parameter] = {}
    for path, value in named.items():
        if isinstance(value, nn.Parameter):
            found[path] = value
        elif isinstance(value, nn.Module) and value._modules:
            found.update(value.named_parameters(prefix=path))
        elif isinstance(value, nn.Module):  # most leaves: what named_parameters gives, without its generators
            found.update({f"{path}.{name}": each for name, each in value._parameters.items() if each is not None})
    return found


def _first_and_further(names: Mapping[str, nn.Parameter]) -> tuple[dict[str, Shape], dict[str, str]]:
    """The shape of each parameter under its first name, and every further name to the first."""
    first: dict[int, str] = {}
    for name, parameter in names.items():
        first.setdefault(id(parameter), name)
    shapes = {name: tuple(names[name].shape) for name in first.values()}
    return shapes, {name: first[id(each)] for name, each in names.items() if name not in shapes}


def _read_modules(
    model: CountedModel, called: Iterable[tuple[str, str]], holders: Iterable[str]
) -> dict[str, Submodule]:
    """The module tree; ``called`` is the path and class name of every call, ``holders`` the paths of all parameters."""
    calls = Counter(called)
    modules = {"": Submodule(_kind(model.run), 0)}
    for path in (*(path for path, _ in calls), *holders):
        new = []
        while path not in modules:
            new.append(path)
            path = parent_of(path)
        modules.update((around, Submodule(_kind(model.modules.get(around)), 0)) for around in reversed(new))
    for (path, kind), times in calls.items():
        modules[path] = Submodule(kind, modules[path].calls + times)
    return modules


def _kind(module: Any) -> str:
    return type(module).__name__ if isinstance(module, nn.Module) else ""
