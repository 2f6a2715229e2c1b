"""`count_memory`: what one call of a model, and a step of its training, holds in memory."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any

from fxcount.described import described
from fxcount.engine.one_count import one_count
from fxcount.engine.optimizer_step import MakeOptimizer, refuse_no_maker
from fxcount.engine.refusals import refusals
from fxcount.engine.sharding import refuse_other_meshes
from fxcount.engine.storage_lives import StorageLife
from fxcount.engine.threads import one_thread
from fxcount.errors import InputError
from fxcount.fault_origin import REPORT, origin_of_fault
from fxcount.memory_cost import MemoryCost
from fxcount.result.memory_record import Allocation, Moment
from fxcount.result.module_cost import Submodule
from fxcount.result.module_paths import parent_of
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.example_call import ExampleCall
from fxcount.tracing.function_modules import with_what_it_names
from fxcount.tracing.memory_run import MemoryRun
from fxcount.tracing.restore import unchanged

DEVICES = ("cpu", "cuda")


def count_memory(
    model: Callable[..., Any],
    example_input: Any,
    example_kwargs: Mapping[str, Any] | None = None,
    *,
    backward: bool = False,
    optimizer: MakeOptimizer | None = None,
    attention: str | None = None,
    device: str | None = None,
) -> MemoryCost:
    """What one call of ``model`` on ``example_input`` holds in memory, as PyTorch would make and free its tensors.

    The model's own code runs once on tensors without data, and no weight is copied; one whose control flow depends on
    values runs on its data, and is put back. Every storage that an operator makes is followed until nobody has it any
    more. The parameters, the buffers and the inputs are there all the time, and so is what the model returns. The
    workspaces of kernels, and what an allocator rounds up, are not counted.

    Args:
        model: as for `count_graph`.
        example_input: as for `count_graph`.
        example_kwargs: as for `count_graph`.
        backward: the call with gradients, and its backward pass: the gradients of all that the model returns are given
            and held. Otherwise the call is as under ``torch.no_grad()``.
        optimizer: the backward pass, and the first step of the optimizer that this makes of the parameters that require
            a gradient, such as ``torch.optim.AdamW``: the step makes its state.
        attention: ``"math"`` for attention whose scores are held, as the products and the softmax that define it; else
            that of the device, whose fused kernels hold none.
        device: ``"cpu"`` or ``"cuda"``, whose kernels run: attention with dropout is fused on a GPU alone, and there an
            optimizer steps on all parameters at once. The device of the model if not given, a GPU for ``meta``.

    Returns:
        The memory: its peak, by kind, by module, over time; ``print`` shows it.

    Raises:
        InputError: the model, the example input or another argument is not of a kind that can be used.
        TracingError: the model is in parts on several ranks, or computes on nested tensors; a `DataNeededError` says
            that it asks for values that there are not.

    An error of the model itself is raised as it is.
    """
    counted, call = with_what_it_names(CountedModel.of(model)), ExampleCall.of(example_input, example_kwargs)
    _check("attention", attention, (None, "math"))
    _check("device", device, (None, *DEVICES))
    backward = bool(backward) or optimizer is not None
    if optimizer is not None:
        refuse_no_maker(optimizer)
    refuse_other_meshes((*counted.owned, *call.tensors()))
    own = "cpu" if counted.device(call).type == "cpu" else "cuda"
    options, before = (counted, call, device or own, attention), sys.exception()
    with one_count(), unchanged(counted, call) as put_back:
        ways = _ways(backward, counted.has_data(call))
        for way in ways:
            run = MemoryRun(*options, on_data=way[0], hooked=way[1])
            try:
                _take(run, backward, optimizer)
                return _read(run, counted, device or own, backward)
            except Exception as error:
                if origin_of_fault(error, before):
                    error.add_note(REPORT)
                    raise
                if isinstance(error, InputError) or way == ways[-1]:
                    raise
                put_back()
    raise AssertionError("the last way returns or raises")


def _ways(backward: bool, has_data: bool) -> list[tuple[bool, bool]]:
    """Whether a run is on data, and whether hooks tell what autograd keeps: without data where that is possible, and
    without hooks where the model refuses them."""
    return [
        (on_data, hooked)
        for on_data in ((False, True) if has_data else (False,))
        for hooked in ((True, False) if backward else (True,))
    ]


def _take(run: MemoryRun, backward: bool, optimizer: MakeOptimizer | None) -> None:
    with refusals(), one_thread():
        run.run(backward, optimizer)


def _check(argument: str, given: str | None, known: Iterable[str | None]) -> None:
    if given not in known:
        raise InputError(f"unknown {argument}: {given!r}; the known ones are {', '.join(filter(None, known))}")


def _read(run: MemoryRun, counted: CountedModel, device: str, backward: bool) -> MemoryCost:
    """What has been followed, as people get it."""
    lives = run.lives
    numbers = {id(life): number for number, life in enumerate(lives.lives)}
    allocations = tuple(_allocation(run, life) for life in lives.lives)
    changes = Counter[int]()
    for each in allocations:
        changes[max(each.made, 0)] += each.size
        changes[each.freed] -= each.size
    held = accumulate(changes[number] for number in range(len(lives.runs)))
    return MemoryCost(
        allocations=allocations,
        timeline=tuple(Moment(*each, size) for each, size in zip(lives.runs, held, strict=True)),
        modules=_modules(run),
        outputs={path: frozenset(numbers[place] for place in found) for path, found in run.outputs.items()},
        costs={path: run.cost_of(path) for path in run.costs},
        device=device,
        has_backward=backward,
        optimizer=run.optimizer,
        call=described(counted, {}),
    )


def _allocation(run: MemoryRun, life: StorageLife) -> Allocation:
    made = run.lives.runs[life.made] if life.made >= 0 else None
    activation = made is not None and made.phase == "forward"
    return Allocation(
        life.size,
        life.kind or ("activations" if activation else "temporaries"),
        life.shape,
        life.dtype,
        "" if made is None else made.operator,
        parent_of(life.name) if life.name else "" if made is None else made.place,
        life.made,
        len(run.lives.runs) if life.freed is None else life.freed,
        frozenset(life.savers),
    )


def _modules(run: MemoryRun) -> dict[str, Submodule]:
    """The modules that were called, and those around them, as the model has them."""
    calls = Counter(path for path, _ in run.called)
    kinds = dict(run.called)
    paths = dict.fromkeys(["", *run.model.modules])
    for path in calls:
        while path not in paths:
            paths[path] = None
            path = parent_of(path)
    return {path: Submodule(kinds.get(path) or run.kind_of(path), calls[path]) for path in paths}
