"""The command ``fxcount``: a model's name and input shapes in, its table out."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import torch

from fxcount.count import count_graph
from fxcount.errors import FxcountError, InputError
from fxcount.worked_example import worked_example, worked_example_input

EXAMPLES = """\
examples:
  fxcount                                                       the worked example
  fxcount torchvision.models:resnet50 --input 1,3,224,224
  fxcount torch.nn:Identity --input 8,16:int64 --input 4
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Counts the model that the arguments name and prints its table.

    Returns the exit status: 0 where the count succeeded, 1 where the model failed, 2 for bad usage.
    """
    arguments = _parser().parse_args(argv)
    model: torch.nn.Module
    try:
        if arguments.model is None:
            print("The worked example: a convolution, a batch norm and a Hardtanh on [1, 1, 130, 40].\n")
            model, inputs = worked_example(), [worked_example_input()]
        else:
            model = build(arguments.model)
            inputs = [parse_input(text) for text in arguments.input]
    except InputError as error:
        print(f"fxcount: {error}", file=sys.stderr)
        return 2
    try:
        print(count_graph(model, tuple(inputs)))
    except Exception as error:
        print(f"fxcount: {_one_message(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fxcount",
        description="What a PyTorch model costs, node by node: multiplications, parameters, and where they sit.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", help="MODULE:CALLABLE that returns a model; it is built without weights")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="SHAPE[:DTYPE]",
        help="an input's shape, such as 1,3,224,224 or 1,128:int64; once for each input",
    )
    return parser


def build(name: str) -> torch.nn.Module:
    """The model that ``module:callable`` returns, built on the meta device, in eval mode.

    Raises:
        InputError: there is no such module or callable, or it does not return a model.
    """
    module_name, _, attribute = name.partition(":")
    if not attribute:
        raise InputError(f"a model is named MODULE:CALLABLE, such as torchvision.models:resnet50, not {name!r}")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(f"cannot import {module_name}: {error}") from error
    finally:
        sys.path.pop(0)
    if not callable(builder := getattr(module, attribute, None)):
        raise InputError(f"{module_name} has no callable {attribute!r}")
    with torch.device("meta"):
        model = builder()
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"{name} returned {type(model).__name__}, not a torch.nn.Module")
    return model.eval()


def parse_input(text: str) -> torch.Tensor:
    """A meta tensor for ``1,3,224,224`` or ``1,128:int64``; float32 where no dtype is named.

    Raises:
        InputError: the text is not a shape, or names no dtype of torch.
    """
    shape, _, dtype_name = text.partition(":")
    dtype: Any = getattr(torch, dtype_name or "float32", None)
    if not isinstance(dtype, torch.dtype):
        raise InputError(f"{dtype_name!r} is not a dtype of torch")
    try:
        return torch.empty([int(size) for size in shape.split(",") if size], dtype=dtype, device="meta")
    except (ValueError, RuntimeError) as error:
        raise InputError(f"an input is a shape such as 1,3,224,224, not {text!r}") from error


def _one_message(error: Exception) -> str:
    """The error's message and the notes that say where in the model it happened."""
    kind = "" if isinstance(error, FxcountError) else f"{type(error).__name__}: "
    return "\n  ".join((f"{kind}{error}", *getattr(error, "__notes__", ())))
