"""Whether a method of a tensor was called by its name or by an operator of Python, which torch does not tell apart."""

import dis
from types import FrameType

OPERATORS = frozenset({"add", "mul", "matmul"})
"""The methods of which other tools count calls by name, and not ``x + y``, ``x * y`` and ``x @ y``."""


def is_operator(caller: FrameType, name: str) -> bool:
    """Whether the instruction that ``caller`` runs is an operator, or a call in code that does not name the method,
    such as that of ``sum``."""
    code = caller.f_code
    return dis.opname[code.co_code[caller.f_lasti]] == "BINARY_OP" or name not in code.co_names
