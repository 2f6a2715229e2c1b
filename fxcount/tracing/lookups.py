"""By which name code has looked up a function of torch that it calls: tools that replace the functions in the files of
torch see only calls that look there."""

from __future__ import annotations

import bisect
import dis
import functools
from collections.abc import Sequence
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

from torch import nn

from fxcount.cost.called import KEPT, NOT_TOLD, Called, Lookup

_FUNCTIONAL = "torch.nn.functional"
_BETWEEN = ("fxcount.", "torch.fx.", "torch.overrides", "torch._jit_internal")
"""Files whose frames stand between a call and what is told of it."""
_OF_PYTHON = ("_operator", "builtins")
"""Files whose functions stand in a graph for operators of Python and methods, which no code looks up."""
_HANDED_ON = "handle_torch_function"


class _Callee(NamedTuple):
    """What a call calls."""

    first: str
    """A name; empty where it is another expression."""
    attributes: list[str]
    is_global: bool
    """Whether the name is one of the file."""


_OTHER = _Callee("", [], False)
_READ: dict[int, tuple[CodeType, list[dis.Instruction], list[int], dict[int, _Callee]]] = {}
"""What was read of code, by its identity: to hash it would take as long as to read it."""


def called(frame: FrameType, function: Any) -> Called:
    """How ``function``, or a method of that name, came to be called where ``frame`` is the innermost of its call."""
    lookups, at = list[Lookup](), _next(frame)
    is_looked_up = not isinstance(function, str) and getattr(function, "__module__", "builtins") not in _OF_PYTHON
    inner = function.__name__ if is_looked_up else ""
    while at is not None:
        home = at.f_globals.get("__name__", "")
        name = _looked_up(at, inner, None if lookups else function) if is_looked_up else NOT_TOLD
        if name.rpartition(".")[2] != _HANDED_ON:
            if is_looked_up:
                lookups.append(Lookup(inner, name))
            if home != _FUNCTIONAL:
                return Called(tuple(lookups), home)
            inner = at.f_code.co_name
        at = _next(at.f_back)
    return Called(tuple(lookups), "")


def _next(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_BETWEEN):
        frame = frame.f_back
    return frame


def _looked_up(frame: FrameType, inner: str, function: Any) -> str:
    """Under which name the call that ``frame`` is in has found what it calls."""
    first, attributes, is_global = _callee_of(frame.f_code, frame.f_lasti)
    if is_global and first in frame.f_globals:
        place, found = frame.f_globals.get("__name__", "its file"), frame.f_globals[first]
    elif attributes and not is_global and first in frame.f_locals:
        place, found = "", frame.f_locals[first]
    else:
        return NOT_TOLD
    last = first
    for last in attributes:
        if not isinstance(found, ModuleType | nn.Module) or last not in vars(found):
            return NOT_TOLD
        place, found = found.__name__ if isinstance(found, ModuleType) else "", vars(found)[last]
    name = f"{place}.{last}" if place else KEPT
    is_it = found is function or (isinstance(found, functools.partial) and found.func is function)
    is_named = place.startswith("torch") and last in (inner.removesuffix("_with_indices"), _HANDED_ON)
    return name if is_it or is_named else NOT_TOLD


def _callee_of(code: CodeType, offset: int) -> _Callee:
    if id(code) not in _READ:
        if len(_READ) > 1000:
            _READ.clear()
        every = [*dis.get_instructions(code)]
        _READ[id(code)] = code, every, [each.offset for each in every], {}
    _, every, offsets, found = _READ[id(code)]
    if offset not in found:
        found[offset] = _callee(every, offsets, offset)
    return found[offset]


def _callee(every: Sequence[dis.Instruction], offsets: Sequence[int], offset: int) -> _Callee:
    at = bisect.bisect_right(offsets, offset) - 1
    call = every[at]
    start, end = _start(call), _end(call)
    if not call.opname.startswith("CALL") or start is None:
        return _OTHER
    before = at - 1
    while before >= 0 and (
        every[before].opname in ("PUSH_NULL", "PRECALL", "KW_NAMES")
        or not (_start(every[before]) == start and (_end(every[before]) or end) < end)
    ):
        before -= 1
    names: list[str] = []
    for each in reversed(every[: before + 1]):
        if each.opname.startswith(("LOAD_ATTR", "LOAD_METHOD")):
            names.append(each.argval)
        elif each.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_DEREF")):
            name = each.argval[-1] if isinstance(each.argval, tuple) else each.argval  # two at once
            return _Callee(name, names[::-1], each.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME")))
        elif each.opname != "PUSH_NULL":
            break
    return _OTHER


def _start(instruction: dis.Instruction) -> Any:
    place = instruction.positions
    return None if place is None or place.lineno is None else (place.lineno, place.col_offset)


def _end(instruction: dis.Instruction) -> Any:
    place = instruction.positions
    return None if place is None or place.end_lineno is None else (place.end_lineno, place.end_col_offset)
