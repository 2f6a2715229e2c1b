"""`--mesh`: a model split over a mesh of ranks by torch's own means, after the plan that transformers has for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from fxcount.errors import InputError

if TYPE_CHECKING:
    from torch.distributed.tensor.parallel import ParallelStyle

AXES = {"dp": "parameters are gathered layer by layer, by fully_shard", "tp": "layers are split after the plan"}
"""The axes that a mesh may have, and what is done over them."""


def parse_mesh(text: str) -> dict[str, int]:
    """The size of each axis, such as ``dp=16,tp=8``.

    Raises:
        InputError: the text is something else.
    """
    pairs = [part.partition("=") for part in text.replace(" ", "").split(",")]
    axes = {name: int(size) for name, _, size in pairs if name in AXES and size.isdecimal() and int(size) > 0}
    if len(axes) != len(pairs):
        known = "; ".join(f"over {name} {what}" for name, what in AXES.items())
        raise InputError(f"--mesh gives numbers of ranks, such as dp=16,tp=8, not {text!r}: {known}")
    return axes


@contextlib.contextmanager
def split_over(axes: Mapping[str, int], model: Any) -> Iterator[None]:
    """While it lasts, the model is split over a mesh of these axes, of which no device is there.

    Raises:
        InputError: it is no module, or has no plan, or one of which a part is not known.
    """
    if not axes:
        yield
        return
    from fxcount.fake_mesh import fake_mesh  # not above: few split a model

    if not isinstance(model, nn.Module):
        raise InputError("a saved program is not split over a mesh: name the model")
    with fake_mesh([*axes.values()], [*axes]) as mesh:
        if "tp" in axes:
            from torch.distributed.tensor.parallel import parallelize_module

            parallelize_module(model, mesh["tp"], _plan_of(model))
        if "dp" in axes:
            from torch.distributed.fsdp import fully_shard

            layers = set(getattr(model, "_no_split_modules", None) or ())
            for module in [each for each in model.modules() if type(each).__name__ in layers]:
                fully_shard(module, mesh=mesh["dp"])
            fully_shard(model, mesh=mesh["dp"])
        yield


def _plan_of(model: nn.Module) -> dict[str, ParallelStyle]:
    """The plan that transformers has for a model, in torch's words."""
    plan = getattr(model, "tp_plan", None)
    if not plan:
        raise InputError(
            f"{type(model).__name__} has no plan of how to split it over tp: those of transformers have one"
        )
    styles = _styles()
    unknown = sorted({style for style in plan.values() if style not in styles})
    if unknown:
        known = ", ".join(styles)
        raise InputError(f"the plan of {type(model).__name__} asks for {', '.join(unknown)}; what is known is {known}")
    return {path: styles[style] for path, style in plan.items()}


def _styles() -> dict[str, ParallelStyle]:
    """What a plan of transformers says of a layer, to what torch does with it."""
    from torch.distributed.tensor import Replicate
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel

    return {
        "colwise": ColwiseParallel(),
        "rowwise": RowwiseParallel(),
        "colwise_gather_output": ColwiseParallel(output_layouts=Replicate()),
        "embedding_rowwise": RowwiseParallel(input_layouts=Replicate()),
    }
