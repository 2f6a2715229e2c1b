"""`SavedRegion`: a stretch of a run in which the model decides what is kept for the backward pass.

It is a checkpoint, which keeps nothing and computes it again, or has hooks of its own on what is saved.
"""

import contextlib
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.utils.checkpoint
from torch.autograd.graph import saved_tensors_hooks

from fxcount._torch import stops_early

CHECKPOINT = torch.utils.checkpoint.CheckpointFunction
"""The function of a checkpoint that runs its part of the model inside a backward pass of its own (reentrant)."""


@dataclass(eq=False)
class SavedRegion:
    """One such stretch; stretches may lie in one another."""

    hooks: saved_tensors_hooks | None = None
    """What was entered; None of a function with a gradient of its own."""
    function: type[torch.autograd.Function] | None = None
    """That function, which runs what it is given."""
    apply: Callable[..., Any] = tuple
    """What calls that function, with these arguments."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    result: Any = None
    """What it returned."""
    is_under_modes: bool = False
    """Whether modes of the dispatcher of the model's own see its calls, such as one that chooses what is kept."""

    hides_another: bool = False
    """Whether another checkpoint lies in it that does nothing the first time."""

    @property
    def returned(self) -> list[torch.Tensor]:
        """The tensors that a function returned itself; one that lies in another container has no gradient there."""
        returned = self.result if isinstance(self.result, tuple) else (self.result,)
        return [each for each in returned if isinstance(each, torch.Tensor)]

    @property
    def stops_early(self) -> bool:
        """Whether a checkpoint computes no more again than a gradient asks for."""
        return self.hooks is None or stops_early(self.hooks)

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is run again in the backward pass."""
        if self.hooks is None:
            return self.is_reentrant
        return self.hooks.pack_hook.__module__ == torch.utils.checkpoint.__name__

    @property
    def is_hooked(self) -> bool:
        """Whether hooks of the model's are run on what is saved."""
        return self.hooks is not None and not self.is_checkpoint

    @property
    def is_reentrant(self) -> bool:
        """Whether it is a checkpoint that is not seen by autograd the first time."""
        return self.function is CHECKPOINT


def checkpoints_at_work() -> int:
    """How many checkpoints the code that runs now lies in, also those that do nothing while gradients are off."""
    place = torch.utils.checkpoint.__file__
    frames = (frame.f_code for frame, _ in traceback.walk_stack(None))
    return sum(code.co_filename == place and code.co_name == "checkpoint" for code in frames)


@contextlib.contextmanager
def watched_regions(
    enter: Callable[[saved_tensors_hooks], None], leave: Callable[[saved_tensors_hooks], None]
) -> Iterator[None]:
    """While it lasts, ``enter`` is told of hooks that are set in this thread, and ``leave`` of those that are taken
    away."""
    kind, thread = saved_tensors_hooks, threading.get_ident()
    own_enter, own_exit = kind.__enter__, kind.__exit__

    def entered(hooks: saved_tensors_hooks) -> None:
        if threading.get_ident() == thread:
            enter(hooks)  # which may refuse: then nothing has been set
        own_enter(hooks)

    def left(hooks: saved_tensors_hooks, *error: Any) -> None:
        if threading.get_ident() == thread:
            leave(hooks)
        own_exit(hooks, *error)

    kind.__enter__, kind.__exit__ = entered, left  # type: ignore[method-assign]
    try:
        yield
    finally:
        kind.__enter__, kind.__exit__ = own_enter, own_exit  # type: ignore[method-assign]
