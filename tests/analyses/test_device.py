"""Devices: by name, of one's own, and measured."""

from __future__ import annotations

import pytest
import torch

from fxcount import Device, InputError
from fxcount.analyses.devices import DEVICES, device_named


@pytest.mark.parametrize("name", ["H100 SXM", "h100-sxm", "h100sxm", "H100_SXM"])
def test_a_name_is_found_as_people_write_it(name: str) -> None:
    assert device_named(name) is DEVICES["H100 SXM"]


def test_a_name_that_is_unknown() -> None:
    with pytest.raises(InputError, match=r"unknown device 'H1000'; the known ones are H100 SXM, .*, or give a Device"):
        device_named("H1000")


@pytest.mark.parametrize(("peak", "bandwidth"), [({torch.float32: 0.0}, 1.0), ({torch.float32: 1.0}, -1.0), ({}, 1.0)])
def test_rates_are_positive(peak: dict[torch.dtype, float], bandwidth: float) -> None:
    with pytest.raises(InputError):
        Device("mine", peak, bandwidth)


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_every_figure_of_the_table_has_its_source(device: Device) -> None:
    assert device.source
    assert device.memory
    assert device.bandwidth > 1e11
    assert all(rate > 1e11 for rate in device.peak.values())


def test_published_rates() -> None:
    """NVIDIA: an A100 has 312 teraflops in bfloat16, 156 in TF32, 19.5 in float32, and 1,555 GB/s of 40 GB."""
    device = DEVICES["A100 40"]
    assert device.rate([torch.bfloat16]) == 312e12
    assert device.rate([torch.float32]) == 19.5e12
    assert device.rate([torch.float32], reduced=True) == 156e12
    assert (device.bandwidth, device.memory) == (1555e9, 40 * 2**30)


def test_the_rate_of_a_call() -> None:
    device = Device("mine", {torch.float32: 10.0, torch.float16: 40.0}, 1.0)
    assert device.rate([torch.float32, torch.float16]) == 40
    assert device.rate([torch.complex64]) == 10
    assert device.rate([torch.int64]) == 40  # not known: no bound but the largest is one
    assert device.rate([]) == 40


def test_this_machine_is_measured_however_little_time_there_is() -> None:
    device = Device.measure(seconds=0)
    assert device.peak[torch.float32] > 1e8
    assert device.bandwidth > 1e8
    assert "measured" in device.source
