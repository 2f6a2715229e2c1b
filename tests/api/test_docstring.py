"""Docstrings become Markdown."""

from tests.api.docstring import markdown

DOCSTRING = """\
Counts ``x``, a `Cost`, as `to_csv` does.

Args:
    model: any callable, on any
        device.
    strict: raise: always.

Returns:
    The costs, and
    more.

Raises:
    InputError: it is wrong.

>>> def f():
...     return "`Cost`"
>>> f()
'`Cost`'

The end."""

MARKDOWN = """\
Counts `x`, a [`Cost`](#cost), as `to_csv` does.

**Arguments:**

- `model`: any callable, on any device.
- `strict`: raise: always.

**Returns:** The costs, and more.

**Raises:**

- [`InputError`](#inputerror): it is wrong.

**Example:**

    >>> def f():
    ...     return "`Cost`"
    >>> f()
    '`Cost`'

The end."""


def test_sections_examples_and_names() -> None:
    assert markdown(DOCSTRING) == MARKDOWN
