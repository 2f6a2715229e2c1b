"""Docstrings as Markdown."""

import re
import textwrap
from collections.abc import Iterator

from fxcount import __all__ as public_names

LISTS = {"Args": "Arguments", "Raises": "Raises"}
"""The sections of names, each with a text, and their titles on the page."""


def markdown(docstring: str) -> str:
    """Sections become lists, examples code, and a public name in single backticks a link to its heading."""
    return "\n\n".join(block for text in docstring.split("\n\n") for block in _blocks(text))


def _blocks(text: str) -> Iterator[str]:
    title, _, body = text.partition(":\n")
    if text.startswith(">>> "):
        yield "**Example:**"  # without a line between them the code would belong to the list above it
        yield textwrap.indent(text, "    ")
    elif title in LISTS:
        yield f"**{LISTS[title]}:**"
        yield "\n".join(map(_item, re.split(r"\n(?! )", textwrap.dedent(body))))
    elif title == "Returns":
        yield f"**Returns:** {marked(_flowing(body))}"
    else:
        yield marked(text)


def _item(text: str) -> str:
    name, _, description = _flowing(text).partition(": ")
    return marked(f"- `{name}`: {description}")


def _flowing(text: str) -> str:
    return " ".join(text.split())


def marked(text: str) -> str:
    """Names in single backticks are links where they are public; code in double ones is code, as in Markdown."""
    linked = re.sub(rf"(?<!`)`({'|'.join(public_names)})`(?!`)", lambda name: link(name[1]), text)
    return linked.replace("``", "`")


def link(name: str) -> str:
    return f"[`{name}`](#{name.lower()})"
