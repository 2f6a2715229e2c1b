"""`optimizer_step`: what one step of an optimizer runs."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from fxcount._torch import entry_count, pytree
from fxcount.cost import OperatorCost, OptimizerStep, Traffic
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.sharding import is_split, mesh_axes, part_of, split_like
from fxcount.engine.without_data import WithoutData
from fxcount.errors import NO_VALUES, DataNeededError, InputError, TracingError
from fxcount.fault_origin import for_the_model
from fxcount.formulas.number_kinds import tensors

MakeOptimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
"""From the parameters that are trained to an optimizer of them, such as ``torch.optim.AdamW``."""

Trained = Sequence[tuple[nn.Parameter, torch.Tensor | None]]
"""Parameters, each with its gradient, None if it has none."""

STEPS_BEFORE = 10
"""How many steps are taken before the one that is counted: the first ones of some optimizers do less, or more."""


def optimizer_step(make: MakeOptimizer, trained: Trained) -> OptimizerStep:
    """One step of the optimizer that ``make`` returns for these parameters. It runs on tensors of their shapes, or on
    what a rank has of them: without data, unless the optimizer asks for values and the parameters have some.

    Raises:
        DataNeededError: the optimizer asks for values that there are not, or a gradient is sparse, and how many rows it
            has is not known.
        InputError: ``make`` returns no optimizer, or one of other parameters, or no parameter requires a gradient.
        TracingError: the optimizer runs the model in its step.
    """
    if not trained:
        raise InputError("there is nothing to optimize: no parameter of the model requires a gradient")
    if any(gradient is not None and gradient.is_sparse and gradient.is_meta for _, gradient in trained):
        raise DataNeededError(f"an optimizer of sparse gradients {NO_VALUES}")
    try:
        return _counted(make, trained, "meta", WithoutData(()))
    except DataNeededError:
        if any(parameter.is_meta for parameter, _ in trained):
            raise
        return _counted(make, trained, "cpu", OperatorCounter())


def refuse_no_maker(make: Any) -> None:
    """
    Raises:
        InputError: ``make`` cannot make an optimizer, such as an optimizer itself.
    """
    if not callable(make):
        kind = type(make).__name__
        raise InputError(f"optimizer must be a function of parameters, such as torch.optim.AdamW, not {kind}")


def made_optimizer(make: MakeOptimizer, given: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """What ``make`` returns of these parameters.

    Raises:
        InputError: that is no optimizer, or one of other parameters.
        TracingError: the optimizer runs the model in its step.
    """
    optimizer = for_the_model(make, list(given))
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(f"optimizer must return a torch.optim.Optimizer, not {type(optimizer).__name__}")
    known = {*map(id, given)}
    if any(id(parameter) not in known for group in optimizer.param_groups for parameter in group["params"]):
        raise InputError("optimizer must return one of the parameters that it is given, and it holds others")
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        name = type(optimizer).__name__
        raise TracingError(f"{name} runs the model inside its step, as often as its data says")
    return optimizer


def _counted(make: MakeOptimizer, trained: Trained, device: str, counter: OperatorCounter) -> OptimizerStep:
    optimizer = made_optimizer(make, [_stand_in(*pair, device) for pair in trained])
    for group in optimizer.param_groups:
        group.update({how: False for how in ("foreach", "fused") if group.get(how)})
    _take_first_steps(optimizer, counter)
    state, _ = pytree.tree_flatten(dict(optimizer.state))
    counter.take_over(tensor for tensor in tensors(state) if not tensor.is_meta)
    operators: list[OperatorCost] = []

    def note(func: Any, args: Any, kwargs: Any, out: Any) -> None:
        ran, given = counter.take_calls(), [*tensors(args)]
        if any(id(tensor) not in counters for tensor in given):  # not a counter of steps, nor a mark for the profiler
            operators.extend(ran)

    counters = {id(each["step"]) for each in optimizer.state.values() if isinstance(each.get("step"), torch.Tensor)}
    counter.on_call, counter.phase, counter.axes = note, "optimizer", mesh_axes(parameter for parameter, _ in trained)
    with counter:
        for_the_model(optimizer.step)
    kept = [each for each in tensors(state) if id(each) not in counters]
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    gradients = [each.grad for each in parameters if each.grad is not None]
    written = _bytes((*parameters, *kept)) if all(each.layout is torch.strided for each in gradients) else 0
    traffic = Traffic(written + _bytes(gradients), written)
    dtypes = dict.fromkeys(each.dtype for each in parameters)
    return OptimizerStep.of(type(optimizer).__name__, operators, traffic, dtypes)


def _bytes(some: Iterable[torch.Tensor]) -> int:
    """What dense tensors hold; of sparse ones nothing."""
    return sum(part_of(each).numel() * each.itemsize for each in some if each.layout is torch.strided)


def _take_first_steps(optimizer: torch.optim.Optimizer, counter: OperatorCounter) -> None:
    """By torch alone, which is quick; where it fails, the counter knows whether values are what is missing."""
    for _ in range(STEPS_BEFORE):
        try:
            for_the_model(optimizer.step)
        except RuntimeError:
            with counter:
                for_the_model(optimizer.step)


def _stand_in(parameter: nn.Parameter, gradient: torch.Tensor | None, device: str) -> nn.Parameter:
    made = nn.Parameter(_like(parameter, device))
    if gradient is not None:
        made.grad = _like(gradient, device)
    return made


def _like(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """One of the same shape, dtype and layout, of ones where it has data. The rows of a sparse one are distinct, for no
    more is known of them. Of one that is split it is a part."""
    if is_split(tensor):
        return split_like(tensor, _like(part_of(tensor), device))  # type: ignore[no-any-return]
    if tensor.layout is not torch.sparse_coo:
        return torch.ones(tensor.shape, dtype=tensor.dtype, device=device)
    rows = torch.arange(entry_count(tensor), device=device) % max(tensor.shape[0], 1)
    values = torch.ones(len(rows), *tensor.shape[1:], dtype=tensor.dtype, device=device)
    return torch.sparse_coo_tensor(rows[None], values, tensor.shape, device=device, check_invariants=False)
