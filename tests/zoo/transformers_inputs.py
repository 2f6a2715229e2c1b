"""Inputs for models of transformers: what a tokenizer or a processor hands them, made from their configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import BatchEncoding, PretrainedConfig

LENGTH = 64
"""Tokens of a text."""


def tokens(length: int = LENGTH) -> torch.Tensor:
    """A text, as numbers that are in every vocabulary."""
    return (torch.arange(length) % 30 + 5)[None]


def text(config: PretrainedConfig, length: int = LENGTH) -> Mapping[str, Any]:
    """What a tokenizer returns for one text."""
    ids = tokens(length)
    return BatchEncoding({"input_ids": ids, "attention_mask": torch.ones_like(ids)})


def two_texts(config: PretrainedConfig) -> Mapping[str, Any]:
    return BatchEncoding({**text(config), "decoder_input_ids": tokens(LENGTH // 2)})


def image(config: PretrainedConfig, size: int | None = None) -> Mapping[str, Any]:
    """One image of the size that the configuration states, 224 where it states none."""
    stated = size or getattr(config, "image_size", None) or 224
    height, width = stated if isinstance(stated, list | tuple) else (stated, stated)
    return {"pixel_values": torch.rand(1, getattr(config, "num_channels", 3), height, width)}


def frames(config: PretrainedConfig) -> Mapping[str, Any]:
    """A video, frame by frame."""
    return {"pixel_values": torch.rand(1, config.num_frames, config.num_channels, config.image_size, config.image_size)}


def waveform(config: PretrainedConfig) -> Mapping[str, Any]:
    """One second at 16 kHz."""
    return {"input_values": torch.rand(1, 16000)}


def caption(config: PretrainedConfig, length: int = LENGTH) -> Mapping[str, Any]:
    """A text and an image, for models with a tower for each."""
    return BatchEncoding({**text(config, length), **image(config.vision_config)})


def mono(config: PretrainedConfig) -> Mapping[str, Any]:
    """Sound with one channel."""
    return {"input_values": torch.rand(1, 1, 16000)}


def spectrogram(frames: int, bins: int) -> Mapping[str, Any]:
    return {"input_features": torch.rand(1, frames, bins)}


def text_around_image(config: PretrainedConfig, features: int) -> dict[str, Any]:
    """A text with as many places for an image as there are features of it."""
    place = getattr(config, "image_token_id", None) or config.image_token_index
    ids = torch.cat([tokens(8), torch.full((1, features), place), tokens()], 1)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def picture_book(config: PretrainedConfig, features: int) -> Mapping[str, Any]:
    """A text around an image of the size that the vision tower states."""
    return BatchEncoding({**text_around_image(config, features), **image(config.vision_config)})


def grid(config: PretrainedConfig) -> Mapping[str, Any]:
    """A text around an image of 16 by 16 patches, four of which become one feature."""
    vision, words = config.vision_config, text_around_image(config, 64)
    size = 3 * vision.temporal_patch_size * vision.patch_size**2
    return BatchEncoding(
        {
            **words,
            "mm_token_type_ids": (words["input_ids"] == config.image_token_id).long(),
            "pixel_values": torch.rand(256, size),
            "image_grid_thw": torch.tensor([[1, 16, 16]]),
        }
    )


def boxes(config: PretrainedConfig) -> Mapping[str, Any]:
    """A text and the features of 36 boxes in an image, with their places."""
    return {
        **text(config),
        "visual_feats": torch.rand(1, 36, config.visual_feat_dim),
        "visual_pos": torch.rand(1, 36, config.visual_pos_dim),
    }


def patches(config: PretrainedConfig) -> Mapping[str, Any]:
    """An image as patches, each with its row and column, and the beginning of a text."""
    size = 2 + config.vision_config.patch_embed_hidden_size
    return {"flattened_patches": torch.rand(1, 256, size), "decoder_input_ids": tokens()}


def trajectory(config: PretrainedConfig) -> Mapping[str, Any]:
    """Twenty steps of states, actions and returns."""
    return {
        "states": torch.rand(1, 20, config.state_dim),
        "actions": torch.rand(1, 20, config.act_dim),
        "returns_to_go": torch.rand(1, 20, 1),
        "timesteps": torch.arange(20)[None],
        "attention_mask": torch.ones(1, 20, dtype=torch.long),
    }
