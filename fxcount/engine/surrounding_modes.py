"""`Modes`: how many modes of torch are at work; each sees every call, and may change what it returns."""

from __future__ import annotations

import torch


class Modes:
    """Those that are at work when this is made."""

    def __init__(self) -> None:
        # Torch counts them in private alone; a context manager of a model may push one and tell nobody.
        self._of_functions = torch._C._len_torch_function_stack()
        self._of_operators = torch._C._len_torch_dispatch_stack()

    def __bool__(self) -> bool:
        return self._of_functions > 0 or self._of_operators > 0

    def have_grown(self) -> bool:
        """Whether there are more at work now."""
        return (
            torch._C._len_torch_function_stack() > self._of_functions
            or torch._C._len_torch_dispatch_stack() > self._of_operators
        )
