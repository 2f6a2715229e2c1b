"""`ModuleStates`: what modules are when a run starts, for a node that calls one calls it as it is then."""

import contextlib
import operator
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Self

from torch import nn

from fxcount._torch import buffers_of, parameters_of
from fxcount.tracing.reach import PLAIN


class ModuleState(NamedTuple):
    """The dicts of a module."""

    places: Sequence[MutableMapping[str, Any]]
    before: Sequence[Mapping[str, Any]]
    """What was in each."""
    sizes: Sequence[int]
    values: Sequence[Any]
    """All values in them."""

    @classmethod
    def of(cls, module: nn.Module) -> Self:
        """What a module has now."""
        places = [each for each in (vars(module), parameters_of(module), buffers_of(module)) if each]
        return cls(places, [*map(dict, places)], [*map(len, places)], [*_values_in(places)])

    def is_kept(self) -> bool:
        """Whether the objects are the same; one that is a tensor may have changed inside."""
        if [*map(len, self.places)] == self.sizes and all(map(operator.is_, _values_in(self.places), self.values)):
            return True
        return all(map(_has_kept, self.places, self.before))


class ModuleStates:
    """The attributes, parameters and buffers that modules of torch have at the start of a run."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._states = {
            id(module): ModuleState.of(module)
            for module in modules
            if type(module).__module__.startswith(("torch.nn.", "torch.ao.nn."))
        }

    def knows(self, module: nn.Module) -> bool:
        """Whether it is one of them."""
        return id(module) in self._states

    def is_as_before(self, module: nn.Module) -> bool:
        """Whether it has the objects that it had, also if it is none of them."""
        state = self._states.get(id(module))
        return state is None or state.is_kept()

    @contextlib.contextmanager
    def at_start(self) -> Iterator[None]:
        """While it lasts, all are as they were."""
        changed = [state for state in self._states.values() if not state.is_kept()]
        now = [(place, {**place}) for state in changed for place in state.places]
        for state in changed:
            for place, before in zip(state.places, state.before, strict=True):
                _put(place, before)
        try:
            yield
        finally:
            for place, held in now:
                _put(place, held)


def _values_in(places: Sequence[MutableMapping[str, Any]]) -> Iterator[Any]:
    return chain.from_iterable(map(dict.values, places))  # type: ignore[arg-type]  # they are dicts


def _has_kept(place: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether all is there that was before, and no more than a mark, as torch sets one on what it compiles."""
    kept = all(place.get(name, place) is value for name, value in before.items())
    return kept and all(name in before or type(value) in PLAIN for name, value in place.items())


def _put(place: MutableMapping[str, Any], held: Mapping[str, Any]) -> None:
    place.clear()
    place.update(held)
