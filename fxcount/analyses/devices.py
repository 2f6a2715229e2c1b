"""The devices that have a name, each with where its figures come from."""

import torch

from fxcount.analyses.device import Device
from fxcount.errors import InputError

GIGA, TERA, GIB = 10**9, 10**12, 2**30


def _device(
    name: str,
    float64: float,
    float32: float,
    tf32: float,
    float16: float,
    bfloat16: float,
    float8: float,
    int8: float,
    bandwidth: float,
    memory: int,
) -> Device:
    """Rates in 10^12 operations a second, 0 for what a device has no rate of; the bandwidth in 10^9 bytes a second, the
    memory in GiB."""
    rates = {
        torch.float64: float64,
        torch.float32: float32,
        torch.float16: float16,
        torch.bfloat16: bfloat16,
        torch.float8_e4m3fn: float8,
        torch.float8_e5m2: float8,
        torch.int8: int8,
    }
    peak = {dtype: rate * TERA for dtype, rate in rates.items() if rate}
    return Device(name, peak, bandwidth * GIGA, memory * GIB, _SOURCES[name], tf32 * TERA or None)


# fmt: off
_ROWS = (
    # name             float64  float32     tf32  float16  bfloat16   float8     int8   GB/s   GiB
    ("H100 SXM",           67,      67,   494.7,   989.4,    989.4,  1978.9,  1978.9,  3350,   80),
    ("H100 PCIe",          51,      51,     378,   756.5,    756.5,    1513,    1513,  2000,   80),
    ("H200",               67,      67,   494.7,   989.4,    989.4,  1978.9,  1978.9,  4800,  141),
    ("B200",               40,      80,    1125,    2250,     2250,    4500,    4500,  8000,  180),
    ("A100 40",          19.5,    19.5,     156,     312,      312,       0,     624,  1555,   40),
    ("A100 80",          19.5,    19.5,     156,     312,      312,       0,     624,  2039,   80),
    ("L4",               0.49,    30.3,      60,     121,      121,   242.5,   242.5,   300,   24),
    ("L40S",             1.43,    91.6,     183,  362.05,   362.05,     733,     733,   864,   48),
    ("T4",               0.25,     8.1,       0,      65,      8.1,       0,     130,   320,   16),
    ("V100",              7.8,    15.7,       0,     125,     15.7,       0,       0,   900,   32),
    ("RTX 4090",         1.29,    82.6,    82.6,   330.3,    165.2,   660.6,   660.6,  1008,   24),
    ("MI300X",          163.4,   163.4,   653.7,  1307.4,   1307.4,  2614.9,  2614.9,  5300,  192),
    ("TPU v5e",             0,       0,       0,       0,      197,       0,     393,   819,   16),
    ("TPU v5p",             0,       0,       0,       0,      459,       0,     918,  2765,   95),
    ("Apple M1 Max",        0,    10.4,       0,       0,        0,       0,       0,   400,   64),
)
# fmt: on

_SOURCES = {
    "H100 SXM": "NVIDIA H100 Tensor Core GPU data sheet; rates for sparse weights halved",
    "H100 PCIe": "NVIDIA H100 Tensor Core GPU data sheet; rates for sparse weights halved",
    "H200": "NVIDIA H200 Tensor Core GPU data sheet; rates for sparse weights halved",
    "B200": "NVIDIA Blackwell data sheet, HGX B200; rates for sparse weights halved",
    "A100 40": "NVIDIA A100 Tensor Core GPU data sheet, A100 40GB SXM",
    "A100 80": "NVIDIA A100 Tensor Core GPU data sheet, A100 80GB SXM",
    "L4": "NVIDIA L4 Tensor Core GPU data sheet; rates for sparse weights halved",
    "L40S": "NVIDIA L40S GPU data sheet",
    "T4": "NVIDIA T4 Tensor Core GPU data sheet",
    "V100": "NVIDIA V100 Tensor Core GPU data sheet, V100 SXM2 32GB",
    "RTX 4090": "NVIDIA Ada GPU architecture whitepaper, appendix A; half with sums in half",
    "MI300X": "AMD Instinct MI300X accelerator data sheet",
    "TPU v5e": "Google Cloud TPU documentation, TPU v5e, for each chip",
    "TPU v5p": "Google Cloud TPU documentation, TPU v5p, for each chip",
    "Apple M1 Max": "Apple newsroom, 18 October 2021: 10.4 teraflops of the 32-core GPU, 400 GB/s",
}

DEVICES = {row[0]: _device(*row) for row in _ROWS}
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
