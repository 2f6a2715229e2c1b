"""Example calls: from the shapes that the command line describes, or as a model itself says its input looks."""

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

from fxcount.errors import InputError
from fxcount.tracing.example_call import ExampleCall


@dataclass(frozen=True)
class InputShape:
    """An input as the command line describes it: ``1,3,224,224``, ``1,128:int64`` or ``input_ids=1,128:int64``."""

    name: str
    """The keyword argument; empty for the next positional one."""
    shape: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, text: str) -> Self:
        """Reads ``[NAME=]SHAPE[:DTYPE]``; the dtype is float32 unless named, a shape without sizes is a scalar's.

        Raises:
            InputError: the text is something else.
        """
        match = re.fullmatch(r"(?:(\w+)=)?(\d*(?:,\d+)*),?(?::(\w+))?", text.replace(", ", ","), re.ASCII)
        if match is None:
            raise InputError(f"an input is a shape such as 1,3,224,224 or input_ids=1,128:int64, not {text!r}")
        dtype = getattr(torch, match[3] or "float32", None)
        if not isinstance(dtype, torch.dtype):
            raise InputError(f"{match[3]!r} is not a dtype of torch")
        return cls(match[1] or "", tuple(int(size) for size in match[2].split(",") if size), dtype)

    def tensor(self, device: torch.device) -> torch.Tensor:
        """A tensor of this shape; integers, which may be token ids, masks or lengths, are ones and always real."""
        if self.dtype.is_floating_point or self.dtype.is_complex:
            return torch.zeros(self.shape, dtype=self.dtype, device=device)
        return torch.ones(self.shape, dtype=self.dtype)


def call_with(inputs: Iterable[InputShape], model: Any) -> ExampleCall:
    """The call of ``model`` on inputs of these shapes; it has data if the model has.

    Raises:
        InputError: two inputs have the same name.
    """
    state = [*model.parameters(), *model.buffers()] if isinstance(model, nn.Module) else []
    device = torch.device("cpu" if state and not any(tensor.is_meta for tensor in state) else "meta")
    args: list[torch.Tensor] = []
    kwargs: dict[str, torch.Tensor] = {}
    for each in inputs:
        if each.name in kwargs:
            raise InputError(f"two inputs are called {each.name}")
        if each.name:
            kwargs[each.name] = each.tensor(device)
        else:
            args.append(each.tensor(device))
    return ExampleCall(tuple(args), kwargs)


def default_call(model: nn.Module) -> ExampleCall | None:
    """An example call of a model that says itself what its input looks like, or that needs none."""
    image_size = (getattr(model, "default_cfg", None) or {}).get("input_size")  # a model of timm
    if image_size:
        return image_call(*image_size)
    if hasattr(model, "main_input_name") and hasattr(model, "config"):
        return _transformers_call(model.main_input_name, model.config)
    return None if required_arguments(model) else ExampleCall((), {})


def _transformers_call(input_name: Any, config: Any) -> ExampleCall | None:
    """Token ids of length 128 or what the model can take, also for a decoder, or an image."""
    if input_name == "input_ids":
        longest = getattr(config.get_text_config(), "max_position_embeddings", None) or TOKENS
        tokens = torch.ones(1, min(TOKENS, longest), dtype=torch.int64)
        names = ("input_ids", "decoder_input_ids") if config.is_encoder_decoder else ("input_ids",)
        return ExampleCall((), dict.fromkeys(names, tokens))
    vision = getattr(config, "vision_config", config)
    size = getattr(vision, "image_size", None)
    if input_name == "pixel_values" and size:
        height, width = (size, size) if isinstance(size, int) else size
        return ExampleCall((), {"pixel_values": image_call(vision.num_channels, height, width).args[0]})
    return None


TOKENS = 128
"""The length of the text that a language model is counted on by default."""


def image_call(channels: int, height: int, width: int) -> ExampleCall:
    """The call of a model on a batch of one image."""
    return ExampleCall((torch.empty(1, channels, height, width, device="meta"),), {})


def required_arguments(model: Any) -> list[str]:
    """The names of the arguments that the model cannot be called without."""
    parameters = inspect.signature(model.forward).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in variable]
