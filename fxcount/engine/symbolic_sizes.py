"""`SymbolicSizes`: the sizes of one count that are symbols, and the questions that were asked about them."""

from __future__ import annotations

import contextlib
import functools
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from fxcount._torch import OperatorPacket, has_kernel, kernels_met, new_size, python_rules, sizes_are_general
from fxcount.engine.refusals import refused
from fxcount.errors import SizeError
from fxcount.fault_origin import is_model_code, line_of_model
from fxcount.sizes.conditions import Condition, isolated
from fxcount.sizes.expressions import functions, mapped, symbol


class SymbolicSizes:
    """The symbols of one count. Torch carries them through its rules for shapes, and answers what is asked about them
    as it is at the example's sizes; what was asked is a condition of all that follows."""

    def __init__(self, example: Mapping[str, int]) -> None:
        """``example`` is every name, and its size in the example."""
        self.example = dict(example)
        self._environment = _environment(self._asked)
        self._known = 0
        self._asked_at: list[tuple[Any, str]] = []
        self._sizes = {name: new_size(self._environment, name, size) for name, size in example.items()}
        self._names = {size.node.expr: symbol(name) for name, size in self._sizes.items()}
        self._converted: dict[Any, Any] = {}
        self.values_asked: list[str] = []
        """Where values that depend on sizes were asked for, which were answered as in the example."""
        self.place: Callable[[], str] = functools.partial(line_of_model, below_the_count=True)
        """What tells where in the model a question is asked."""

    def size(self, expression: Any) -> Any:
        """The size of torch that an expression in the names is."""
        if isinstance(expression, int):
            return expression
        import sympy

        values = {symbol(name): size for name, size in self._sizes.items()}

        def value_of(part: Any) -> Any:
            if part in values:
                return values[part]
            if part.is_Integer:
                return int(part)
            parts = [*map(value_of, part.args)]
            total = parts[0]
            for each in parts[1:]:
                total = total + each if isinstance(part, sympy.Add) else total * each
            return total

        return value_of(expression)

    def expression(self, value: Any) -> Any:
        """The expression in the names that a size of torch is; a number as it is."""
        if not isinstance(value, torch.SymInt):
            return value
        found = value.node.expr
        if found not in self._converted:
            self._converted[found] = self._expanded(found)
        return self._converted[found]

    def _expanded(self, found: Any) -> Any:
        import sympy

        expanded = sympy.expand(_standard(found, self._names))
        return int(expanded) if expanded.is_Integer else expanded

    def number(self, value: Any) -> Any:
        """A size of torch in the example; anything else as it is."""
        node: Any = value.node if isinstance(value, torch.SymInt) else None
        return value if node is None else int(node.hint)

    def settled(self, value: Any, done: dict[int, tuple[Any, Any]] | None = None) -> Any:
        """A record, with expressions in the place of torch's sizes; one that is met twice is changed once, as ``done``
        knows."""
        return mapped(value, torch.SymInt, self.expression, done)

    def in_example(self, value: Any) -> Any:
        """Arguments or a description of a result, with the example's numbers in the place of torch's sizes."""
        return mapped(value, torch.SymInt, self.number)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While it lasts, operators are run by those rules of torch that hold for all sizes."""
        with sizes_are_general(), _rules_of_cpp(), python_rules():
            yield

    def conditions(self) -> tuple[Condition, ...]:
        """What has to hold of the sizes, with the place where it was first asked; what always holds is left out."""
        found: dict[Any, str] = {}
        for guard, place in self._asked_at:
            for relation in isolated(_standard(guard, self._names)):
                found.setdefault(relation, place.removeprefix(", "))
        return tuple(Condition(relation, place) for relation, place in found.items())

    def named(self, text: str) -> str:
        """A text in which torch's own names of the sizes are those that people gave."""
        names = {str(found): str(name) for found, name in self._names.items()}
        return re.sub(r"\bs\d+\b", lambda match: names.get(match[0], match[0]), text)

    def value_asked(self) -> None:
        """Notes that a value is answered as it is in the example."""
        self.values_asked.append(self.place())

    def _asked(self) -> None:
        """Notes a question whose answer depends on sizes, and refuses one that leaves no choice.

        Raises:
            SizeError: it holds for one size alone.
        """
        guards = self._environment.guards
        if len(guards) == self._known:
            return
        new, self._known = guards[self._known :], len(guards)
        place = self.place()
        self._asked_at += [(guard.expr, place) for guard in new]
        for found, name in self._names.items():
            settled = self._environment.replacements.get(found)
            if settled is not None and settled.is_Integer:
                raise refused(SizeError(f"{name} is settled to be {settled}, and is no symbol then{place}"))


def name_sizes(error: Exception, sizes: SymbolicSizes) -> None:
    """Gives the sizes in an error and its notes the names that people gave."""
    error.args = tuple(sizes.named(each) if isinstance(each, str) else each for each in error.args)
    notes: list[str] = getattr(error, "__notes__", [])
    notes[:] = map(sizes.named, notes)


@functools.cache
def _left_to_cpp() -> tuple[Any, ...]:
    """The operators of which Python has a rule that autograd does not see through, or one by which they are taken apart
    otherwise than by C++."""
    found = []
    for name in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, name)
        for overload in packet.overloads() if isinstance(packet, OperatorPacket) else ():
            operator: Any = getattr(packet, overload)
            kernels = {str(key).rpartition(".")[2] for key in operator.py_kernels}
            is_composite = kernels and has_kernel(operator, "CompositeImplicitAutograd")
            otherwise = "Autograd" in kernels or (is_composite and "Meta" in kernels)
            if otherwise and "upsample" not in name:  # whose sizes C++ computes in numbers
                found.append(operator)
    return tuple(found)


@contextlib.contextmanager
def _rules_of_cpp() -> Iterator[None]:
    """While it lasts, those operators are left to C++."""
    operators = _left_to_cpp()
    before = [dict(operator.py_kernels) for operator in operators]
    for operator in operators:
        operator.py_kernels.clear()
        kernels_met(operator).clear()
    try:
        yield
    finally:
        for operator, kernels in zip(operators, before, strict=True):
            operator.py_kernels.update(kernels)
            kernels_met(operator).clear()


@contextlib.contextmanager
def numbers_wanted() -> Iterator[None]:
    """
    Raises:
        SizeError: Python or torch refuses a size as it is no number, as a key or where a bool is expected.
    """
    try:
        yield
    except (TypeError, RuntimeError) as error:
        if not re.search(r"Sym(Int|Bool|Float)|concrete integers|Rational instances", str(error)):
            raise
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        models = [frame for frame in frames if is_model_code(frame.f_globals.get("__name__"))]
        place = f", {models[-1].f_code.co_filename}:{models[-1].f_lineno}" if models else ""
        raise SizeError(f"a size that is a symbol is used where a number is needed: {error}{place}") from error


def _standard(found: Any, names: Mapping[Any, Any]) -> Any:
    """An expression of torch in the functions of sympy and these names."""
    import sympy

    if found in names:
        return names[found]
    if not found.args:
        return _exact(sympy.Rational(found), found) if found.is_Float else found
    args = [_standard(each, names) for each in found.args]
    kind = type(found).__name__
    if kind in _MEANT:
        return _MEANT[kind](sympy, *args)
    if kind in functions():
        return functions()[kind](*args)
    if type(found).__module__.startswith("torch."):
        written = found.xreplace(names)
        raise SizeError(f"a size that is {written} cannot be written as an expression in whole numbers")
    return found.func(*args)


def _exact(number: Any, found: Any) -> Any:
    """A factor of which products are exact in floating point too, as of a half or a quarter.

    Raises:
        SizeError: it is another one.
    """
    if number.q > 2**10:
        raise SizeError(f"a size is computed with {found} in floating point, which rounds: no expression is exact")
    return number


def _floor_of_ratio(sympy: Any, a: Any, b: Any) -> Any:
    """floor(a / b) without whole parts; floor((n - 1) / b), which strides lead to, as ceiling(n / b) - 1, with which
    more is collected; the floor of a floor, and the ceiling of a ceiling, as one."""
    rest, variable = sympy.expand(a).as_coeff_Add()
    if not (b.is_Integer and rest.is_Integer):
        return sympy.floor(a / b)
    left = -(-rest % b)
    whole = (rest - left) / b
    if left == 0 and isinstance(variable, sympy.floor):
        return sympy.floor(variable.args[0] / b) + whole
    if left != -1:
        return sympy.floor((variable + left) / b) + whole
    inner = variable.args[0] if isinstance(variable, sympy.ceiling) else variable
    return sympy.ceiling(inner / b) - 1 + whole


_MEANT: Mapping[str, Callable[..., Any]] = {
    "FloorDiv": lambda sympy, a, b: _floor_of_ratio(sympy, a, b),
    "CleanDiv": lambda sympy, a, b: _floor_of_ratio(sympy, a, b),
    "CeilDiv": lambda sympy, a, b: sympy.ceiling(a / b),
    "IntTrueDiv": lambda sympy, a, b: a / b,
    "FloatTrueDiv": lambda sympy, a, b: a / b,
    "FloorToInt": lambda sympy, a: sympy.floor(a),
    "CeilToInt": lambda sympy, a: sympy.ceiling(a),
    "TruncToInt": lambda sympy, a: sympy.floor(a),
    "ToFloat": lambda sympy, a: a,
    "Identity": lambda sympy, a: a,
    "PythonMod": lambda sympy, a, b: sympy.Mod(a, b),
    "Mod": lambda sympy, a, b: sympy.Mod(a, b),
    "FloatPow": lambda sympy, a, b: a ** sympy.nsimplify(b, rational=True),
    "PowByNatural": lambda sympy, a, b: a**b,
    "Where": lambda sympy, test, a, b: sympy.Piecewise((a, test), (b, True)),
    "OpaqueUnaryFn_sqrt": lambda sympy, a: sympy.sqrt(a),
}
"""What torch's own functions of sizes, which are positive, mean in sympy."""


def _environment(asked: Callable[[], None]) -> Any:
    """A ``ShapeEnv`` in which equal sizes are not taken to be one; ``asked`` is called after each question about a
    size."""
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    environment = ShapeEnv(specialize_zero_one=False, duck_shape=False)
    evaluate = environment.evaluate_expr

    def watched(*args: Any, **kwargs: Any) -> Any:
        answer = evaluate(*args, **kwargs)
        asked()
        return answer

    environment.evaluate_expr = watched  # type: ignore[method-assign]
    return environment


def decided(value: Any) -> Any:
    """Arguments in which each comparison of sizes is decided, as an operator takes it."""
    return mapped(value, torch.SymBool, bool)


def has_symbols(value: Any) -> bool:
    """Whether a size that is a symbol is among arguments, also inside tuples, lists, mappings and slices."""
    if isinstance(value, tuple | list):
        return any(map(has_symbols, value))
    if isinstance(value, Mapping):
        return any(map(has_symbols, value.values()))
    if isinstance(value, slice):
        return has_symbols((value.start, value.stop, value.step))
    return isinstance(value, torch.SymInt)
