"""`described`: what a count says of the model and the versions it is of."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from fxcount.engine.sharding import mesh_text, split_text
from fxcount.result.counted_call import CountedCall
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.module_stacks import exported_from
from fxcount.version import __version__


def described(model: CountedModel, dtypes: Mapping[str, str]) -> CountedCall:
    """The model, its mode, and the versions; ``dtypes`` are those of the tensors among the inputs."""
    exported = exported_from(model.run)
    modules = () if exported else model.modules.values()  # an export keeps the mode in its operators alone
    modes = {getattr(each, "training", None) for each in modules}  # a frozen script has no mode
    return CountedCall(
        model=exported.kind if exported else class_name(model.run) or function_name(model.run),
        mode=" and ".join(name for name, mode in {"train": True, "eval": False}.items() if mode in modes),
        dtypes=dtypes,
        mesh=", ".join(dict.fromkeys(filter(None, (*_summed_over(model), mesh_text(model.owned))))),
        splits={name: text for name, each in model.parameters.items() if (text := split_text(each))},
        versions={"fxcount": __version__, "torch": torch.__version__.partition("+")[0]},
    )


def _summed_over(model: CountedModel) -> Iterator[str]:
    """The ranks over which gradients are summed, such as ``dp=4``."""
    return (f"{each.group}={each.ranks}" for each in model.wrappers)


def class_name(module: Any) -> str:
    """Of a module; empty of anything else."""
    return type(module).__name__ if isinstance(module, nn.Module) else ""


def function_name(function: Any) -> str:
    """As it is called, or else as it is written."""
    return getattr(function, "__name__", None) or str(function)
