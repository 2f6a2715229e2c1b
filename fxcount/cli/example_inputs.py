"""Example calls: from the shapes that the command line describes, or as a model itself says its input looks."""

import inspect
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

from fxcount.errors import InputError
from fxcount.tracing.example_call import ExampleCall

SIZE = r"(?:\d+|[A-Za-z_]\w*)"


@dataclass(frozen=True)
class InputShape:
    """An input as the command line describes it: ``1,3,224,224``, ``1,128:int64`` or ``input_ids=batch,128:int64``."""

    name: str
    """The keyword argument; empty for the next positional one."""
    shape: tuple[int | str, ...]
    """Each size, or the name of one that is a symbol."""
    dtype: torch.dtype

    @classmethod
    def of(cls, text: str, dtype: torch.dtype = torch.float32) -> Self:
        """Reads ``[NAME=]SHAPE[:DTYPE]``; the dtype is this one unless named, a shape without sizes is a scalar's.

        Raises:
            InputError: the text is something else.
        """
        match = re.fullmatch(rf"(?:(\w+)=)?({SIZE}?(?:,{SIZE})*),?(?::(\w+))?", text.replace(", ", ","), re.ASCII)
        if match is None:
            raise InputError(f"an input is a shape such as 1,3,224,224 or input_ids=1,128:int64, not {text!r}")
        named = getattr(torch, match[3], None) if match[3] else dtype
        if not isinstance(named, torch.dtype):
            raise InputError(f"{match[3]!r} is not a dtype of torch")
        sizes = (int(size) if size.isdecimal() else size for size in match[2].split(",") if size)
        return cls(match[1] or "", tuple(sizes), named)

    @property
    def is_continuous(self) -> bool:
        """Whether its elements are no integers."""
        return self.dtype.is_floating_point or self.dtype.is_complex

    @property
    def names(self) -> dict[int, str]:
        """The axes whose sizes are symbols, each to the name."""
        return {axis: size for axis, size in enumerate(self.shape) if isinstance(size, str)}

    def tensor(self, device: torch.device, sizes: Mapping[str, int]) -> torch.Tensor:
        """A tensor of this shape, with ``sizes`` for names; integers, which may be token ids, masks or lengths, are
        ones and always real."""
        shape = [sizes[size] if isinstance(size, str) else size for size in self.shape]
        if self.is_continuous:
            return torch.zeros(shape, dtype=self.dtype, device=device)
        return torch.ones(shape, dtype=self.dtype)


def example_sizes(inputs: Iterable[InputShape], given: Mapping[str, int]) -> dict[str, int]:
    """A size for every name: the given one, else one that most models take.

    Raises:
        InputError: one is given for what is no name.
    """
    sizes: dict[str, int] = {}
    for each in inputs:
        for axis, name in each.names.items():
            is_side = each.is_continuous and len(each.shape) >= 4 and axis >= len(each.shape) - 2
            sizes.setdefault(name, given.get(name, IMAGE_SIDE if is_side else ITEMS if axis == 0 else LENGTH))
    for name in given:
        if name not in sizes:
            raise InputError(f"--at names {name!r}; the names in --input are {', '.join(sizes) or 'none'}")
    return sizes


ITEMS, LENGTH, IMAGE_SIDE = 2, 16, 224
"""What a size that is a symbol is in the example: a first axis, an axis of an image, or another."""


def dynamic_shapes(inputs: Iterable[InputShape]) -> dict[int | str, Mapping[int, str]] | None:
    """The sizes that are symbols, by the position or the name of the argument; None if none is."""
    positions = itertools.count()
    shapes = {each.name or next(positions): each.names for each in inputs}
    return {argument: names for argument, names in shapes.items() if names} or None


def call_with(inputs: Iterable[InputShape], model: Any, sizes: Mapping[str, int] | None = None) -> ExampleCall:
    """The call of ``model`` on inputs of these shapes, with ``sizes`` for names; it has data if the model has.

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
            kwargs[each.name] = each.tensor(device, sizes or {})
        else:
            args.append(each.tensor(device, sizes or {}))
    return ExampleCall(tuple(args), kwargs)


def default_call(model: nn.Module) -> ExampleCall | None:
    """An example call of a model that says itself what its input looks like, or that needs none."""
    image_size = (getattr(model, "default_cfg", None) or {}).get("input_size")  # a model of timm
    if image_size:
        return image_call(*image_size)
    if hasattr(model, "main_input_name") and hasattr(model, "config"):
        return _transformers_call(model, model.main_input_name, model.config)
    return None if required_arguments(model) else ExampleCall((), {})


def _transformers_call(model: Any, input_name: Any, config: Any) -> ExampleCall | None:
    """Token ids of length 128 or what the model can take, an image, or sound; what a decoder takes beside it, and both
    of a model that compares texts with images."""
    longest = getattr(config.get_text_config(), "max_position_embeddings", None) or TOKENS
    tokens = torch.ones(1, min(TOKENS, longest), dtype=torch.int64)
    vision = getattr(config, "vision_config", config)
    size, mels = getattr(vision, "image_size", None), getattr(config, "num_mel_bins", None)
    found: dict[str, torch.Tensor] = {}
    if input_name == "input_ids":
        found["input_ids"] = tokens
    if size and (input_name == "pixel_values" or hasattr(model, "get_text_features")):
        height, width = (size, size) if isinstance(size, int) else size
        found["pixel_values"] = image_call(getattr(vision, "num_channels", 3), height, width).args[0]
    if input_name == "input_features" and mels and hasattr(config, "max_source_positions"):
        found["input_features"] = torch.empty(1, mels, 2 * config.max_source_positions, device="meta")
    if input_name == "input_values" and mels and hasattr(config, "max_length"):
        found["input_values"] = torch.empty(1, config.max_length, mels, device="meta")
    elif input_name == "input_values":
        found["input_values"] = torch.empty(1, SECOND_OF_SOUND, device="meta")
    if found and config.is_encoder_decoder:
        found["decoder_input_ids"] = tokens
    return ExampleCall((), found) if found else None


SECOND_OF_SOUND = 16_000
"""Samples at the rate that models of speech take."""


TOKENS = 128
"""The length of the text that a language model is counted on by default."""


def image_call(channels: int, height: int, width: int) -> ExampleCall:
    """The call of a model on a batch of one image."""
    return ExampleCall((torch.empty(1, channels, height, width, device="meta"),), {})


def vision_call(kind: str, preset: Any, meta: Mapping[str, Any]) -> ExampleCall:
    """The call of a model of torchvision: a list of one image with data for a detector, a clip, two images between
    which things move, or a batch of one image; in the size that the published weights are for."""
    if kind == "detection":
        return ExampleCall(([torch.zeros(3, 800, 800)],), {})
    if kind == "optical_flow":
        return ExampleCall(tuple(torch.empty(1, 3, 520, 960, device="meta") for _ in range(2)), {})
    sizes = getattr(preset, "crop_size", None) or preset.resize_size
    height, width = sizes if len(sizes) == 2 else (*sizes, *sizes)
    if kind == "video":
        return ExampleCall(
            (torch.empty(1, 3, max(meta.get("min_temporal_size", 0), CLIP), height, width, device="meta"),), {}
        )
    return image_call(3, height, width)


CLIP = 16
"""Frames of a video, unless a model needs more."""


def required_arguments(model: Any) -> list[str]:
    """The names of the arguments that the model cannot be called without."""
    parameters = inspect.signature(model.forward).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in variable]
