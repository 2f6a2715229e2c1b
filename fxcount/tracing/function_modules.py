"""The modules and parameters of a function: those that its variables hold."""

import functools
from collections.abc import Iterator
from dataclasses import replace
from types import FunctionType, MethodType
from typing import Any

from torch import nn

from fxcount._torch import buffers_of, parameters_of
from fxcount.tracing.counted_model import CountedModel
from fxcount.tracing.named_values import is_filled, names_in


def with_what_it_names(model: CountedModel) -> CountedModel:
    """A function with the modules and parameters that it has in its variables, or names; a module as it is."""
    if model.modules:
        return model
    found = replace(model, modules={}, parameters={}, buffers={})
    for name, value in _held(model.run):
        if isinstance(value, nn.Parameter):
            found.parameters.setdefault(name, value)
        elif isinstance(value, nn.Module):
            for path, module in value.named_modules(prefix=name):
                if id(module) in map(id, found.modules.values()):
                    continue
                found.modules.setdefault(path, module)
                prefix = f"{path}." if path else ""
                found.parameters.update(
                    {prefix + n: each for n, each in parameters_of(module).items() if each is not None}
                )
                found.buffers.update({prefix + n: each for n, each in buffers_of(module).items() if each is not None})
    return found


def _held(function: Any) -> Iterator[tuple[str, Any]]:
    """What the variables of a function hold, by name."""
    if isinstance(function, functools.partial):
        yield from _held(function.func)
        yield from ((str(place), value) for place, value in enumerate(function.args))
        yield from function.keywords.items()
    elif isinstance(function, MethodType):
        yield "", function.__self__
        yield from _held(function.__func__)
    elif isinstance(function, FunctionType):
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        yield from ((name, cell.cell_contents) for name, cell in cells if is_filled(cell))
        named = ((name, function.__globals__.get(name)) for name in names_in(function.__code__))
        yield from ((name, value) for name, value in named if isinstance(value, nn.Module | nn.Parameter))
