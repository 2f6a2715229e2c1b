"""`StepRecord`: one call of a model, or a step of its training, on a device: how long at best, and whether it fits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from fxcount.analyses.device import Device
from fxcount.analyses.roofline import RooflineRecord, TimeAtBest, calls_at_best, contractions_at_peak
from fxcount.result.costed_graph import CostedGraph
from fxcount.result.memory_record import MemoryRecord


@dataclass(frozen=True)
class StepRecord:
    """What a step takes."""

    cost: CostedGraph
    """What it computes and moves."""
    memory: MemoryRecord
    """What is held."""
    device: Device
    """What it runs on."""
    dtype: torch.dtype
    """That of the parameters, of the first one if they differ."""
    items: int
    """How many tokens or samples the model is given."""
    item: str
    """``tokens`` where the first of its tensors are ids, else ``samples``."""
    measured: float | None = None
    """The seconds that a step took; None where none was measured."""

    @cached_property
    def roofline(self) -> RooflineRecord:
        """The times of all calls of operators at best."""
        return calls_at_best(self.cost, self.device)

    @property
    def macs(self) -> int:
        """The multiply-accumulates of all passes."""
        return self.cost.macs + (0 if self.cost.backward is None else self.cost.backward.macs)

    @property
    def parts(self) -> dict[str, TimeAtBest]:
        """The passes, and the whole."""
        return {**self.roofline.by_phase(), "whole": self.roofline.total}

    @property
    def peak(self) -> int:
        """The most bytes that are held at once, in the first step or a later one."""
        return self.memory.peak_of_any

    @property
    def missing(self) -> int:
        """The bytes that the device lacks to hold it; 0 where it fits, or where its memory is not known."""
        return self.device.lacks(self.peak)

    def per_second(self, fused: bool = False) -> float | None:
        """The tokens or samples over the time at best, call by call or however calls are fused; None where the device
        does not hold all."""
        seconds = self.roofline.fused_seconds if fused else self.roofline.seconds
        return None if self.missing or not seconds else self.items / seconds

    @property
    def mfu(self) -> float | None:
        """Model FLOPs utilisation: the share of the peak that the measured step reached, as `GraphCost.mfu` says."""
        return None if self.measured is None else contractions_at_peak(self.cost, self.device) / self.measured
