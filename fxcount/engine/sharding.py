"""Models on several ranks: tensors of which each rank has a part. What is counted is what one rank does."""

import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from fxcount._torch import (
    AWAITED,
    FULLY_SHARD,
    GATHERED,
    sharded_parameters,
    sharding_propagator,
    split_as,
    unseen_by_modes,
)
from fxcount.errors import RANKS_DIFFER, InputError, TracingError
from fxcount.fault_origin import for_the_model
from fxcount.formulas.collectives import process_group


def _dtensor() -> Any:
    """The class, or None where nobody has loaded it, and so there are none."""
    module = sys.modules.get("torch.distributed.tensor")
    return None if module is None else module.DTensor


def is_split(tensor: torch.Tensor) -> bool:
    """Whether a tensor is one of which each rank has a part, or a copy."""
    kind = _dtensor()
    return kind is not None and isinstance(tensor, kind)


def are_split(types: Sequence[type]) -> bool:
    """Whether a call is one of `DTensor`, which makes calls on what each rank has of it."""
    kind = _dtensor()
    return kind is not None and any(issubclass(each, kind) for each in types)


def part_of(tensor: torch.Tensor) -> torch.Tensor:
    """What this rank has of a tensor, or gets by a collective; of one that is not split the tensor itself."""
    if is_split(tensor):
        with torch.no_grad():  # or it would be a call of autograd's
            tensor = tensor.to_local()  # type: ignore[attr-defined]
    return tensor.elem if _is_awaited(tensor) else tensor  # type: ignore[attr-defined]


def _is_awaited(tensor: Any) -> bool:
    """Whether a tensor is the result of a collective that nobody has waited for."""
    module, name = AWAITED
    collectives = sys.modules.get(module)
    return collectives is not None and isinstance(tensor, getattr(collectives, name))


def wait_for(results: Iterable[torch.Tensor]) -> None:
    """Waits for collectives: of those that nobody has waited for torch warns when the process ends."""
    for each in filter(_is_awaited, results):
        each.wait()  # type: ignore[attr-defined]


def split_like(tensor: Any, local: torch.Tensor) -> Any:
    """A tensor that is split as ``tensor`` is, and of which this rank has ``local``."""
    return type(tensor)(local, split_as(tensor), requires_grad=False)


@contextlib.contextmanager
def sharding_uncounted() -> Iterator[set[nn.Module]]:
    """While it lasts, how a result is split is found out unseen, what `fully_shard` has split needs no data, and a
    `DistributedDataParallel` is the module in it. Such wrappers are noted, for a run does not see what they send."""
    met: set[nn.Module] = set()

    def run_inner(wrapper: nn.parallel.DistributedDataParallel, *inputs: Any, **kwargs: Any) -> Any:
        met.add(wrapper)
        return for_the_model(wrapper.module, *inputs, **kwargs)

    module, refusal = FULLY_SHARD
    kind, groups = _dtensor(), sys.modules.get(module)
    with contextlib.ExitStack() as changes:
        changes.enter_context(_replaced(nn.parallel.DistributedDataParallel, "forward", run_inner))
        if kind is not None:
            propagator = sharding_propagator(kind)
            for name in ("propagate_op_sharding", "propagate_op_sharding_non_cached"):
                changes.enter_context(_replaced(propagator, name, _unseen(getattr(propagator, name))))
        if groups is not None:
            changes.enter_context(_replaced(groups.FSDPParamGroup, refusal, lambda group: None))
        yield met


def _unseen(propagate: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with unseen_by_modes():
            return propagate(*args, **kwargs)

    return run


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """While it lasts, an attribute of ``owner`` is another."""
    own, had = name in vars(owner), getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, had)
        else:
            delattr(owner, name)


def _gathered_modules(modules: Iterable[nn.Module]) -> Iterator[tuple[nn.Module, list[Any]]]:
    """The modules that `fully_shard` gathers, each with what it keeps of each of its parameters."""
    fsdp: Any = sys.modules.get("torch.distributed.fsdp")
    for module in modules if fsdp is not None else ():
        if isinstance(module, fsdp.FSDPModule):
            yield module, sharded_parameters(module)


def take_parameters(modules: Iterable[nn.Module]) -> None:
    """`fully_shard` takes the parameters that the modules have now, and has gathered none."""
    for _, parameters in _gathered_modules(modules):
        for each in parameters:
            each.reset_sharded_param()
            each.all_gather_outputs = []
            vars(each).pop(GATHERED, None)


def refuse_gathered(modules: Mapping[str, nn.Module]) -> None:
    """
    Raises:
        InputError: a module has gathered its parameters and has not let go of them, as after a forward call alone.
    """
    paths = {id(module): path for path, module in modules.items()}
    for module, parameters in _gathered_modules(modules.values()):
        if any(each.sharded_state.name != "SHARDED" for each in parameters):
            path = paths[id(module)]
            raise InputError(
                f"{path or 'the model'} has gathered its parameters, and is not what it is between steps: call its "
                "reshard() on every rank first"
            )


def group_of(given: Iterable[Any]) -> str:
    """The name of the process group among the arguments of a collective."""
    for value in reversed([*given]):  # before it stands a text that is the name of an operation, such as "sum"
        if isinstance(value, str | torch.ScriptObject | torch.distributed.ProcessGroup):
            with contextlib.suppress(RuntimeError, ValueError, TypeError):
                return str(process_group(value).group_name)
    return ""


def mesh_axes(held: Iterable[torch.Tensor]) -> dict[str, str]:
    """The axes of the meshes that tensors are split over, each by the name of its process group."""
    axes: dict[str, str] = {}
    for mesh in {id(mesh): mesh for tensor in held if is_split(tensor) for mesh in (tensor.device_mesh,)}.values():  # type: ignore[attr-defined]
        for place in range(mesh.ndim):
            name = mesh.mesh_dim_names[place] if mesh.mesh_dim_names else f"axis {place}"
            axes[mesh.get_group(place).group_name] = name
    return axes


def split_text(tensor: Any) -> str:
    """How a tensor is split, such as ``of [256, 64], axis 0 over tp``; empty of one that each rank has as a whole."""
    if not is_split(tensor):
        return ""
    names = tensor.device_mesh.mesh_dim_names or [f"axis {place}" for place in range(tensor.device_mesh.ndim)]
    found: dict[int, list[str]] = {}
    for name, placement in zip(names, tensor.placements, strict=True):
        if (axis := getattr(placement, "dim", None)) is not None:
            found.setdefault(axis, []).append(name)
    parts = [f"axis {axis} over {' and '.join(over)}" for axis, over in found.items()]
    return ", ".join((f"of {list(tensor.shape)}", *parts)) if parts else ""


def mesh_text(held: Iterable[torch.Tensor]) -> str:
    """These axes with their sizes, such as ``dp=16, tp=8``."""
    sizes = {name: process_group(group).size() for group, name in mesh_axes(held).items()}
    return ", ".join(f"{name}={size}" for name, size in sizes.items())


def refuse_uneven(named: Iterable[tuple[str, torch.Tensor]]) -> None:
    """
    Raises:
        TracingError: a tensor is not split into equal parts, so that ranks differ.
    """
    for name, tensor in named:
        if not is_split(tensor):
            continue
        mesh = tensor.device_mesh  # type: ignore[attr-defined]
        ranks: dict[int, int] = {}
        pieces: dict[int, int] = {}
        for size, placement in zip(mesh.shape, tensor.placements, strict=True):  # type: ignore[attr-defined]
            if (axis := getattr(placement, "dim", None)) is not None:
                ranks[axis] = ranks.get(axis, 1) * size
                strides = getattr(placement, "split_factor", 1)  # each rank has a piece of each, as of packed layers
                pieces[axis] = math.lcm(pieces.get(axis, 1), ranks[axis], size * strides)
        for axis, parts in ranks.items():
            if tensor.shape[axis] % pieces[axis]:
                each = "" if pieces[axis] == parts else f", in {pieces[axis]} pieces"
                raise TracingError(
                    f"{name} of shape {list(tensor.shape)} is split unevenly, axis {axis} over {parts} ranks{each}: "
                    f"{RANKS_DIFFER}"
                )


def refuse_other_meshes(held: Iterable[torch.Tensor]) -> None:
    """
    Raises:
        TracingError: a tensor is split over devices other than the CPU, whose stand-ins would be moved to them.
    """
    kinds = {str(each.device_mesh.device_type) for each in held if is_split(each)}  # type: ignore[attr-defined]
    if kinds - {"cpu"}:
        raise TracingError(
            f"memory of a rank is counted on a mesh of cpu, not of {', '.join(kinds)}: split the model over "
            'fake_mesh(shape, names) and count with device="cuda"'
        )


def refuse_wrapped(modules: Mapping[str, nn.Module]) -> None:
    """
    Raises:
        TracingError: there is a ``FullyShardedDataParallel``, which cannot run here.
    """
    fsdp: Any = sys.modules.get("torch.distributed.fsdp")
    for path, module in modules.items() if fsdp is not None else ():
        if isinstance(module, fsdp.FullyShardedDataParallel):
            what = "a FullyShardedDataParallel, which needs the devices of its ranks: use fully_shard"
            raise TracingError(f"{path or 'the model'} is {what}")
