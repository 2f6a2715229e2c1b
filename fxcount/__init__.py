"""fxcount: what a PyTorch model costs, exactly, and why.

>>> import torch, fxcount
>>> fxcount.count_graph(torch.nn.Linear(4, 3), torch.randn(2, 4)).macs
24
"""

import importlib
from typing import TYPE_CHECKING, Any

from fxcount.version import __version__ as __version__

if TYPE_CHECKING:
    from fxcount.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """The public names are imported when one is asked for: ``fxcount --help`` answers without torch."""
    if name != "__all__" and name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    public = importlib.import_module("fxcount.public")
    there = (each for each in public.__all__ if each not in public.LATER or each == name)
    globals().update({"__all__": public.__all__, **{each: getattr(public, each) for each in there}})
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
