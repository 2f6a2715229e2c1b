"""The tools, each called as its documentation says, silent, with the options that it has by default."""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


@dataclass(frozen=True)
class Tool:
    """One tool."""

    prints: Callable[[nn.Module, Tensor], int]
    """The number that it prints for a model and its argument."""
    package: str
    """The distribution that it comes from."""
    call: str
    """How it is called."""
    where: str = ""
    """With which options."""


def _fvcore(model: nn.Module, x: Tensor) -> int:
    from fvcore.nn import FlopCountAnalysis

    return int(FlopCountAnalysis(model, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def _ptflops(model: nn.Module, x: Tensor) -> int:
    from ptflops import get_model_complexity_info

    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
        macs, _ = get_model_complexity_info(
            model, (1,), as_strings=False, print_per_layer_stat=False, input_constructor=lambda _: x
        )
    if macs is None:  # ptflops prints its errors
        raise RuntimeError(printed.getvalue().strip().splitlines()[1])
    return int(macs)


def _thop(model: nn.Module, x: Tensor) -> int:
    from thop import profile

    return int(profile(model, inputs=(x,), verbose=False)[0])


def _torchinfo(model: nn.Module, x: Tensor) -> int:
    from torchinfo import summary

    return int(summary(model, input_data=x, verbose=0).total_mult_adds)


def _calflops(model: nn.Module, x: Tensor) -> int:
    from calflops import calculate_flops

    flops, _, _ = calculate_flops(model, args=[x], print_results=False, output_as_string=False)
    return int(flops)


def _torch(model: nn.Module, x: Tensor) -> int:
    """On the meta device, or, where a model reads values, on the CPU with the attention of its definition."""
    try:
        return _flops(copy.deepcopy(model).to("meta"), x.to("meta"))
    except RuntimeError:
        with sdpa_kernel(SDPBackend.MATH):
            return _flops(model, x)


def _flops(model: nn.Module, x: Tensor) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(x)
    return int(counter.get_total_flops())


TOOLS = {
    "fvcore": Tool(_fvcore, "fvcore", "FlopCountAnalysis(model, x).total()"),
    "ptflops": Tool(_ptflops, "ptflops", "get_model_complexity_info(model, ...)", ", with its default back end"),
    "thop": Tool(_thop, "thop", "profile(model, inputs=(x,))"),
    "torchinfo": Tool(_torchinfo, "torchinfo", "summary(model, input_data=x).total_mult_adds"),
    "calflops": Tool(_calflops, "calflops", "calculate_flops(model, args=[x])", ", its FLOPs"),
    "torch": Tool(
        _torch,
        "torch",
        "FlopCounterMode()",
        ", on the meta device; where a model reads values, on a CPU without fused attention",
    ),
}


def printed(tool: str, model: nn.Module, x: Tensor) -> int:
    """What the tool prints; the model stays as it is.

    Raises:
        Exception: the tool fails on the model.
    """
    with _put_back(), warnings_off():
        return TOOLS[tool].prints(copy.deepcopy(model), x)


@contextlib.contextmanager
def _put_back() -> Iterator[None]:
    """Functions of torch that a tool has replaced are put back, also where it fails."""
    kept = [(place, dict(vars(place))) for place in (F, torch, torch.Tensor)]
    try:
        yield
    finally:
        for place, names in kept:
            for name, value in dict(vars(place)).items():
                if name in names and names[name] is not value:
                    setattr(place, name, names[name])
                elif name not in names and name in ("matmul", "mm", "bmm", "addmm", "mul", "add"):
                    delattr(place, name)


@contextlib.contextmanager
def warnings_off() -> Iterator[None]:
    """Nothing is logged."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def version(tool: str) -> str:
    """The version of the package of a tool; empty where it is not installed."""
    try:
        return importlib.metadata.version(TOOLS[tool].package)
    except importlib.metadata.PackageNotFoundError:
        return ""
