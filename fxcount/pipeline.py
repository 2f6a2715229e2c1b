"""`count_pipeline`: what each stage of a pipeline of torch costs, and how long its ranks wait in a schedule."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fxcount.analyses.device import Device
from fxcount.analyses.devices import device_named
from fxcount.analyses.pipeline import Action, PipelineRecord, Received, StageCost, seconds_of_stages
from fxcount.analyses.roofline import calls_at_best
from fxcount.count import count_graph
from fxcount.engine.sharding import part_of
from fxcount.errors import InputError, TracingError
from fxcount.graph_cost import GraphCost
from fxcount.result.communication import Collective, Communication
from fxcount.tracing.example_call import ExampleCall
from fxcount.views.pipeline_table import pipeline_table, pipeline_to_dict, pipeline_to_json
from fxcount.views.terminal import terminal_width


class PipelineCost(PipelineRecord):
    """What a step of a pipeline costs; ``print`` shows it as a table."""

    def __str__(self) -> str:
        return pipeline_table(self, width=terminal_width())

    def __repr__(self) -> str:
        return f"PipelineCost({self.schedule}, {len(self.stages)} stages, {self.microbatches} microbatches)"

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x: auto">\n{pipeline_table(self, format="html")}\n</div>'

    # The functions of the views, whose first argument is the record.
    table = pipeline_table
    to_dict = pipeline_to_dict
    to_json = pipeline_to_json


def count_pipeline(
    schedule: Any,
    stages: Sequence[Any],
    example_input: Any,
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    backward: bool = False,
    device: str | Device | None = None,
) -> PipelineCost:
    """What each stage of a pipeline computes and sends for one microbatch, and how long its ranks wait for one another
    in a step: the bubble of the schedule.

    The model is split, and the schedule made, by ``torch.distributed.pipelining``. One process has all stages here; on
    the meta device they need no memory, and `fake_mesh` makes the process group that torch asks for. Every rank is
    taken to do what its schedule has next as soon as it has what that needs, passes that a schedule overlaps one after
    the other.

    Args:
        schedule: a schedule of torch, made for the stages of any rank, such as ``Schedule1F1B(stages[0], 8)``.
        stages: the stages of all ranks, each a ``PipelineStage``, or what ``pipe.build_stage`` makes.
        example_input: what the first stage is given for one microbatch, as for `count_graph`.
        example_kwargs: keyword arguments that every stage is given.
        backward: a step of training, forward and backward; else the forward passes of the schedule.
        device: what each rank is, the name of a device or a `Device`: time is then that at best, with the links over
            the axis of the pipeline if it has them. Otherwise multiply-accumulates stand for time, and sends take none.

    Returns:
        The stages and the bubble; ``print`` shows them.

    Raises:
        InputError: the schedule has no order, a stage is missing, or one returns what is not sent.
        TracingError: parameters of a stage are gathered, or gradients summed, once in a step and not once a microbatch.

    What `count_graph` raises is raised here too, and an error of the model itself as it is.
    """
    order = order_of(schedule, backward)
    found = _in_their_order(stages, {each.stage for actions in order.values() for each in actions})
    known = None if device is None else device_named(device)
    call = ExampleCall.of(example_input, example_kwargs)

    def counted(gives_back: Callable[[int, int, torch.Tensor], bool]) -> GraphCost:
        return count_graph(StagesInTurn(found, gives_back), call.args, call.kwargs, backward=backward)

    def weights(cost: GraphCost, phase: str) -> list[float]:
        """Of the passes of the stages."""
        if known is not None:
            seconds = seconds_of_stages(calls_at_best(cost, known))
            return [seconds.get((str(index), phase), 0.0) for index in range(len(found))]
        modules = [cost.by_module(1)[str(index)] for index in range(len(found))]
        costs = [module.cost if phase == "forward" else module.backward for module in modules]
        return [0 if each is None else each.macs for each in costs]

    def asked(index: int, place: int, tensor: torch.Tensor) -> bool:
        if not backward:
            return False
        return tensor.is_floating_point() if _is_traced(found[index]) else tensor.requires_grad

    cost = counted(asked)
    received = [_received(cost, index, stage) for index, stage in enumerate(found)]
    takes = {"F": weights(cost, "forward"), "B": weights(cost, "backward")}
    if any(each.kind == "I" for actions in order.values() for each in actions):
        with _frozen(found):  # what is left of a backward pass are the gradients of what stages are given
            of_inputs = counted(lambda index, place, tensor: received[index][place].has_gradient)
        takes["I"] = [0, *weights(of_inputs, "backward")[1:]]  # of the first stage torch computes all in the other half
        takes["W"] = [max(whole - half, 0) for whole, half in zip(takes["B"], takes["I"], strict=True)]
    ranks = {action.stage: rank for rank, actions in order.items() for action in actions}
    axis, modules = _axis(found[0]), cost.by_module(1)
    return PipelineCost(
        schedule=type(schedule).__name__,
        microbatches=sum(each.stage == 0 and each.kind == "F" for each in order[ranks[0]]),
        stages=tuple(
            StageCost(
                index=index,
                rank=ranks[index],
                params=sum(part_of(each).numel() for each in stage.submod.parameters()),
                macs=modules[str(index)].cost.macs,
                backward_macs=None if (gradient := modules[str(index)].backward) is None else gradient.macs,
                received=received[index],
                communication=Communication((*_sent(index, ranks, received, axis), *_inside(cost, index))),
                takes={kind: values[index] for kind, values in takes.items()},
            )
            for index, stage in enumerate(found)
        ),
        order=order,
        cost=cost,
        device=known,
        axis=axis,
    )


def order_of(schedule: Any, backward: bool) -> dict[int, tuple[Action, ...]]:
    """What each rank does, by the order that a schedule of torch has.

    Raises:
        InputError: it has none.
    """
    given = getattr(schedule, "pipeline_order", None)
    if not isinstance(given, Mapping) or not given:
        kind = schedule.__name__ if isinstance(schedule, type) else type(schedule).__name__
        raise InputError(f"a schedule of torch.distributed.pipelining that is made has an order, and {kind} has none")
    kinds, begun = "FBIW" if backward else "F", Counter[int]()
    order: dict[int, list[Action]] = {rank: [] for rank in given}
    for rank, actions in given.items():
        for action in (each for each in actions if each is not None):
            for stage, kind, microbatch, _ in action.sub_actions or (action,):
                letter = kind.value if isinstance(kind.value, str) else str(kind)  # it is a number in torch 2.9
                if letter not in kinds:
                    continue  # it sends, gathers or sums
                if letter == "F":  # microbatches come in their order, which Schedule1F1B numbers from one at times
                    microbatch = begun[stage]
                    begun[stage] += 1
                order[rank].append(Action(stage, letter, microbatch))
    return {rank: tuple(actions) for rank, actions in order.items()}


def _in_their_order(stages: Any, wanted: set[int]) -> list[Any]:
    """
    Raises:
        InputError: these are no stages, or not all of them.
        TracingError: what a stage sends is not known from one microbatch.
    """
    given = list(stages) if isinstance(stages, list | tuple) else [stages]
    for stage in given:
        if not hasattr(stage, "submod") or not hasattr(stage, "stage_index"):
            raise InputError(f"a stage is a PipelineStage, or what pipe.build_stage makes, not {type(stage).__name__}")
    found = sorted(given, key=lambda stage: stage.stage_index)
    here = [stage.stage_index for stage in found]
    if here != sorted(wanted):
        raise InputError(f"the stages of all ranks are needed: the schedule has {sorted(wanted)}, and here are {here}")
    fsdp: Any = sys.modules.get("torch.distributed.fsdp")
    kinds = (nn.parallel.DistributedDataParallel, *((fsdp.FSDPModule,) if fsdp else ()))
    for stage in found:
        if any(isinstance(module, kinds) for module in stage.submod.modules()):
            raise TracingError(
                f"stage {stage.stage_index} is also split over ranks with their own data, which exchange parameters or "
                "gradients when the schedule says so: give it as it is before that"
            )
    return found


def _is_traced(stage: Any) -> bool:
    """Whether a stage is of a graph that `pipeline` has made, which knows whence it is given what."""
    return hasattr(stage, "pipe_info")


def _sources(stage: Any) -> list[tuple[int, int]]:
    """Whence a stage of such a graph is given each argument: the stage, and which of its results.

    Raises:
        InputError: it is given an argument of the model, which torch does not hand on.
    """
    found = []
    for argument in stage.node.args:
        place = 0
        while argument.op == "call_function":
            argument, place = argument.args
        if argument.op != "call_module":
            raise InputError(f"stage {stage.stage_index} is given {argument.name}, which only the first stage has")
        found.append((stage.submod_to_stage_index[argument.name], place))
    return found


class View(nn.Module):
    """What a stage is given by another one. It costs nothing, and its node tells what is sent."""

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.view_as(tensor)


class StageInTurn(nn.Module):
    """One stage, and the tensors that others give it: those whose gradient they get back, and the rest."""

    def __init__(self, submod: nn.Module) -> None:
        super().__init__()
        self.submod, self.given_back, self.kept = submod, View(), View()

    def receive(self, tensor: torch.Tensor, gives_back: bool) -> torch.Tensor:
        """The tensor as the stage gets it."""
        if not gives_back:
            return self.kept(tensor)  # type: ignore[no-any-return]
        if not tensor.requires_grad:  # it does where it arrives, whatever it is of
            tensor = tensor.detach().requires_grad_()
        return self.given_back(tensor)  # type: ignore[no-any-return]

    def forward(self, *given: torch.Tensor, **kwargs: Any) -> Any:
        return self.submod(*given, **kwargs)


class StagesInTurn(nn.Module):
    """All stages, one after the other, on one microbatch."""

    def __init__(self, stages: Sequence[Any], gives_back: Callable[[int, int, torch.Tensor], bool]) -> None:
        """``gives_back(index, place, tensor)``: whether a stage returns the gradient of what it is given there."""
        super().__init__()
        self.gives_back = gives_back
        self.sources = [_sources(stage) if _is_traced(stage) and stage.stage_index else None for stage in stages]
        for index, stage in enumerate(stages):
            self.add_module(str(index), StageInTurn(stage.submod))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """
        Raises:
            InputError: a stage returns no tensors for the next one.
        """
        made: list[Any] = []
        for index, stage in enumerate(self.children()):
            assert isinstance(stage, StageInTurn)
            given: Sequence[Any] = args
            if index:
                sources = self.sources[index]
                given = made[-1] if sources is None else [made[source][place] for source, place in sources]
                if not all(isinstance(each, torch.Tensor) for each in given):
                    raise InputError(f"what stage {index} is given is no tensor: stages send tensors")
                asked = (self.gives_back(index, place, each) for place, each in enumerate(given))
                given = [stage.receive(each, back) for each, back in zip(given, asked, strict=True)]
            result = stage(*given, **kwargs)
            made.append(result if isinstance(result, tuple | list) else (result,))
        return result


def _received(cost: GraphCost, index: int, stage: Any) -> tuple[Received, ...]:
    """What a stage is given by others, by the views of it."""
    backs = {f"{index}.given_back": True, f"{index}.kept": False}
    nodes = [node for node in cost.nodes if node.owner in backs]
    sources = _sources(stage) if _is_traced(stage) and index else [(index - 1, 0)] * len(nodes)
    return tuple(
        Received(source, tensor.elements * tensor.dtype.itemsize, backs[node.owner])
        for node, (source, _) in zip(nodes, sources, strict=True)
        for tensor in node.operators[0].outputs
    )


def _sent(
    index: int, ranks: Mapping[int, int], received: Sequence[Sequence[Received]], axis: str
) -> Iterator[Collective]:
    """What a stage sends to stages of other ranks."""
    results = [
        each.size
        for taker, some in enumerate(received)
        for each in some
        if each.source == index and ranks[taker] != ranks[index]
    ]
    gradients = [each.size for each in received[index] if each.has_gradient and ranks[each.source] != ranks[index]]
    for phase, sizes in {"forward": results, "backward": gradients}.items():
        if sizes:
            yield Collective(axis, "send", phase, "", len(sizes), sum(sizes))


def _inside(cost: GraphCost, index: int) -> Iterator[Collective]:
    """The collectives of the modules of a stage, whose paths are those in the stage."""
    path = f"{index}.submod"
    for each in cost.communication:
        if each.module == path or each.module.startswith(f"{path}."):
            inside = each.module.removeprefix(path).removeprefix(".")
            yield Collective(each.axis, each.name, each.phase, inside, each.calls, each.sent)


@contextlib.contextmanager
def _frozen(stages: Sequence[Any]) -> Iterator[None]:
    """While it lasts, no parameter requires a gradient."""
    trained = [each for stage in stages for each in stage.submod.parameters() if each.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_()


def _axis(stage: Any) -> str:
    """The axis of the mesh over which stages send, or ``pp`` where their group tells of none."""
    described = str(getattr(stage.group, "group_desc", ""))
    return described.removeprefix("mesh_") if described.startswith("mesh_") else "pp"
