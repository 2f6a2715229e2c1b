"""Your own formulas: for a module class, a function or an operator, for good or for one count."""

import contextlib
import inspect
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import nn

from fxcount._torch import CustomOperator, Operator, OperatorPacket, registered_operator
from fxcount.cost import OperatorCost
from fxcount.errors import FormulaError
from fxcount.formulas.arguments import CallReader
from fxcount.formulas.formula import Formula, Measure, OperatorFormula
from fxcount.formulas.number_kinds import Arithmetic
from fxcount.formulas.registry import find_registered, fit, formula_named
from fxcount.formulas.schema import operator_name

AnyMeasure = TypeVar("AnyMeasure", bound=Measure)


@dataclass
class CustomFormulas:
    """Formulas by what they are for: the name of an operator, a subclass of ``nn.Module`` or a function."""

    formulas: dict[Any, Formula] = field(default_factory=dict)
    fitted: dict[Operator, OperatorFormula] = field(default_factory=dict)
    """The formulas of operators, fitted to the overloads that were met."""
    wholes: dict[Hashable, tuple[Operator, Sequence[Any], Mapping[str, Any]]] = field(default_factory=dict)
    """Calls that were counted as a whole: the first of each operator with so many axes of its arguments."""

    def unused(self) -> set[str]:
        """The operators that have a formula here and were not met."""
        return {name for name in self.formulas if isinstance(name, str)} - set(map(operator_name, self.fitted))

    def note(self, operator: Operator, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """A call was counted as a whole."""
        axes = (value.dim() if isinstance(value, torch.Tensor) else value is None for value in args)
        self.wholes.setdefault((operator, *axes), (operator, args, kwargs))

    def add(self, target: Any, formula: Formula) -> None:
        """
        Raises:
            FormulaError: the target has a formula here already, is none of the kinds that can have one, or is a Python
                function whose calls cannot be seen.
        """
        key = _key(target)
        if key in self.formulas:
            raise FormulaError(f"{target} has a formula already")
        self.formulas[key] = formula


def _key(target: Any) -> Any:
    """What a formula for ``target`` stands under."""
    if isinstance(target, CustomOperator):
        return operator_name(registered_operator(target))
    if isinstance(target, Operator):
        return operator_name(target)
    if isinstance(target, OperatorPacket):
        return str(target)
    if isinstance(target, type) and issubclass(target, nn.Module):
        return target
    if inspect.isroutine(target):
        _check_calls_are_seen(target)
        return target
    raise FormulaError(
        f"a formula is for a subclass of nn.Module, a function or an operator of torch.library, not for {target!r}"
    )


_REGISTERED = CustomFormulas()
_FOR_ONE_COUNT: ContextVar[CustomFormulas | None] = ContextVar("formulas of one count", default=None)


def register_formula(target: Any, equation: str | None = None) -> Callable[[AnyMeasure], AnyMeasure]:
    """Registers the decorated function as the formula of ``target``.

    Args:
        target: a subclass of ``nn.Module``, whose modules then are one node each; a Python function, such as the
            wrapper of a Triton kernel, which then is one node wherever a Python module refers to it by name; or an
            operator: ``torch.ops.library.name`` or what ``torch.library.custom_op`` returns.
        equation: one expression for each field of the cost, over quantities that the formula returns by name.

    The formula takes the arguments of the call: its positional parameters in order and only as many as it reads, its
    keyword-only parameters by name, ``out`` is the result; a module's formula takes the module first. ``*args`` takes
    the rest in order, ``**kwargs`` whatever else there is, by name. It returns a `Cost`, an int of macs, or the
    quantities of ``equation``.

    Raises:
        FormulaError: ``target`` has a formula already, is of a kind that has none, or is a Python function that no
            module refers to by name, such as a method or one that another function defines.

    >>> class Router(nn.Linear):
    ...     pass
    >>> @register_formula(Router, "macs = outputs * features, cmp = outputs")
    ... def router(module, x, *, out):
    ...     return {"outputs": out.numel(), "features": module.in_features}
    """

    def register(measure: AnyMeasure) -> AnyMeasure:
        name = _key(target)
        if isinstance(name, str) and (known := formula_named(name)) is not None:
            raise FormulaError(f"{name} has a formula already, in {known.measure.__module__}")
        _REGISTERED.add(target, _formula(measure, equation))
        return measure

    return register


def _formula(measure: Measure, equation: str | None = None) -> Formula:
    formula = Formula(measure, "custom", equation)
    formula.equation  # noqa: B018  # a bad one is an error now, and not at the first count
    return formula


@contextlib.contextmanager
def formulas_for_one_count(formulas: Mapping[Any, Measure] | None) -> Iterator[CustomFormulas]:
    """While it lasts, ``formulas``, by target, come before all others; it is also noted which of them are used."""
    custom = CustomFormulas()
    for target, measure in (formulas or {}).items():
        custom.add(target, _formula(measure))
    token = _FOR_ONE_COUNT.set(custom)
    try:
        yield custom
    finally:
        _FOR_ONE_COUNT.reset(token)


def _layers() -> Iterator[CustomFormulas]:
    for_one_count = _FOR_ONE_COUNT.get()
    if for_one_count is not None:
        yield for_one_count
    yield _REGISTERED


def find_formula(operator: Operator) -> OperatorFormula | None:
    """The formula of an operator, a custom one first, fitted to its arguments; None where none is known."""
    found = _find_formula(operator)
    for_one_count = _FOR_ONE_COUNT.get()
    if found is None or for_one_count is None or not for_one_count.unused():
        return found
    return _NotedFormula(operator, found, for_one_count)


class _NotedFormula(OperatorFormula):
    """The formula of an operator, which notes the call, for formulas of other operators may be unused because of it."""

    def __init__(self, operator: Operator, found: OperatorFormula, formulas: CustomFormulas) -> None:
        self.name, self.formula = found.name, found.formula
        self._operator, self._found, self._formulas = operator, found, formulas

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> OperatorCost:
        self._formulas.note(self._operator, args, kwargs)
        return self._found(args, kwargs, out)


def _find_formula(operator: Operator) -> OperatorFormula | None:
    name = operator_name(operator)
    for layer in _layers():
        if name in layer.formulas:
            if operator not in layer.fitted:
                layer.fitted[operator] = fit(operator, layer.formulas[name])
            return layer.fitted[operator]
    return find_registered(operator)


def custom_formulas() -> bool:
    """Whether anything has a formula of somebody's own now."""
    return any(layer.formulas for layer in _layers())


def module_formula(module: nn.Module) -> Formula | None:
    """The formula of a module's class, or of the nearest class that it derives from."""
    return _first(type(module).__mro__)


def _first(targets: Sequence[Any]) -> Formula | None:
    """The formula of the first of these targets that has one; those for one count come before all others."""
    for layer in _layers():
        for each in targets if layer.formulas else ():
            if each in layer.formulas:
                return layer.formulas[each]
    return None


def python_functions() -> list[Callable[..., Any]]:
    """Every function that has a formula and is not torch's own, which is a node anyway."""
    targets = [target for layer in _layers() for target in layer.formulas]
    return [target for target in targets if inspect.isroutine(target) and not _is_torchs_own(target)]


def _is_torchs_own(function: Callable[..., Any]) -> bool:
    return torch.overrides.resolve_name(function) is not None


def references(function: Callable[..., Any]) -> Iterator[tuple[Any, str]]:
    """Every module that refers to ``function``, and under which name."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is function:
                yield module, name


def _check_calls_are_seen(function: Callable[..., Any]) -> None:
    """Asked when a formula is given and not when it is used: a module may go later, and its function with it."""
    if not _is_torchs_own(function) and next(references(function), None) is None:
        raise FormulaError(
            f"a formula for {getattr(function, '__qualname__', function)} would never be used: a call of a Python "
            "function is seen where a module refers to it by name, and none does; define it at the top level of its "
            "module, or give the formula to the class of the nn.Module that calls it"
        )


def call_cost(target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> OperatorCost | None:
    """What a call of a module or function costs by a formula of its own; None where it has none."""
    of_module = isinstance(target, nn.Module)
    formula = module_formula(target) if of_module else _first([target])
    if formula is None:
        return None
    name = type(target).__name__ if of_module else getattr(target, "__name__", repr(target))
    reader = CallReader(target.forward if of_module else target, formula.measure, leading=int(of_module))
    positional, keyword = reader.read(args, kwargs, out)
    if of_module:
        positional = [target, *positional]
    return formula.apply(name, positional, keyword, Arithmetic.of(args, tuple(kwargs.values()), out))
