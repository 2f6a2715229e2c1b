"""Packages with models that generate or compress images and sound."""

from __future__ import annotations

import torch
from torch import nn

from tests.zoo.packages.examples import floats, image, several
from tests.zoo.packages.model import Model, made


def step() -> torch.Tensor:
    """A step of a diffusion."""
    return torch.tensor([10])


def flux_inputs() -> dict[str, torch.Tensor]:
    """Sixteen by sixteen patches, and a text of 32 tokens."""
    return {
        "hidden_states": torch.rand(1, 256, 64),
        "encoder_hidden_states": torch.rand(1, 32, 4096),
        "pooled_projections": torch.rand(1, 768),
        "timestep": torch.tensor([0.5]),
        "img_ids": torch.zeros(256, 3),
        "txt_ids": torch.zeros(32, 3),
        "guidance": torch.tensor([3.5]),
    }


def gaussian_diffusion() -> nn.Module:
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet

    return GaussianDiffusion(Unet(dim=32, dim_mults=(1, 2)), image_size=32, timesteps=100)


PACKAGES = {
    "diffusers": [
        Model(
            made("diffusers:UNet2DConditionModel", cross_attention_dim=768),
            several(floats(1, 4, 64, 64), step, floats(1, 77, 768)),
            name="UNet2DConditionModel of Stable Diffusion",
            on_meta=True,
        ),
        Model(made("diffusers:FluxTransformer2DModel", guidance_embeds=True), flux_inputs, on_meta=True),
        Model(
            made(
                "diffusers:AutoencoderKL",
                down_block_types=("DownEncoderBlock2D",) * 3,
                up_block_types=("UpDecoderBlock2D",) * 3,
                block_out_channels=(32, 64, 64),
            ),
            image(64),
        ),
        Model(
            made(
                "diffusers:WanTransformer3DModel",
                num_attention_heads=4,
                attention_head_dim=32,
                text_dim=64,
                ffn_dim=256,
                num_layers=2,
            ),
            several(floats(1, 16, 3, 16, 16), step, floats(1, 32, 64)),
        ),
    ],
    "denoising-diffusion-pytorch": [
        Model(made("denoising_diffusion_pytorch:Unet", dim=32, dim_mults=(1, 2, 4)), several(image(64), step)),
        Model(
            made("denoising_diffusion_pytorch:KarrasUnet", image_size=32, dim=64, dim_max=128, num_downsamples=2),
            several(image(32, 4), step),
        ),
        Model(
            made("denoising_diffusion_pytorch:Unet1D", dim=32, dim_mults=(1, 2, 4), channels=8),
            several(floats(1, 8, 64), step),
        ),
        Model(gaussian_diffusion, image(32), name="GaussianDiffusion", executes=False),
    ],
    "video-diffusion-pytorch": [
        Model(made("video_diffusion_pytorch:Unet3D", dim=32, dim_mults=(1, 2)), several(floats(1, 3, 5, 32, 32), step))
    ],
    "vector-quantize-pytorch": [
        Model(made("vector_quantize_pytorch:VectorQuantize", dim=64, codebook_size=256), floats(1, 128, 64)),
        Model(
            made("vector_quantize_pytorch:ResidualVQ", dim=64, num_quantizers=4, codebook_size=128), floats(1, 128, 64)
        ),
        Model(made("vector_quantize_pytorch:FSQ", levels=[8, 5, 5, 5], dim=64), floats(1, 128, 64)),
        Model(made("vector_quantize_pytorch:LFQ", codebook_size=256, dim=64), floats(1, 128, 64)),
    ],
    "siren-pytorch": [
        Model(made("siren_pytorch:SirenNet", dim_in=2, dim_hidden=64, dim_out=3, num_layers=4), floats(1024, 2))
    ],
}
