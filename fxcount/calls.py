"""`Calls`: what a node calls is run and costed, once for all nodes whose calls are equal."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import BuiltinFunctionType
from typing import Any

import torch
from torch import nn
from torch.utils._mode_utils import no_dispatch

from fxcount.annotation import Annotation, annotation
from fxcount.dispatch import OperatorCounter
from fxcount.formulas.custom import call_cost, custom_formulas
from fxcount.repeats import Repeats


class Calls:
    """Runs calls under a counter, and says of each what its node is annotated with."""

    def __init__(self, counter: OperatorCounter) -> None:
        self._counter = counter
        self._repeats = Repeats[Annotation]()
        self._repeats_of_kernels = self._repeats if custom_formulas() else repeats_of_calls(torch.get_default_dtype())

    def run(
        self, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any], run: Callable[[], Any], *, repeats: bool
    ) -> tuple[Any, Annotation]:
        """The result of ``run()``, which calls ``target``, and its annotation.

        With ``repeats`` the call may be one that was made before. ``target`` is a function, the name of a method of a
        tensor, or a module.
        """
        key = self._counter.key_of(target, args, kwargs) if repeats and not isinstance(target, nn.Module) else None
        memory = self._repeats_of_kernels if type(target) in _KERNELS else self._repeats
        if key is not None:
            with no_dispatch():  # a result that is made again is no operator of the model
                found = memory.find(key, args)
            if found is not None:
                return found
        self._counter.take_calls()
        result = run()
        operators = self._counter.take_calls()
        own = call_cost(target, tuple(args), kwargs, result)
        note = annotation(result, operators if own is None else (own,))
        if key is not None and operators and _is_of_torch(target):  # what reaches no operator may do anything
            with no_dispatch():
                if key == self._counter.key_of(target, args, kwargs):  # or it changes the shape of an argument
                    memory.add(key, args, result, note)
        return result, note


_KERNELS = (str, BuiltinFunctionType)
"""Types of targets that call torch without code in Python between, which might ask for a setting of the process."""


@functools.cache
def repeats_of_calls(default_dtype: torch.dtype) -> Repeats[Annotation]:
    """Those of methods and built-in functions in all counts of this process, as `repeats_under` for operators."""
    return Repeats()


def _is_of_torch(target: Any) -> bool:
    """Whether a call depends on its arguments alone: it is torch's or Python's own function, and not a model's."""
    if isinstance(target, str):
        return True
    module = getattr(target, "__module__", None) or "torch"
    return module.partition(".")[0] in ("torch", "_operator", "builtins")
