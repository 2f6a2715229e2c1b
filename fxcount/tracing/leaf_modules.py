"""The leaf rule, one for all tracers: which modules are one node."""

from typing import Any

import torch
from torch import nn

from fxcount.formulas.custom import module_formula

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def is_leaf(module: nn.Module, model: Any) -> bool:
    """Scripted modules and modules with a formula of their own are one node each, and so are those of ``torch.nn``,
    except containers and the model itself; the user's other modules are traced into."""
    if module_formula(module) is not None:
        return True
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if module is model or isinstance(module, _CONTAINERS):
        return False
    return type(module).__module__.startswith(("torch.nn", "torch.ao.nn"))
