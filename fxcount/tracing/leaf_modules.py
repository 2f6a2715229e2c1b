"""The leaf rule, one for all tracers: which modules are one node."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from fxcount._torch import forward_hooks_of, forward_pre_hooks_of
from fxcount.fault_origin import is_model_code
from fxcount.formulas.custom import module_formula

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.parallel.DistributedDataParallel)


def is_leaf(module: nn.Module, model: Any) -> bool:
    """Scripted modules and modules with a formula of their own are one node each, and so are those of ``torch.nn``,
    except containers, the model itself, and those with hooks of the model's or a parametrization, whose weights may be
    computed once for several calls; all others are traced into."""
    if module_formula(module) is not None:
        return True
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if module is model or isinstance(module, _CONTAINERS):
        return False
    before, after = forward_pre_hooks_of(module), forward_hooks_of(module)
    if (before or after) and any(map(_is_the_models, (*before.values(), *after.values()))):
        return False
    place = type(module).__module__
    return place.startswith(("torch.nn", "torch.ao.nn")) and place != parametrize.__name__


def _is_the_models(hook: Any) -> bool:
    """Whether a hook may do or keep anything; those of torch compute what the module needs, such as a weight."""
    while isinstance(hook, partial):
        hook = hook.func
    return is_model_code(getattr(hook, "__module__", ""))
