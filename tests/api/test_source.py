"""Signatures and attributes are read off the source."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.api.source import Attribute, attributes, class_statement, method_signature, methods, properties, signature


def short(size: int, by: str = "node", *, kind: Mapping[str, int] | None = None) -> "Mapping[str, int]":
    """One line."""
    return {}


def view(
    box: Any,
    a_name_that_is_long_enough: Mapping[str, int] | None = None,
    another_name_that_is_long: Mapping[str, int] | None = None,
) -> str:
    """A line for each parameter."""
    return ""


class Container: ...


@dataclass(frozen=True)
class Box(Container):
    """Holds things."""

    size: int = 0
    """How many.

    They are counted."""
    names: Mapping[str, "int"] = field(default_factory=dict)
    _hidden: int = 0

    @property
    def wide(self) -> bool:
        """Whether it is."""
        return True

    @cached_property
    def total(self) -> list[int]:
        """The sum."""
        return []

    @classmethod
    def of(cls, size: int) -> "Box":
        """One of that size."""
        return cls(size)

    def open(self) -> None:
        """Opens."""

    def _shut(self) -> None: ...

    view = view


NAMES: Mapping[str, int] = {}
"""All names."""


def test_a_signature_is_written_as_in_the_code() -> None:
    expected = 'other(size: int, by: str = "node", *, kind: Mapping[str, int] | None = None) -> "Mapping[str, int]"'
    assert signature(short, "other") == expected


def test_a_method_is_shown_without_the_object() -> None:
    assert method_signature(Box.open, "open") == "open() -> None"
    assert method_signature(view, "view") == (
        "view(\n"
        "    a_name_that_is_long_enough: Mapping[str, int] | None = None,\n"
        "    another_name_that_is_long: Mapping[str, int] | None = None,\n"
        ") -> str"
    )


def test_methods_are_those_that_are_assigned_too() -> None:
    found = [(name, method_signature(method, name), of_the_class) for name, method, of_the_class in methods(Box)]
    assert [(name, of_the_class) for name, _, of_the_class in found] == [("of", True), ("open", False), ("view", False)]
    assert found[0][1] == 'of(size: int) -> "Box"'


def test_attributes_have_the_text_under_them() -> None:
    assert list(attributes(Box)) == [
        Attribute("size", "int", "How many.\n\nThey are counted."),
        Attribute("names", 'Mapping[str, "int"]', ""),
    ]
    assert list(attributes(sys.modules[__name__])) == [Attribute("NAMES", "Mapping[str, int]", "All names.")]


def test_properties_are_attributes() -> None:
    assert list(properties(Box)) == [
        Attribute("wide", "bool", "Whether it is."),
        Attribute("total", "list[int]", "The sum."),
    ]


def test_a_class_is_shown_with_its_bases() -> None:
    assert class_statement(Box) == "class Box(Container)"
    assert class_statement(Container) == "class Container"
