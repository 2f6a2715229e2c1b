"""What a call costs, for the tests of the formulas."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from fxcount.cost import Cost, OperatorCost, total_cost
from fxcount.engine.counting_context import counting
from fxcount.formulas import find_formula


def calls_of(function: Callable[..., Any], *args: Any, **kwargs: Any) -> list[OperatorCost]:
    """The operators that ``function(*args, **kwargs)`` reaches, each with its cost."""
    with counting() as counter:
        function(*args, **kwargs)
    return counter.calls


def cost_of(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Cost:
    """What ``function(*args, **kwargs)`` costs; everything in it must be counted."""
    calls = calls_of(function, *args, **kwargs)
    assert not [call.name for call in calls if call.uncounted]
    return total_cost(call.cost for call in calls)


def formula_cost(operator: torch._ops.OpOverload, *args: Any, out: Any = None, **kwargs: Any) -> Cost:
    """What the formula of ``operator`` makes of a call, also of one that torch cannot run here."""
    formula = find_formula(operator)
    assert formula is not None
    return formula(args, kwargs, out).cost


def flops_of(function: Callable[[], Any]) -> int:
    """The floating-point operations that torch's own counter finds in ``function()``."""
    with FlopCounterMode(display=False) as counter:
        function()
    return int(counter.get_total_flops())
