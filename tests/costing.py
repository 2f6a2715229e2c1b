"""What a call costs, for the tests of the formulas."""

from collections.abc import Callable
from typing import Any

from fxcount.cost import Cost, OperatorCost, total_cost
from fxcount.engine.counting import counting


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
