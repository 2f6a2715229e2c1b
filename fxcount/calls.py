"""`Calls`: what a node calls is run and costed, once for all nodes whose calls are equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import BuiltinFunctionType, GetSetDescriptorType, MethodDescriptorType, WrapperDescriptorType
from typing import Any

import torch
from torch import nn
from torch.utils._mode_utils import no_dispatch

from fxcount.annotation import Annotation, annotation
from fxcount.dispatch import OperatorCounter
from fxcount.formulas.custom import call_cost, custom_formulas
from fxcount.repeats import Repeats, new_or_shared


class Calls:
    """Runs calls under a counter, and says of each what its node is annotated with."""

    def __init__(self, counter: OperatorCounter) -> None:
        self._counter = counter
        self._repeats = Repeats[Annotation]()
        self._repeats_of_kernels: Repeats[Annotation] = new_or_shared("calls", own=custom_formulas())

    def run(
        self, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any], run: Callable[[], Any], *, repeats: bool
    ) -> tuple[Any, Annotation]:
        """The result of ``run()``, which calls ``target``, and its annotation.

        With ``repeats`` the call may be one that was made before. ``target`` is a function, the name of a method of a
        tensor, or a module.
        """
        called = _called(target, args)
        key = self._counter.key_of(called, args, kwargs) if repeats and not isinstance(target, nn.Module) else None
        memory = self._repeats_of_kernels if type(called) in _KERNELS else self._repeats
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
        if key is not None and operators and _is_of_torch(called):  # what reaches no operator may do anything
            with no_dispatch():
                if key == self._counter.key_of(called, args, kwargs):  # or it changes the shape of an argument
                    memory.add(key, args, kwargs, result, note)
        return result, note


_KERNELS = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType, GetSetDescriptorType)
"""Types of what has no code in Python, which might ask for a setting of the process."""


def _called(target: Any, args: Sequence[Any]) -> Any:
    """The function, or what a tensor has under the name of a method or a property: somebody may set it anew."""
    if type(target) is str:
        return getattr(torch.Tensor, target, None)
    return getattr(torch.Tensor, args[1], None) if target is getattr else target


def _is_of_torch(called: Any) -> bool:
    """Whether a call depends on its arguments alone: it is torch's own or an operator of Python, and not a model's."""
    owner = getattr(called, "__objclass__", None)
    if owner is not None:
        return owner in torch.Tensor.__mro__
    return getattr(called, "__module__", None) == "_operator" or torch.overrides.resolve_name(called) is not None
