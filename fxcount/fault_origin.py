"""Whose fault an error is: the model's, or ours."""

import functools
import sys
import traceback
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

from fxcount.errors import FxcountError

Result = TypeVar("Result")

REPORT = "a fault of fxcount and not of the model: please report it"
"""The note that an error of our own gets."""

_NOT_THE_MODELS = frozenset({"torch", "fxcount", "sympy", *sys.stdlib_module_names})


@functools.cache
def is_model_code(module_name: object) -> bool:
    """Whether code of the Python module of that name is the model's, and not torch's, ours or Python's own."""
    return str(module_name).partition(".")[0] not in _NOT_THE_MODELS


def for_the_model(function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
    """``function(*args, **kwargs)``, which the model calls, or which is the model: its errors are not ours.

    Whatever we call on behalf of a model we call here, so that a traceback tells such calls from our own.
    """
    return function(*args, **kwargs)


_FOR_THE_MODEL: CodeType = for_the_model.__code__


def line_of_model(*, below_the_count: bool = False) -> str:
    """The file and line of the code that is neither torch's nor ours and is being run, after a comma; with
    ``below_the_count`` none if that is the code that counts, and not the model's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (module := frame.f_globals.get("__name__", "")).partition(".")[0] in _BENEATH:
        if below_the_count and module in _COUNTS:
            return ""
        frame = frame.f_back
    return "" if frame is None else f", {frame.f_code.co_filename}:{frame.f_lineno}"


_BENEATH = frozenset({"torch", "fxcount", "sympy"})

_COUNTS = frozenset({"fxcount.count", "fxcount.memory"})
"""The modules that call all others: what has called them is not the model."""


_NOBODYS_FAULT = (FxcountError, RecursionError, MemoryError)
"""What we raise on purpose, and what any code may be the last to cause."""


def origin_of_fault(error: BaseException, before: BaseException | None = None) -> str:
    """The module of ours in which an error, or the one that it came of, arose, or whose call of a library raised it;
    "" if it is the model's. What was being handled ``before`` the count has no part in it."""
    met: list[BaseException] = []
    following: BaseException | None = error
    while isinstance(following, Exception) and not any(following is each for each in (before, *met)):
        if isinstance(following, _NOBODYS_FAULT):
            return ""
        if module := _innermost_of_ours(following):
            return module
        met.append(following)
        hidden = following.__context__ if not following.__suppress_context__ else None
        following = following.__cause__ if following.__cause__ is not None else hidden
    return ""


def _innermost_of_ours(error: BaseException) -> str:
    """The module of the innermost frame that is no library's, if that is ours."""
    for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
        module = frame.f_globals.get("__name__")
        if frame.f_code is _FOR_THE_MODEL or is_model_code(module):
            return ""
        if module != "fxcount._torch" and str(module).partition(".")[0] == "fxcount":
            return str(module)
    return ""
