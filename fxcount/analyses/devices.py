"""The devices that have a name, each with where its figures come from."""

import torch

from fxcount.analyses.device import Device
from fxcount.errors import InputError

GIGA, TERA, GIB = 10**9, 10**12, 2**30

FLOAT64, FLOAT32, BFLOAT16, FLOAT16, INT8 = torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int8
FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)


def _gpu(
    name: str,
    source: str,
    *,
    float64: float,
    float32: float,
    half: float,
    bandwidth: float,
    memory: int,
    bfloat16: float | None = None,
    float8: float | None = None,
    int8: float | None = None,
    tf32: float | None = None,
) -> Device:
    """Rates in 10^12 operations a second, the bandwidth in 10^9 bytes a second, the memory in GiB; ``bfloat16`` as
    ``half`` unless told otherwise, 0 where there is none."""
    rates = {FLOAT64: float64, FLOAT32: float32, FLOAT16: half, BFLOAT16: half if bfloat16 is None else bfloat16}
    rates |= dict.fromkeys(FLOAT8, float8 or 0) | {INT8: int8 or 0}
    peak = {dtype: rate * TERA for dtype, rate in rates.items() if rate}
    reduced = None if tf32 is None else tf32 * TERA
    return Device(name, peak, bandwidth * GIGA, memory * GIB, source, reduced)


_SPARSE = "; rates for sparse weights halved"

DEVICES = {
    device.name: device
    for device in (
        _gpu(
            "H100 SXM",
            "NVIDIA H100 Tensor Core GPU data sheet" + _SPARSE,
            float64=67,
            float32=67,
            tf32=494.7,
            half=989.4,
            float8=1978.9,
            int8=1978.9,
            bandwidth=3350,
            memory=80,
        ),
        _gpu(
            "H100 PCIe",
            "NVIDIA H100 Tensor Core GPU data sheet" + _SPARSE,
            float64=51,
            float32=51,
            tf32=378,
            half=756.5,
            float8=1513,
            int8=1513,
            bandwidth=2000,
            memory=80,
        ),
        _gpu(
            "H200",
            "NVIDIA H200 Tensor Core GPU data sheet" + _SPARSE,
            float64=67,
            float32=67,
            tf32=494.7,
            half=989.4,
            float8=1978.9,
            int8=1978.9,
            bandwidth=4800,
            memory=141,
        ),
        _gpu(
            "B200",
            "NVIDIA Blackwell data sheet, HGX B200" + _SPARSE,
            float64=40,
            float32=80,
            tf32=1125,
            half=2250,
            float8=4500,
            int8=4500,
            bandwidth=8000,
            memory=180,
        ),
        _gpu(
            "A100 40",
            "NVIDIA A100 Tensor Core GPU data sheet, A100 40GB SXM",
            float64=19.5,
            float32=19.5,
            tf32=156,
            half=312,
            int8=624,
            bandwidth=1555,
            memory=40,
        ),
        _gpu(
            "A100 80",
            "NVIDIA A100 Tensor Core GPU data sheet, A100 80GB SXM",
            float64=19.5,
            float32=19.5,
            tf32=156,
            half=312,
            int8=624,
            bandwidth=2039,
            memory=80,
        ),
        _gpu(
            "L4",
            "NVIDIA L4 Tensor Core GPU data sheet" + _SPARSE,
            float64=0.49,
            float32=30.3,
            tf32=60,
            half=121,
            float8=242.5,
            int8=242.5,
            bandwidth=300,
            memory=24,
        ),
        _gpu(
            "L40S",
            "NVIDIA L40S GPU data sheet",
            float64=1.43,
            float32=91.6,
            tf32=183,
            half=362.05,
            float8=733,
            int8=733,
            bandwidth=864,
            memory=48,
        ),
        _gpu(
            "T4",
            "NVIDIA T4 Tensor Core GPU data sheet",
            float64=0.25,
            float32=8.1,
            half=65,
            bfloat16=8.1,
            int8=130,
            bandwidth=320,
            memory=16,
        ),
        _gpu(
            "V100",
            "NVIDIA V100 Tensor Core GPU data sheet, V100 SXM2 32GB",
            float64=7.8,
            float32=15.7,
            half=125,
            bfloat16=15.7,
            bandwidth=900,
            memory=32,
        ),
        _gpu(
            "RTX 4090",
            "NVIDIA Ada GPU architecture whitepaper, appendix A; half with sums in half",
            float64=1.29,
            float32=82.6,
            tf32=82.6,
            half=330.3,
            bfloat16=165.2,
            float8=660.6,
            int8=660.6,
            bandwidth=1008,
            memory=24,
        ),
        _gpu(
            "MI300X",
            "AMD Instinct MI300X accelerator data sheet",
            float64=163.4,
            float32=163.4,
            tf32=653.7,
            half=1307.4,
            float8=2614.9,
            int8=2614.9,
            bandwidth=5300,
            memory=192,
        ),
        Device(
            "TPU v5e",
            {BFLOAT16: 197 * TERA, INT8: 393 * TERA},
            819 * GIGA,
            16 * GIB,
            "Google Cloud TPU documentation, TPU v5e, for each chip",
        ),
        Device(
            "TPU v5p",
            {BFLOAT16: 459 * TERA, INT8: 918 * TERA},
            2765 * GIGA,
            95 * GIB,
            "Google Cloud TPU documentation, TPU v5p, for each chip",
        ),
        Device(
            "Apple M1 Max",
            {FLOAT32: 10.4 * TERA},
            400 * GIGA,
            64 * GIB,
            "Apple newsroom, 18 October 2021: 10.4 teraflops of the 32-core GPU, 400 GB/s",
        ),
    )
}
"""By name; upper and lower case, blanks and dashes do not matter."""


def device_named(device: str | Device) -> Device:
    """The device of that name, or itself.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    if isinstance(device, Device):
        return device
    known = {_plain(name): each for name, each in DEVICES.items()}
    if not isinstance(device, str) or _plain(device) not in known:
        raise InputError(f"unknown device {device!r}; the known ones are {', '.join(DEVICES)}, or give a Device")
    return known[_plain(device)]


def _plain(name: str) -> str:
    """A name as people may write it: ``h100-sxm`` is ``H100 SXM``."""
    return "".join(each for each in name.lower() if each.isalnum())
