"""Which Python function or method a node has called, for tools that replace functions of torch by their own."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from fxcount._torch import Operator
from fxcount.analyses.other_tools.calls import Call, Calls, Reached, Seen
from fxcount.errors import InputError
from fxcount.result.node_cost import Shape

Rule = Callable[[Calls, Call], Iterator[Seen]]

POOLS = tuple(
    f"{adaptive}{kind}_pool{axes}d" for adaptive in ("", "adaptive_") for kind in ("avg", "max") for axes in (1, 2, 3)
)
LAYERS_OF_POOLS = {
    f"{adaptive}{kind.capitalize()}Pool{axes}d": f"{adaptive.lower()}{'_' if adaptive else ''}{kind}_pool{axes}d"
    for adaptive in ("", "Adaptive")
    for kind in ("avg", "max")
    for axes in (1, 2, 3)
}
"""The layers of torch.nn, each to the function that it calls."""


class Functions:
    """The functions and methods that a tool replaces, each to what it counts for a call."""

    def __init__(
        self, tool: str, functional: Mapping[str, Rule], tensor: Mapping[str, Rule], methods: tuple[str, ...]
    ) -> None:
        """``functional`` are functions of ``torch.nn.functional``, ``tensor`` those of ``torch``, and ``methods`` the
        methods of a tensor among the names of the latter."""
        self._tool = tool
        self._by_function = {getattr(F, name): rule for name, rule in functional.items()}
        self._by_function |= {getattr(torch, name): rule for name, rule in tensor.items()}
        self._by_method = {name: tensor[name] for name in methods}
        self._reached = {*functional, *tensor} | REACHED

    def seen(self, calls: Calls, call: Call) -> Iterator[Seen]:
        """What the tool counts for a node that is no layer.

        Raises:
            InputError: a function was called that may have called one of these.
        """
        node, owner = calls.traced[call.node.name], calls.cost.module_at(call.path)
        if owner is not None and _keeps(owner, node.target):
            return  # it is the function from before the tool replaced it
        if node.op == "call_method":
            if node.target in self._by_method and not node.meta.get("by_operator"):
                yield from self._by_method[node.target](calls, call)
        elif node.target in self._by_function:
            if owner is not None and _has_name_for(node.target, type(owner).__module__):
                raise InputError(
                    f"whether {type(owner).__name__} calls {call.node.target} by torch's name, which {self._tool} "
                    "replaces, or by its own is not told"
                )
            yield from self._by_function[node.target](calls, call)
        elif _may_call_others(node.target):
            self.check_parts(call, f"the function {call.node.target}")

    def check_parts(self, call: Call, what: str) -> None:
        """
        Raises:
            InputError: an operator was reached that a replaced function may have reached.
        """
        for each in call.reached:
            if each.name in self._reached:
                raise InputError(
                    f"{self._tool} counts calls of functions, and here {what} is one node, with a "
                    f"{each.operator.name} in it: tracer='recorded' may take it apart"
                )


REACHED = frozenset({"threshold", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"}) | frozenset(
    {"upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d", "_prelu_kernel"}
)
"""Operators that replaced functions reach, and that are called otherwise than these."""


def _keeps(module: nn.Module, function: Any) -> bool:
    """Whether a module has a function for an attribute, such as an activation that it was given."""
    attributes = vars(module).values()
    return any((each.func if isinstance(each, partial) else each) is function for each in attributes)


def _has_name_for(function: Any, home: str) -> bool:
    """Whether a Python module has a name of its own for a function, as by ``from torch.nn.functional import relu``."""
    return any(value is function for value in vars(sys.modules.get(home, sys)).values())


def _may_call_others(function: Any) -> bool:
    """Whether a function is one of Python that may call functions of torch by their names, or an operator that was
    seen below all functions."""
    if isinstance(function, Operator):
        return True
    if not isinstance(function, types.FunctionType):
        return False
    return function.__module__.partition(".")[0] != "torch" or function.__module__ == F.__name__


def elementwise(first: Shape, second: Shape) -> int:
    """The product of the larger sizes, which these tools take from the first axis on and not from the last."""
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    return prod(max(size, shorter[k] if k < len(shorter) else 1) for k, size in enumerate(longer))


def main(call: Call) -> Reached:
    """The operator of a call; of several the first with a cost."""
    return next((each for each in call.reached if any(each.operator.cost.to_dict().values())), call.reached[0])


def each_element(calls: Calls, call: Call) -> Iterator[Seen]:
    """One for each element of the input."""
    reached = call.reached[0]
    yield Seen(reached.place, "1 an input element", reached.elements)


def of_two(calls: Calls, call: Call) -> Iterator[Seen]:
    """One for each element of a sum or a product."""
    reached = main(call)
    shapes = [*reached.given, ()][:2]
    yield Seen(reached.place, "1 an element", elementwise(shapes[0], shapes[1]))


def product(reached: Reached) -> int:
    """The elements of the first matrix times the columns of the second."""
    first, second = reached.given[:2]
    return prod(first) * second[-1]
