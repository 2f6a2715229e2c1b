"""What a call, or a step of training, takes on a device."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from fxcount import Device, InputError, count_graph, count_memory, count_step
from fxcount.views.units import size_text
from tests.views.tower import body, mystery

SLOW = Device("slow", {torch.float32: 1e9}, bandwidth=1e9, memory=10**5)


def test_a_step_of_training_by_hand() -> None:
    """A layer of 16 rows of 8 on 4 rows: 2 * 4 * 8 * 16 operations forward, and as many for the gradient of the weight;
    the input needs none. Each reads three tensors and writes one, or so."""
    layer, given = nn.Linear(8, 16, bias=False), torch.ones(4, 8)
    step = count_step(layer, given, device=SLOW, backward=True)
    assert step.macs == 2 * 4 * 8 * 16
    forward, backward, whole = step.parts["forward"], step.parts["backward"], step.parts["whole"]
    assert forward.seconds == pytest.approx(max(2 * 512, 4 * (32 + 128 + 64)) / 1e9)
    assert backward.seconds == pytest.approx(max(2 * 512, 4 * (32 + 128 + 64)) / 1e9)
    assert whole.seconds == pytest.approx(forward.seconds + backward.seconds)
    assert (step.items, step.item) == (4, "samples")
    assert step.per_second() == pytest.approx(4 / whole.seconds)


def test_it_is_the_count_the_memory_and_the_bound_of_their_own_functions() -> None:
    layer, given = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)), torch.ones(4, 8)
    step = count_step(layer, given, device=SLOW, optimizer=torch.optim.AdamW, measured=2e-4)
    cost = count_graph(layer, given, optimizer=torch.optim.AdamW)
    memory = count_memory(layer, given, optimizer=torch.optim.AdamW)
    assert list(step.parts) == ["forward", "backward", "optimizer", "whole"]
    assert step.parts["whole"] == cost.roofline(SLOW).total
    assert step.peak == max(memory.peak, memory.later_peak)
    assert step.mfu == cost.mfu(2e-4, SLOW)
    text = " ".join(step.table().split())
    assert "Measured were 200.00 µs, 20,000 samples a second" in text
    assert "It fits into the 97.7 KiB of slow." in text
    assert json.loads(step.to_json())["parts"]["whole"]["seconds"] == step.roofline.seconds


def test_what_does_not_fit_has_no_rate() -> None:
    layer, given = nn.Linear(8, 16), torch.ones(4, 8)
    peak = count_memory(layer, given).peak
    small = Device("small", {torch.float32: 1e9}, bandwidth=1e9, memory=peak - 1)
    step = count_step(layer, given, device=small)
    assert (step.missing, step.per_second(), step.per_second(fused=True)) == (1, None, None)
    assert "1 B too little, so no rate is given." in " ".join(str(step).split())
    assert "a second" not in str(step)
    fits = count_step(layer, given, device=Device("fits", {torch.float32: 1e9}, bandwidth=1e9, memory=peak))
    assert fits.missing == 0
    assert fits.per_second() is not None


class Masked(nn.Module):
    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return x.masked_fill(mask, 0.0)


def test_what_is_not_counted_is_named() -> None:
    step = count_step(lambda x: mystery(mystery(x)), torch.empty(3), device=SLOW)
    assert "Not counted: fxcount_views.mystery (2 calls)." in step.table()
    assert step.to_dict()["uncounted"] == {"fxcount_views.mystery": 2}


def test_a_later_step_may_hold_more() -> None:
    layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    step = count_step(layers, torch.ones(2048, 64), device="L4", optimizer=torch.optim.AdamW)
    assert step.peak == step.memory.later_peak > step.memory.peak
    assert f"{size_text(step.peak)} in later steps; in the first one {size_text(step.memory.peak)} (" in step.table()
    assert sum(step.memory.at_peak.values()) == step.memory.peak == step.to_dict()["peak_of_the_first"]


@pytest.mark.parametrize(
    ("model", "given", "items"),
    [
        (nn.Embedding(9, 4), torch.ones(3, 5, dtype=torch.int64), "15 tokens"),
        (nn.Linear(4, 2), torch.ones(3, 4), "3 samples"),
        (nn.Linear(4, 2), torch.ones(1, 4), "1 sample"),
        (Masked(), (torch.ones(3, 4), torch.ones(3, 4, dtype=torch.bool)), "3 samples"),
    ],
)
def test_what_is_counted_a_second(model: nn.Module, given: torch.Tensor, items: str) -> None:
    note = body(count_step(model, given, device=SLOW).table()).split("\n\n")[1]
    assert note.startswith(f"{items} of {type(model).__name__}")


def test_bad_input() -> None:
    with pytest.raises(InputError, match="unknown device 'H1'"):
        count_step(nn.ReLU(), torch.ones(3), device="H1")
    with pytest.raises(InputError, match="a measured time is positive, not 0"):
        count_step(nn.ReLU(), torch.ones(3), device=SLOW, measured=0)
