"""How a function of torch, or a method of a tensor, came to be called."""

from typing import NamedTuple

KEPT = "kept"
"""Looked up in a module of `torch.nn` that has it for an attribute."""
NOT_TOLD = ""
"""Looked up otherwise: in a dict, in an argument, in a function around."""


class Lookup(NamedTuple):
    """The call of one function."""

    function: str
    """The name of the function itself."""
    name: str
    """Under which it was looked up: that of a file and that in the file, or `KEPT`, or `NOT_TOLD`."""


class Called(NamedTuple):
    """How a function of torch, or a method of a tensor, came to be called."""

    lookups: tuple[Lookup, ...]
    """Of the function, and of those of ``torch.nn.functional`` that have called it, from the inside out."""
    home: str
    """The name of the file that made the call, other than that one."""


NOTHING_TOLD = Called((), "")
"""Of an operator that was seen below all functions, and where the code that calls was not run."""
