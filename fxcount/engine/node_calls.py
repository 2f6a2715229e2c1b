"""`Calls`: what a node calls is run and costed, once for all nodes whose calls are equal."""

import marshal
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from fxcount._torch import (
    Operator,
    OperatorPacket,
    any_global_hook,
    below_autograd,
    buffers_of,
    no_dispatch_modes,
    parameters_of,
    pytree,
)
from fxcount.cost import OperatorCost
from fxcount.engine.counter import OperatorCounter
from fxcount.engine.node_annotation import Annotation, annotation
from fxcount.engine.refusals import refusals
from fxcount.engine.repeated_calls import key_of, new_or_shared
from fxcount.engine.scripts import beside_the_dispatcher
from fxcount.engine.storage_numbers import StorageNumbers, tensors_of
from fxcount.engine.with_symbols import WithSymbols
from fxcount.engine.without_data import WithoutData
from fxcount.errors import DataNeededError
from fxcount.fault_origin import for_the_model
from fxcount.formulas.custom import call_cost, custom_formulas


class Calls:
    """Runs calls under a counter, and says of each what its node is annotated with."""

    def __init__(self, counter: OperatorCounter, *, taken_apart: bool = False) -> None:
        """``taken_apart`` says that autograd is at work, above which composite operators are seen as their parts."""
        self._counter = counter
        self._whole: Calls | None = None
        if taken_apart:
            self._whole = Calls(WithoutData())
            self._whole._counter.axes = counter.axes
        self._as_shape = counter.as_shape if isinstance(counter, WithoutData) else None
        in_symbols = isinstance(counter, WithSymbols)
        self._key_of = self._key_in_symbols if in_symbols else self._key_on_shapes
        self._has_custom = custom_formulas()
        self._repeats = new_or_shared(own=self._has_custom or in_symbols)

    def run(
        self,
        target: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        run: Callable[..., Any],
        given: Sequence[Any],
        *,
        repeats: bool,
    ) -> tuple[Any, Annotation]:
        """The result of ``run(*given)``, which calls ``target``, and its annotation.

        With ``repeats`` what it returns and costs depends on shapes alone, so it may be one that was made before.
        ``target`` is a function, the name of a method of a tensor, or a module.
        """
        key = self._key_of(target, args, kwargs) if repeats else None
        found = None if key is None else self._repeats.find(key, args)
        if found is not None:
            return found
        self._counter.take_calls()
        tensors = (*tensors_of(target), *args, *kwargs.values())
        storages = StorageNumbers(tensors)
        beside = beside_the_dispatcher(target) if isinstance(target, torch.jit.ScriptModule) else ()
        if beside:
            run, given = self._counter.run_beside, (run, given)
        result = self._counter.run_numbered(storages, run, *given)
        operators = self._counter.take_calls() + beside
        if self._whole is not None and repeats:
            whole = self._whole.cost_of(target, args, kwargs)
            self._counter.take_calls()  # of stand-ins that were made for it
            if whole is not None:
                storages = StorageNumbers(tensors)
                operators = (*storages.adopt(whole["operators"], whole["storages"], tensors, result),)
        own = self._by_custom_formula(target, args, kwargs, result, storages) if self._has_custom else ()
        note = annotation(result, own or operators, storages)
        if key is not None and _depends_on_arguments_alone(target, args, operators):
            with no_dispatch_modes():
                if key == self._key_of(target, args, kwargs):  # or it changes the shape of an argument
                    self._repeats.add(key, args, kwargs, result, note)
        return result, note

    def _by_custom_formula(
        self, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any, storages: StorageNumbers
    ) -> tuple[OperatorCost, ...]:
        called = target if isinstance(target, nn.Module) else _called(target, args)
        own = call_cost(called, tuple(args), kwargs, result)
        if own is None:
            return ()
        inputs, outputs = storages.describe((*args, *kwargs.values())), storages.describe((result,))
        return (replace(own, inputs=inputs, outputs=outputs),)

    def cost_of(self, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Annotation | None:
        """What a call of torch's is annotated with below autograd, found out on shapes; None where that takes more, or
        it reaches no operator."""
        called = target if isinstance(target, nn.Module) else _called(target, args)
        if not callable(called) or not (isinstance(called, nn.Module) or _is_torchs(called)):
            return None
        self._counter.forget_made()
        args, kwargs = for_the_model(pytree.tree_map_only, torch.Tensor, self._counter.represent, (args, kwargs))
        try:
            with refusals(), below_autograd(), self._counter:
                _, note = self.run(target, args, kwargs, partial(called, **kwargs), args, repeats=True)
        except (RuntimeError, DataNeededError):
            return None
        return note if note["operators"] else None

    def _key_in_symbols(self, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable | None:
        """The key of a call where sizes may be symbols."""
        assert isinstance(self._counter, WithSymbols)
        return self._counter.hashable(self._key_on_shapes(target, args, kwargs), args, kwargs)

    def _key_on_shapes(self, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable | None:
        as_shape = self._as_shape
        if as_shape is None:
            return None
        if not isinstance(target, nn.Module):
            return key_of(_called(target, args), args, kwargs, as_shape)
        configuration = _configuration(target)
        if configuration is None:
            return None
        kind, values = configuration
        return key_of(kind, (*values, *args), kwargs, as_shape)


def _called(target: Any, args: Sequence[Any]) -> Any:
    """The function, or what a tensor has under the name of a method or a property: somebody may set it anew."""
    if type(target) is str:
        return getattr(torch.Tensor, target, None)
    return getattr(torch.Tensor, args[1], None) if target is getattr else target


_OPERATORS = (Operator, OperatorPacket)
"""Operators called by name: a library may have registered them, with code of its own for shapes."""

_MODULE = nn.Module()
_STATE_OF_MODULES = vars(_MODULE)
_TENSORS_OF_MODULES = (id(parameters_of(_MODULE)), id(buffers_of(_MODULE)))
_HOOKS_AND_MODULES = [
    name
    for name, value in _STATE_OF_MODULES.items()
    if isinstance(value, dict) and id(value) not in _TENSORS_OF_MODULES
]


def _configuration(module: nn.Module) -> tuple[Hashable, tuple[Any, ...]] | None:
    """What the result of a call of one of torch's own modules depends on besides its arguments; None of any other
    module, and of one that holds others or is hooked."""
    kind = type(module)
    state = vars(module)
    if not kind.__module__.startswith("torch.nn.modules.") or any_global_hook():
        return None
    if any(map(state.__getitem__, _HOOKS_AND_MODULES)):
        return None
    own = [name for name in state if name not in _STATE_OF_MODULES]
    # Norms count their batches in training only; the number has a value, and would be more than a shape.
    buffers = [each for name, each in buffers_of(module).items() if module.training or name != "num_batches_tracked"]
    try:
        plain = marshal.dumps([state[name] for name in own], 2)  # tells 1 from True and 1.0; 2 knows no references
    except ValueError:  # an object, which may change
        return None
    return (kind, kind.forward, module.training, *own, plain), (*parameters_of(module).values(), *buffers)


def _depends_on_arguments_alone(target: Any, args: Sequence[Any], operators: Sequence[OperatorCost]) -> bool:
    """Whether a call is torch's own or an operator of Python, and not a model's; what reaches no operator may do
    anything, unless it is a module."""
    if isinstance(target, nn.Module):
        return True
    called = _called(target, args)
    owner = getattr(called, "__objclass__", None)
    if owner is not None:
        return bool(operators) and owner in torch.Tensor.__mro__
    return bool(operators) and _is_torchs(called) and not isinstance(called, _OPERATORS)


def _is_torchs(called: Any) -> bool:
    """Whether a function is torch's own or an operator of Python."""
    return getattr(called, "__module__", None) == "_operator" or torch.overrides.resolve_name(called) is not None
