"""The tools that are compared: each as its documentation says to call it, silent, and with its fastest back end."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Tool:
    """One way to find out what a model costs."""

    device: str
    """Where the model's weights are: ``meta``, which has none, or ``cpu``."""
    count: Callable[[nn.Module, Tensor], object]
    """The whole call, from the model to the result."""
    package: str
    """The distribution that it comes from."""


def _fxcount(model: nn.Module, x: Tensor) -> object:
    from fxcount import count_graph

    return count_graph(model, x)


def _forward(model: nn.Module, x: Tensor) -> object:
    with torch.no_grad():
        return model(x)


def _flop_counter_mode(model: nn.Module, x: Tensor) -> object:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() // 2  # macs


def _fxcount_backward(model: nn.Module, x: Tensor) -> object:
    from fxcount import count_graph

    return count_graph(model, x, backward=True)


def _flop_counter_mode_backward(model: nn.Module, x: Tensor) -> object:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        out = model(x)
        out = out if isinstance(out, Tensor) else out[0]
        out.backward(torch.ones_like(out))
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops() // 2  # macs


def _ptflops(model: nn.Module, x: Tensor) -> object:
    from ptflops import get_model_complexity_info

    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()) as printed:
        macs, _ = get_model_complexity_info(
            model, (1,), print_per_layer_stat=False, as_strings=False, input_constructor=lambda _: x, backend="aten"
        )
    if macs is None:  # ptflops prints its errors
        raise RuntimeError(printed.getvalue().strip())
    return macs


def _thop(model: nn.Module, x: Tensor) -> object:
    from thop import profile

    return profile(model, inputs=(x,), verbose=False)


def _fvcore(model: nn.Module, x: Tensor) -> object:
    from fvcore.nn import FlopCountAnalysis

    with torch.no_grad():
        return FlopCountAnalysis(model, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


FXCOUNT, WITH_WEIGHTS, FORWARD, ON_META = "fxcount", "fxcount, weights", "forward, meta", "FlopCounterMode, meta"
TRAINED, TRAINED_ON_META = "fxcount, backward", "FlopCounterMode, backward"

TOOLS: dict[str, Tool] = {
    FXCOUNT: Tool("meta", _fxcount, "fxcount"),
    WITH_WEIGHTS: Tool("cpu", _fxcount, "fxcount"),
    FORWARD: Tool("meta", _forward, "torch"),
    ON_META: Tool("meta", _flop_counter_mode, "torch"),
    TRAINED: Tool("meta", _fxcount_backward, "fxcount"),
    TRAINED_ON_META: Tool("meta", _flop_counter_mode_backward, "torch"),
    "FlopCounterMode, CPU": Tool("cpu", _flop_counter_mode, "torch"),
    "ptflops, aten": Tool("cpu", _ptflops, "ptflops"),
    "thop": Tool("cpu", _thop, "thop"),
    "fvcore": Tool("cpu", _fvcore, "fvcore"),
}

PEERS_ON_CPU = tuple(name for name, tool in TOOLS.items() if tool.device == "cpu" and name != WITH_WEIGHTS)


def macs_of(counted: object) -> int:
    """The macs in what a tool returned: fxcount a count, thop a pair with the parameters, the others a number."""
    if hasattr(counted, "macs"):
        return int(counted.macs)
    return int(counted[0] if isinstance(counted, tuple) else counted)


def versions() -> str:
    """The versions of everything that is measured or built here."""
    packages = dict.fromkeys((*(tool.package for tool in TOOLS.values()), "timm", "transformers"))
    return ", ".join(f"{name} {_version(name)}" for name in packages)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
