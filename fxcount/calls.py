"""`Calls`: what a node calls is run and costed, once for all nodes whose calls are equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.utils._mode_utils import no_dispatch

from fxcount.annotation import Annotation, annotation
from fxcount.dispatch import OperatorCounter
from fxcount.formulas.custom import call_cost
from fxcount.repeats import Repeats


class Calls:
    """Runs calls under a counter, and says of each what its node is annotated with."""

    def __init__(self, counter: OperatorCounter) -> None:
        self._counter = counter
        self._repeats = Repeats[Annotation]()  # of one count, for a function of torch may ask for a global setting

    def run(
        self, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any], run: Callable[[], Any], *, repeats: bool
    ) -> tuple[Any, Annotation]:
        """The result of ``run()``, which calls ``target``, and its annotation.

        With ``repeats`` the call may be one that was made before. ``target`` is a function, the name of a method of a
        tensor, or a module.
        """
        key = self._counter.key_of(target, args, kwargs) if repeats and not isinstance(target, nn.Module) else None
        if key is not None:
            with no_dispatch():  # a result that is made again is no operator of the model
                found = self._repeats.find(key, args)
            if found is not None:
                return found
        self._counter.take_calls()
        result = run()
        operators = self._counter.take_calls()
        own = call_cost(target, tuple(args), kwargs, result)
        note = annotation(result, operators if own is None else (own,))
        if key is not None and operators and _is_of_torch(target):  # what reaches no operator may do anything
            with no_dispatch():
                if key == self._counter.key_of(target, args, kwargs):  # or it changes the shape of an argument
                    self._repeats.add(key, args, result, note)
        return result, note


def _is_of_torch(target: Any) -> bool:
    """Whether a call depends on its arguments alone: it is torch's or Python's own function, and not a model's."""
    if isinstance(target, str):
        return True
    module = getattr(target, "__module__", None) or "torch"
    return module.partition(".")[0] in ("torch", "_operator", "builtins")
