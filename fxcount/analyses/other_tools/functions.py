"""Which Python function or method a node has called, for tools that replace functions of torch by their own."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import torch
import torch.nn.functional as F

from fxcount._torch import Operator
from fxcount.analyses.other_tools.calls import Call, Calls, Reached, Seen
from fxcount.cost.called import NOT_TOLD, Called, Lookup
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
        self._by_name = {f"{F.__name__}.{name}": rule for name, rule in functional.items()}
        self._by_name |= {f"{torch.__name__}.{name}": rule for name, rule in tensor.items()}
        self._by_function = {getattr(F, name): rule for name, rule in functional.items()}
        self._by_function |= {getattr(torch, name): rule for name, rule in tensor.items()}
        self._by_method = {name: tensor[name] for name in methods}
        self._reached = {*functional, *tensor} | REACHED

    def seen(self, calls: Calls, call: Call) -> Iterator[Seen]:
        """What the tool counts for a node that is no layer.

        Raises:
            InputError: a function was called that may have called one of these.
        """
        node, how = calls.traced[call.node.name], calls.called(call)
        if node.op == "call_method":
            if node.target in self._by_method and not node.meta.get("by_operator"):
                yield from self._by_method[node.target](calls, call)
        elif self._is_replaced(node.target, how):
            yield from self._by_lookup(calls, call, how)
        elif _may_call_others(node.target):
            self.check_parts(call, f"the function {call.node.target}")

    def _is_replaced(self, target: Any, how: Called) -> bool:
        named = getattr(target, "__name__", "")
        with_indices = named.endswith(INDICES) and f"{F.__name__}.{named.removesuffix(INDICES)}" in self._by_name
        return target in self._by_function or with_indices or any(each.name in self._by_name for each in how.lookups)

    def _by_lookup(self, calls: Calls, call: Call, how: Called) -> Iterator[Seen]:
        """Of a function of which it is told how it came to be called."""
        in_file = f" in {how.home}" if how.home else ""
        for k, each in enumerate(how.lookups or (Lookup(call.node.target, NOT_TOLD),)):
            if each.name == NOT_TOLD and (k == 0 or f"{F.__name__}.{each.function}" in self._by_name):
                raise InputError(
                    f"whether {self._tool}, which replaces {each.function} in torch, sees its call{in_file} is not "
                    "told: it was looked up neither there nor in a module, but in a dict, an argument or the like"
                )
            if each.name in self._by_name:
                yield from self._by_name[each.name](calls, call)

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


INDICES = "_with_indices"
"""How the function ends that a pool calls where it returns indices too."""
REACHED = frozenset({"threshold", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"}) | frozenset(
    {"upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d", "_prelu_kernel"}
)
"""Operators that replaced functions reach, and that are called otherwise than these."""


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
