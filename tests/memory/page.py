"""The page of what memory counts say beside real runs, ``docs/memory.md``."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.markdown import table


class Compared(NamedTuple):
    """A model, in bytes."""

    name: str
    training: bool
    peak: int
    followed: int
    saved: int
    saved_seen: int
    allocated: int
    allocated_watched: int | None = None
    """That of a run under a mode of the dispatcher; only where the one without it is less than the peak."""

    @property
    def is_equal(self) -> bool:
        return self.peak == self.followed and self.saved == self.saved_seen

    @property
    def workspace(self) -> int:
        """What the allocator hands out beyond the storages of tensors."""
        return self.allocated - self.peak


class Tracked(NamedTuple):
    """A model beside MemTracker."""

    name: str
    peak: int
    at_peak: Mapping[str, int]
    theirs: Mapping[str, int]


INTRODUCTION = """\
# Memory, beside real runs

Written by `python -m tests.memory`. Models with random weights, a batch of {batch}, on the CPU: without gradients in
eval mode, and one step of training with AdamW in train mode. Machine: {machine}. Versions: {versions}.

- **peak**: what `count_memory` says, from shapes alone.
- **followed**: a real run whose storages are followed in torch's dispatcher, from the operator that makes each to its
  end. {equal} of {all} are equal, to the byte.
- **saved**: what `count_memory` says that autograd keeps from the forward pass for the backward pass; **seen**: what
  `torch.autograd.graph.saved_tensors_hooks` sees in a real run, distinct storages once, parameters apart. {saved} of
  {trained} are equal, to the byte.
- **workspace**: by how much the peak of what torch's allocator hands out in a real run, as `torch.profiler` records it,
  is larger: room that kernels take for themselves while they run. {none} of {all} take less than 100 bytes
  at their peak. It is negative where gradients meet at the peak: autograd adds one into the memory of the other, unless
  a mode of the dispatcher is at work, as in the runs that are followed. Then the number under a mode that does nothing
  stands beside it.
"""


def page(compared: Sequence[Compared], tracked: Sequence[Tracked], llama: Mapping[str, float], has_gpu: bool) -> str:
    """The whole page."""
    trained = [each for each in compared if each.training]
    libraries = ("torch", "torchvision", "timm", "transformers")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in libraries)
    introduction = INTRODUCTION.format(
        batch=2,
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        versions=versions,
        equal=sum(each.peak == each.followed for each in compared),
        all=len(compared),
        saved=sum(each.saved == each.saved_seen for each in trained),
        trained=len(trained),
        none=sum(each.workspace < 100 for each in compared),
    )
    return "\n".join(
        (
            introduction,
            "## Without gradients\n",
            table(
                ("model", "peak", "followed", "workspace"), map(_row, (each for each in compared if not each.training))
            ),
            "## A step of training\n",
            table(("model", "peak", "followed", "saved", "seen", "workspace"), map(_row, trained)),
            MEM_TRACKER,
            table(("model", "peak", "MemTracker", "difference", "its kinds", "ours"), map(_tracked_row, tracked)),
            LLAMA.format(**{**llama, "tib": llama["peak"] / 2**40, "mb": llama["grown"] / 1e6}),
            "On a GPU nothing was run for this page: there was none.\n" if not has_gpu else "",
        )
    )


def _row(each: Compared) -> tuple[str, ...]:
    kept = (f"{each.saved:,}", f"{each.saved_seen:,}") if each.training else ()
    workspace = f"{each.workspace:,} ({each.workspace / each.peak:.1%})" if each.workspace else "0"
    if each.allocated_watched is not None:
        workspace += f", under a mode {each.allocated_watched - each.peak:,}"
    return (each.name, f"{each.peak:,}", f"{each.followed:,}", *kept, workspace)


MEM_TRACKER = """\
## Beside MemTracker

`torch.distributed._tools.mem_tracker.MemTracker` follows the storages of a run in the dispatcher too, here those of the
same steps on the CPU. Where the totals differ by nothing, the kinds do: it takes for the optimizer's state (Optstate)
whatever a step makes, also what is gone after it, which are temporaries here, and has no kind for inputs (Other).
"""

LLAMA = """\
## A large model

Llama-3.1-405B, from its configuration in bfloat16 on the meta device, 8,192 tokens with the backward pass:
{peak:,} bytes ({tib:.2f} TiB) at the peak, {saved:,} kept for the backward pass. It took {seconds:.1f} s for
{operators:,} operators, and the process grew by {mb:.0f} MB.
"""


def _tracked_row(each: Tracked) -> tuple[str, ...]:
    total = each.theirs["Total"]
    theirs = ", ".join(f"{kind} {size:,}" for kind, size in each.theirs.items() if size and kind != "Total")
    ours = ", ".join(f"{kind} {size:,}" for kind, size in each.at_peak.items())
    return (each.name, f"{each.peak:,}", f"{total:,}", f"{total - each.peak:+,}", theirs, ours)
