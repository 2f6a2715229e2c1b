"""Whose fault an error is: the model's, or ours."""

import functools
import sys
import traceback
from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

from fxcount.errors import FxcountError

Result = TypeVar("Result")

REPORT = "a fault of fxcount and not of the model: please report it"
"""The note that an error of our own gets."""

_NOT_THE_MODELS = frozenset({"torch", "fxcount", *sys.stdlib_module_names})


@functools.cache
def is_model_code(module_name: str) -> bool:
    """Whether code of the Python module of that name is the model's, and not torch's, ours or Python's own."""
    return module_name.partition(".")[0] not in _NOT_THE_MODELS


def for_the_model(function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
    """``function(*args, **kwargs)``, which the model calls, or which is the model: its errors are not ours.

    Whatever we call on behalf of a model we call here, so that a traceback tells such calls from our own.
    """
    return function(*args, **kwargs)


_FOR_THE_MODEL: CodeType = for_the_model.__code__


_NOBODYS_FAULT = (FxcountError, RecursionError, MemoryError)
"""What we raise on purpose, and what any code may be the last to cause."""


def is_own_fault(error: BaseException) -> bool:
    """Whether an error, or the one that it came of, arose in our own code, or in a library that our code called for
    itself: the innermost frame that is no library's tells."""
    if not isinstance(error, Exception) or isinstance(error, _NOBODYS_FAULT):
        return False
    for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
        module_name = frame.f_globals.get("__name__", "")
        if frame.f_code is _FOR_THE_MODEL or is_model_code(module_name):
            break
        if module_name.partition(".")[0] == __name__.partition(".")[0]:
            return True
    origin = error.__cause__ or error.__context__
    return origin is not None and is_own_fault(origin)
