"""Equations over named quantities: the one place where a formula's arithmetic is written."""

import ast
import functools
import re
from collections.abc import Mapping
from types import CodeType

from fxcount.cost.conventions import FIELDS
from fxcount.cost.vector import Cost
from fxcount.errors import FormulaError
from fxcount.sizes.example_numbers import ExampleNumber
from fxcount.sizes.expressions import applied

Size = int
"""How long an axis is, how many elements a tensor has, or what else is counted: an int, or, where sizes are symbols,
what takes part in arithmetic as one does."""

Quantities = Mapping[str, Size]
"""The values of the names in an equation."""


def ceil_log2(n: Size) -> Size:
    """The number of halvings that bring ``n`` down to one: log2 rounded up; 0 for n of 0 and 1."""
    if isinstance(n, ExampleNumber):
        return ExampleNumber(ceil_log2(int(n)), applied("ceil_log2", n.expression))
    if not isinstance(n, int):
        return applied("ceil_log2", n)
    return (n - 1).bit_length() if n > 1 else 0


SENT = "sent"
"""What an equation states beside the fields of a cost: the bytes that a rank sends to others."""

FUNCTIONS = {"ceil_log2": ceil_log2}
_GLOBALS: dict[str, object] = {"__builtins__": {}, **FUNCTIONS}


class Equation:
    """One arithmetic expression for each field of a `Cost`, over the named quantities of a call; of a collective, one
    for the bytes that it sends.

    The text is what people read, and it is also what is computed: there is no second copy.

    >>> convolution = Equation("macs = outputs * taps, add = biases")
    >>> convolution.cost({"outputs": 8192, "taps": 40, "biases": 0})
    Cost(macs=327680)
    """

    def __init__(self, text: str) -> None:
        """
        Raises:
            FormulaError: ``text`` is not a list of ``field = expression``, or an expression is more than arithmetic.
        """
        self.text = " ".join(text.split())
        self.terms: dict[str, str] = {}
        for term in filter(None, re.split(r",\s*(?=\w+ =)", self.text)):
            field, _, expression = term.partition(" = ")
            if field not in (*FIELDS, SENT) or field in self.terms or not expression:
                raise FormulaError(f"not an equation: {term!r} in {text!r}; a Cost has {', '.join(FIELDS)}")
            self.terms[field] = expression
        self._trees = {field: _parsed(expression, text) for field, expression in self.terms.items()}

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The quantities that the equation is over."""
        nodes = (node for tree in self._trees.values() for node in ast.walk(tree))
        return frozenset(node.id for node in nodes if isinstance(node, ast.Name)) - FUNCTIONS.keys()

    def cost(self, quantities: Quantities) -> Cost:
        """The cost of a call with these quantities.

        Raises:
            FormulaError: one is missing, or no number.
        """
        try:
            return Cost(*eval(self._code, _GLOBALS, quantities))
        except (NameError, TypeError) as error:
            raise FormulaError(f"the quantities {dict(quantities)} do not fit {self.text!r}: {error}") from None

    def sent(self, quantities: Quantities) -> Size:
        """The bytes that a call with these quantities sends, 0 where the equation states none."""
        return eval(self._sent, _GLOBALS, quantities) if SENT in self._trees else 0

    @functools.cached_property
    def _sent(self) -> CodeType:
        return compile(ast.fix_missing_locations(ast.Expression(self._trees[SENT])), "<sent>", "eval")

    @functools.cached_property
    def _code(self) -> CodeType:
        """All fields in one tuple, compiled when a call is first costed."""
        row = ast.Tuple([self._trees.get(field, ast.Constant(0)) for field in FIELDS], ast.Load())
        return compile(ast.fix_missing_locations(ast.Expression(row)), f"<equation {self.text}>", "eval")

    def __repr__(self) -> str:
        return f"Equation({self.text!r})"


def _parsed(expression: str, text: str) -> ast.expr:
    """The syntax tree of an expression; refuses anything that is not whole-number arithmetic."""
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise FormulaError(f"not an expression: {expression!r} in {text!r}") from None
    if not all(map(_is_arithmetic, ast.walk(tree))):
        raise FormulaError(f"only whole-number arithmetic belongs in an equation: {expression!r} in {text!r}")
    return tree


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
    if isinstance(node, ast.Constant):
        return type(node.value) is int
    structure = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Load)
    operations = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Pow, ast.USub)
    return isinstance(node, structure + operations)
