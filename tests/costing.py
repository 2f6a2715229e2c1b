"""What a call costs, for the tests of the formulas."""

from collections.abc import Callable
from typing import Any

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


def formula_cost(operator: Any, *args: Any, out: Any = None, **kwargs: Any) -> Cost:
    """What the formula of an operator makes of a call whose result is ``out``, also where torch cannot run it."""
    formula = find_formula(operator)
    assert formula is not None
    call = formula(args, kwargs, out)
    assert not call.uncounted
    return call.cost


def cost_when_run(operator: Any, *args: Any, out: Any = None, **kwargs: Any) -> Cost:
    """As ``formula_cost`` of a call that is made here, unless its result is given."""
    return formula_cost(operator, *args, out=operator(*args, **kwargs) if out is None else out, **kwargs)


def flops_of(function: Callable[[], Any]) -> int:
    """The floating-point operations that torch's own counter finds in ``function()``."""
    with FlopCounterMode(display=False) as counter:
        function()
    return int(counter.get_total_flops())
