"""`read_cost`: from an interpreted trace to the `GraphCost` that people get."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import fx, nn

from fxcount._torch import parameters_of
from fxcount.cost import Convention, OptimizerStep, Traffic
from fxcount.described import class_name, described, function_name
from fxcount.engine.sharding import part_of
from fxcount.graph_cost import GraphCost
from fxcount.result.module_cost import Submodule
from fxcount.result.module_paths import holder_of, leaf_paths, parent_of
from fxcount.result.moves import Moves
from fxcount.result.node_cost import NodeCost, Shape
from fxcount.result.operator_calls import Storages
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.packed_weights import packed_weights
from fxcount.tracing.trace import Trace, TracedModule


def read_cost(
    model: CountedModel,
    trace: Trace,
    convention: Convention,
    gave_up: Mapping[str, str],
    optimizer: OptimizerStep | None,
) -> GraphCost:
    """The costs that the nodes of the traced ``model`` carry, and what is known of its modules and parameters."""
    names, backward = named_parameters(model, trace), trace.gradients is not None
    used = _UsedParameters(names, trace.made)
    storages = partial(Storages, trace.module.graph, trace.module.named)
    example = {} if trace.symbols is None else trace.symbols.sizes.example
    moves = Moves(storages, partial(Traffic.in_sizes, example=example) if example else Traffic.of)
    nodes = _read_nodes(trace.module, convention, used, backward, moves)
    parameters, shared = _first_and_further(used.names)
    leaves = leaf_paths(nodes)
    holders = [holder_of(name, leaves) for name in parameters]
    return GraphCost(
        nodes=nodes,
        parameters=parameters,
        shared=shared,
        unregistered=tuple(name for name in used.names if name not in names),
        modules=_read_modules(model, trace.called, holders),
        tracer=trace.tracer,
        convention=convention,
        make_graph=trace.module.graph_module,
        make_storages=storages,
        module_at=model.module_at,
        gave_up=gave_up,
        call=described(model, _dtypes(trace.module)),
        packed=packed_weights(model.modules, trace.module.named),
        frozen=tuple(name for name in parameters if not used.names[name].requires_grad),
        has_backward=backward,
        optimizer=optimizer,
        moves=moves,
    )


def _dtypes(traced: TracedModule) -> dict[str, str]:
    """Those of the inputs that are tensors, by the names of their nodes."""
    inputs = (node for node in traced.graph.nodes if node.op == "placeholder" and node.meta["shapes"])
    return {node.name: str(node.meta["tensor_meta"].dtype).removeprefix("torch.") for node in inputs}


def named_parameters(model: CountedModel, trace: Trace) -> dict[str, nn.Parameter]:
    """The parameters that the model has, by name; of a function those that it uses."""
    names = model.parameters
    if not model.modules:
        names = {name: each for item in trace.module.named.items() for name, each in _parameters_in(*item).items()}
    return {name: each for name, each in names.items() if id(each) not in trace.made} if trace.made else names


def trained_parameters(model: CountedModel, trace: Trace) -> list[tuple[nn.Parameter, torch.Tensor | None]]:
    """The parameters that require a gradient, each with the one it has after the backward pass."""
    gradients = trace.gradients or {}
    distinct = {id(each): each for each in named_parameters(model, trace).values() if each.requires_grad}
    return [(parameter, gradients.get(place)) for place, parameter in distinct.items()]


def _read_nodes(
    traced: TracedModule, convention: Convention, used: "_UsedParameters", backward: bool, moves: Moves
) -> tuple[NodeCost, ...]:
    """The costs in ``node.meta``."""
    shapes: dict[fx.Node, tuple[Shape, ...]] = {}
    nodes = []
    for node in traced.graph.nodes:
        meta, op, target = node.meta, node.op, node.target
        made = shapes[node] = meta["shapes"]
        sources = node.all_input_nodes
        has_parameters = op in ("call_module", "get_attr")
        params, trainable, parameters = used.by(target, traced.named[target]) if has_parameters else (0, 0, ())
        nodes.append(
            NodeCost(  # by position, which takes half the time
                node.name,
                op,
                target if isinstance(target, str) else function_name(target),
                meta["module"],
                # Of a single input its own tuple and no copy, for it may be long, with a node for each of its items.
                shapes[sources[0]] if len(sources) == 1 else (*chain.from_iterable(map(shapes.__getitem__, sources)),),
                made,
                params,
                parameters,
                meta["operators"],
                meta["cost"],
                convention,
                called_as if (called_as := meta.get("called_as", "")) != target else "",
                tuple([source.name for source in sources]),
                trainable,
                meta.get("backward", ()) if backward else None,
                moves,
            )
        )
    return tuple(nodes)


class _UsedParameters:
    """Which parameters nodes use, in the order of the graph."""

    def __init__(self, names: Mapping[str, nn.Parameter], made: Container[int]) -> None:
        """``names`` are those of the model, ``made`` those that the run made."""
        self.names = dict(names)
        """Those of the model, and those that nodes use and the model does not register."""
        self._first = {id(parameter): name for name, parameter in reversed([*names.items()])}
        self._seen: set[int] = set()
        self._made = made

    def by(self, path: str, value: Any) -> tuple[int, int, tuple[str, ...]]:
        """The elements of those that no node used before, of those among them that require a gradient, and the names
        of all, of the module or tensor at ``path``."""
        parameters = _parameters_in(path, value)
        if not parameters:
            return 0, 0, ()
        new, trainable, used = 0, 0, []
        for name, parameter in parameters.items():
            if id(parameter) in self._made:
                continue
            if name not in self.names and self._first.setdefault(id(parameter), name) == name:
                self.names[name] = parameter
            used.append(name if name in self.names else self._first[id(parameter)])
            if id(parameter) not in self._seen:
                self._seen.add(id(parameter))
                size = part_of(parameter).numel()
                new += size
                trainable += size if parameter.requires_grad else 0
        return new, trainable, tuple(used)


def _parameters_in(path: str, value: Any) -> dict[str, nn.Parameter]:
    """The parameters by name of what lies at ``path``, a module or a tensor."""
    if isinstance(value, nn.Module):
        if next(value.children(), None) is not None:
            return dict(value.named_parameters(path))
        # Most leaves: what named_parameters gives, without its generators.
        return {f"{path}.{name}": each for name, each in parameters_of(value).items() if each is not None}
    return {path: value} if isinstance(value, nn.Parameter) else {}


def _first_and_further(names: Mapping[str, nn.Parameter]) -> tuple[dict[str, Shape], dict[str, str]]:
    """The shape of each parameter under its first name, and every further name to the first."""
    first: dict[int, str] = {}
    for name, parameter in names.items():
        first.setdefault(id(parameter), name)
    shapes = {name: tuple(part_of(names[name]).shape) for name in first.values()}
    return shapes, {name: first[id(each)] for name, each in names.items() if name not in shapes}


def _read_modules(
    model: CountedModel, called: Iterable[tuple[str, str]], holders: Iterable[str]
) -> dict[str, Submodule]:
    """The module tree; ``called`` is the path and class name of every call, ``holders`` the paths of all parameters."""
    met: dict[str, Submodule] = {}
    for (path, kind), times in Counter(called).items():
        met[path] = Submodule(kind, times + (met[path].calls if path in met else 0))
    modules = {"": met.get("") or Submodule(class_name(model.run), 0)}
    for path in (*met, *holders):
        new = []
        while path not in modules:
            new.append(path)
            path = parent_of(path)
        for around in reversed(new):
            modules[around] = met.get(around) or Submodule(class_name(model.module_at(around)), 0)
    return modules
