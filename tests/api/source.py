"""What the source of a function or a class states: its signature, and its attributes with what is said of them."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import zip_longest
from types import FunctionType, ModuleType
from typing import Any, NamedTuple


class Attribute(NamedTuple):
    name: str
    type: str
    text: str


def class_statement(kind: type) -> str:
    """The class with its bases, such as ``class InputError(FxcountError, TypeError)``."""
    bases = ", ".join(map(ast.unparse, _parsed(kind)[1].bases))
    return f"class {kind.__name__}({bases})" if bases else f"class {kind.__name__}"


def signature(function: Callable[..., Any], name: str) -> str:
    """The head of a function as it is written, under ``name``."""
    source, node = _parsed(function)
    lines = source.splitlines()[node.lineno - 1 : node.body[0].lineno - 1]
    return name + "\n".join(lines).removeprefix(f"def {node.name}").removesuffix(":")


def method_signature(method: Callable[..., Any], name: str) -> str:
    """The same without the first parameter, which is the object itself."""
    return re.sub(r"\((\s*)[^,)]*(,\s*)?", r"(\1", signature(method, name), count=1)


def attributes(owner: type | ModuleType) -> Iterator[Attribute]:
    """The public names that a class or a module annotates, with the text that stands under each."""
    source, node = _parsed(owner)
    for statement, following in zip_longest(node.body, node.body[1:]):
        if isinstance(statement, ast.AnnAssign) and not (name := ast.unparse(statement.target)).startswith("_"):
            text = ast.get_docstring(ast.Module([following] if following else [], []))
            yield Attribute(name, ast.get_source_segment(source, statement.annotation) or "", text or "")


def properties(kind: type) -> Iterator[Attribute]:
    """The public properties that a class defines itself, cached ones too."""
    for name, member in vars(kind).items():
        if isinstance(member, property | cached_property) and not name.startswith("_"):
            getter = member.fget if isinstance(member, property) else member.func
            yield Attribute(name, ast.unparse(_parsed(getter)[1].returns), inspect.getdoc(getter) or "")


def methods(kind: type) -> Iterator[tuple[str, Callable[..., Any], bool]]:
    """The public methods that a class defines itself: name, function, and whether it is one of the class."""
    for name, member in vars(kind).items():
        if isinstance(member, FunctionType | classmethod) and not name.startswith("_"):
            yield name, inspect.unwrap(member), isinstance(member, classmethod)


def _parsed(thing: Any) -> tuple[str, Any]:
    """The source, and its syntax: of a module all of it, else the one statement that defines the thing."""
    source = textwrap.dedent(inspect.getsource(thing))
    tree = ast.parse(source)
    return source, tree if inspect.ismodule(thing) else tree.body[0]
