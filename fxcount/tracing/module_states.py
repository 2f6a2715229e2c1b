"""`ModuleStates`: what modules are when a run starts, for a node that calls one calls it as it is then."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from torch import nn

from fxcount._torch import buffers_of, parameters_of
from fxcount.tracing.reach import PLAIN

State = Sequence[tuple[MutableMapping[str, Any], Mapping[str, Any], Sequence[int]]]
"""Dicts of a module, what was in each, and the identities of that."""


class ModuleStates:
    """The attributes, parameters and buffers that modules of torch have at the start of a run."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._states: dict[int, State] = {}
        for module in modules:
            if type(module).__module__.startswith(("torch.nn.", "torch.ao.nn.")):
                held = (each for each in (vars(module), parameters_of(module), buffers_of(module)) if each)
                self._states[id(module)] = [(each, {**each}, [*map(id, each.values())]) for each in held]

    def is_as_before(self, module: nn.Module) -> bool:
        """Whether it has the objects that it had; a tensor may have changed inside."""
        return _is_unchanged(self._states.get(id(module), ()))

    @contextlib.contextmanager
    def at_start(self) -> Iterator[None]:
        """While it lasts, all are as they were."""
        changed = [each for state in self._states.values() if not _is_unchanged(state) for each in state]
        now = [(place, {**place}) for place, _, _ in changed]
        for place, before, _ in changed:
            _put(place, before)
        try:
            yield
        finally:
            for place, held in now:
                _put(place, held)


def _is_unchanged(state: State) -> bool:
    return all(
        [*map(id, place.values())] == identities or _has_kept(place, before) for place, before, identities in state
    )


def _has_kept(place: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether all is there that was before, and no more than a mark, as torch sets one on what it compiles."""
    kept = all(place.get(name, place) is value for name, value in before.items())
    return kept and all(name in before or type(value) in PLAIN for name, value in place.items())


def _put(place: MutableMapping[str, Any], held: Mapping[str, Any]) -> None:
    place.clear()
    place.update(held)
