"""The mutants of an equation: each states one term otherwise."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from fxcount.cost import FIELDS, Equation


@dataclass(frozen=True)
class Mutant:
    """An equation in which one term of one field is not what it was."""

    field: str
    term: str
    change: str
    equation: Equation

    def __str__(self) -> str:
        return f"{self.term} of {self.field} is {self.change}"


def mutants(equation: Equation) -> Iterator[Mutant]:
    """Each term left out, counted twice, and given to the next field."""
    for field, expression in equation.terms.items():
        other = FIELDS[(FIELDS.index(field) + 1) % len(FIELDS)]
        for term, rest in _terms(expression):
            alone = f"({expression}) - ({rest})"
            for change, fields in {
                "left out": {field: rest},
                "counted twice": {field: f"{expression} + {alone}"},
                f"given to {other}": {field: rest, other: f"{equation.terms.get(other, '0')} + {alone}"},
            }.items():
                yield Mutant(field, term, change, _stating({**equation.terms, **fields}))


def _stating(terms: dict[str, str]) -> Equation:
    return Equation(", ".join(f"{field} = {expression}" for field, expression in terms.items()))


def _terms(expression: str) -> Iterator[tuple[str, str]]:
    """The whole expression and each addend of each sum in it, with what is left of the expression without it."""
    tree = ast.parse(expression, mode="eval").body
    for term in (tree, *_addends(tree)):
        yield ast.unparse(term), ast.unparse(_without(tree, term))


def _addends(tree: ast.expr) -> Iterator[ast.expr]:
    """In ``a + b - c``, which is ``(a + b) - c``, they are a, b and c."""
    for node in filter(_is_sum, ast.walk(tree)):
        if not _is_sum(node.left):
            yield node.left
        yield node.right


def _is_sum(node: ast.AST) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)


def _without(tree: ast.expr, term: ast.expr) -> ast.expr:
    """The tree with 0 in the place of a term of it; the tree itself stays as it is."""
    tree, term = copy.deepcopy((tree, term))
    return _Zero(term).visit(tree)  # type: ignore[return-value]  # an expression, as what it stands for


class _Zero(ast.NodeTransformer):
    def __init__(self, term: ast.expr) -> None:
        self.term = term

    def visit(self, node: ast.AST) -> ast.AST:
        return ast.Constant(0) if node is self.term else self.generic_visit(node)
