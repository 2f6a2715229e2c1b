"""Packages with models of text."""

from __future__ import annotations

import torch
from torch import nn

from tests.zoo.packages.examples import floats, image, named, several, tokens
from tests.zoo.packages.model import Model, made


def decoder() -> nn.Module:
    from x_transformers import Decoder, TransformerWrapper

    layers = Decoder(dim=256, depth=4, heads=4, rotary_pos_emb=True, attn_flash=True, ff_glu=True)
    return TransformerWrapper(num_tokens=1000, max_seq_len=128, attn_layers=layers)


def encoder_with_relative_positions() -> nn.Module:
    from x_transformers import Encoder, TransformerWrapper

    layers = Encoder(dim=256, depth=4, heads=4, rel_pos_bias=True, use_rmsnorm=True, attn_num_mem_kv=4)
    return TransformerWrapper(num_tokens=1000, max_seq_len=128, attn_layers=layers)


def vision_transformer() -> nn.Module:
    from x_transformers import Encoder, ViTransformerWrapper

    return ViTransformerWrapper(
        image_size=128, patch_size=16, num_classes=10, attn_layers=Encoder(dim=256, depth=4, heads=4)
    )


def low_rank_adapters() -> nn.Module:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(gpt2(), LoraConfig(r=8, target_modules=["c_attn"], fan_in_fan_out=True))


def scaled_activations() -> nn.Module:
    from peft import IA3Config, get_peft_model

    return get_peft_model(gpt2(), IA3Config(target_modules=["c_attn", "c_proj"], feedforward_modules=["c_proj"]))


def prompt_tuning() -> nn.Module:
    from peft import PromptTuningConfig, get_peft_model

    return get_peft_model(gpt2(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=8))


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    model: nn.Module = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=128, n_head=4, vocab_size=1000))
    return model


class SentenceEmbedding(nn.Module):
    """What pools the states of a model into one embedding."""

    def __init__(self) -> None:
        from sentence_transformers.models import Pooling
        from transformers import BertConfig, BertModel

        super().__init__()
        self.words = BertModel(
            BertConfig(
                hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256, vocab_size=1000
            )
        )
        self.pooling = Pooling(128, "mean")

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.words(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled: torch.Tensor = self.pooling({"token_embeddings": states, "attention_mask": attention_mask})[
            "sentence_embedding"
        ]
        return pooled


def mamba() -> nn.Module:
    from mambapy.mamba import Mamba, MambaConfig

    return Mamba(MambaConfig(d_model=64, n_layers=2))


TEXT = named(input_ids=tokens(), attention_mask=lambda: torch.ones(1, 64, dtype=torch.long))

PACKAGES = {
    "x-transformers": [
        Model(decoder, tokens()),
        Model(encoder_with_relative_positions, tokens()),
        Model(vision_transformer, image(128)),
    ],
    "peft": [Model(low_rank_adapters, TEXT), Model(scaled_activations, TEXT), Model(prompt_tuning, TEXT)],
    "linformer": [
        Model(made("linformer:Linformer", dim=256, seq_len=256, depth=4, heads=4, k=64), floats(1, 256, 256)),
        Model(
            made("linformer:LinformerLM", num_tokens=1000, dim=256, seq_len=256, depth=4, heads=4, k=64), tokens(256)
        ),
    ],
    "performer-pytorch": [
        Model(
            made("performer_pytorch:PerformerLM", num_tokens=1000, max_seq_len=256, dim=256, depth=2, heads=4),
            tokens(256),
        ),
        Model(
            made(
                "performer_pytorch:PerformerLM",
                num_tokens=1000,
                max_seq_len=256,
                dim=256,
                depth=2,
                heads=4,
                local_attn_heads=2,
                local_window_size=64,
            ),
            tokens(256),
            name="PerformerLM with local attention",
        ),
    ],
    "reformer-pytorch": [
        Model(
            made(
                "reformer_pytorch:ReformerLM",
                num_tokens=1000,
                dim=128,
                depth=2,
                max_seq_len=256,
                heads=4,
                bucket_size=16,
                n_hashes=2,
                causal=True,
            ),
            tokens(256),
            executes=False,
        )
    ],
    "perceiver-pytorch": [
        Model(
            made(
                "perceiver_pytorch:Perceiver",
                input_channels=3,
                input_axis=2,
                num_freq_bands=6,
                max_freq=10.0,
                depth=2,
                num_latents=64,
                latent_dim=128,
                num_classes=10,
            ),
            floats(1, 64, 64, 3),
        ),
        Model(
            made("perceiver_pytorch:PerceiverIO", dim=32, queries_dim=32, depth=2, num_latents=64, latent_dim=128),
            several(floats(1, 256, 32)),
        ),
    ],
    "local-attention": [
        Model(
            made(
                "local_attention.transformer:LocalTransformer",
                num_tokens=1000,
                dim=128,
                depth=2,
                max_seq_len=256,
                causal=True,
                local_attn_window_size=64,
            ),
            tokens(256),
        )
    ],
    "nystrom-attention": [
        Model(
            made("nystrom_attention:Nystromformer", dim=128, depth=2, heads=4, dim_head=32, num_landmarks=32),
            floats(1, 256, 128),
        )
    ],
    "g-mlp-pytorch": [
        Model(made("g_mlp_pytorch:gMLP", num_tokens=1000, dim=128, depth=4, seq_len=64), tokens()),
        Model(
            made("g_mlp_pytorch:gMLPVision", image_size=128, patch_size=16, num_classes=10, dim=128, depth=4),
            image(128),
        ),
    ],
    "axial-attention": [
        Model(
            made("axial_attention:AxialAttention", dim=32, dim_index=1, heads=4, num_dimensions=2),
            floats(1, 32, 32, 32),
        ),
        Model(made("axial_attention:AxialImageTransformer", dim=32, depth=2, reversible=False), floats(1, 32, 16, 16)),
    ],
    "h-transformer-1d": [
        Model(
            made(
                "h_transformer_1d:HTransformer1D",
                num_tokens=1000,
                dim=128,
                depth=2,
                max_seq_len=256,
                heads=4,
                block_size=32,
            ),
            tokens(256),
        )
    ],
    "routing-transformer": [
        Model(
            made(
                "routing_transformer:RoutingTransformerLM",
                num_tokens=1000,
                dim=128,
                heads=4,
                depth=2,
                max_seq_len=256,
                window_size=64,
                causal=True,
            ),
            tokens(256),
            executes=False,
        )
    ],
    "megabyte-pytorch": [
        Model(
            made(
                "MEGABYTE_pytorch:MEGABYTE",
                num_tokens=256,
                dim=(128, 64),
                depth=(2, 2),
                max_seq_len=(64, 4),
                heads=4,
                dim_head=32,
                flash_attn=True,
            ),
            tokens(256),
        )
    ],
    "st-moe-pytorch": [
        Model(made("st_moe_pytorch:MoE", dim=128, num_experts=8, gating_top_n=2), floats(1, 64, 128), executes=False)
    ],
    "soft-moe-pytorch": [
        Model(made("soft_moe_pytorch:SoftMoE", dim=128, seq_len=64, num_experts=4), floats(1, 64, 128))
    ],
    "mixture-of-experts": [
        Model(made("mixture_of_experts:MoE", dim=128, num_experts=8), floats(1, 64, 128), executes=False),
        Model(
            made("mixture_of_experts:HeirarchicalMoE", dim=128, num_experts=(2, 2)), floats(1, 64, 128), executes=False
        ),
    ],
    "gateloop-transformer": [
        Model(
            made("gateloop_transformer:Transformer", num_tokens=256, dim=128, depth=2, use_gate_looped_attn=True),
            tokens(),
        )
    ],
    "titans-pytorch": [
        Model(made("titans_pytorch:NeuralMemory", dim=64, chunk_size=16), floats(1, 64, 64), executes=False),
        Model(
            made(
                "titans_pytorch:MemoryAsContextTransformer",
                num_tokens=256,
                dim=64,
                depth=2,
                segment_len=32,
                num_persist_mem_tokens=4,
                num_longterm_mem_tokens=4,
            ),
            tokens(),
            executes=False,
        ),
    ],
    "agent-attention-pytorch": [
        Model(
            made(
                "agent_attention_pytorch:AgentTransformer", dim=128, depth=2, num_agent_tokens=16, heads=4, dim_head=32
            ),
            floats(1, 256, 128),
        )
    ],
    "taylor-series-linear-attention": [
        Model(
            made("taylor_series_linear_attention:TaylorSeriesLinearAttn", dim=128, dim_head=16, heads=4),
            floats(1, 64, 128),
        )
    ],
    "palm-rlhf-pytorch": [
        Model(made("palm_rlhf_pytorch:PaLM", num_tokens=1000, dim=128, depth=2, flash_attn=True), tokens())
    ],
    "coca-pytorch": [
        Model(
            made(
                "coca_pytorch.coca_pytorch:CoCa",
                dim=128,
                num_tokens=1000,
                unimodal_depth=2,
                multimodal_depth=2,
                num_img_queries=16,
                dim_head=32,
                heads=4,
            ),
            named(text=tokens(), image_tokens=floats(1, 64, 128)),
        )
    ],
    "flamingo-pytorch": [
        Model(
            made("flamingo_pytorch:PerceiverResampler", dim=128, depth=2, dim_head=32, heads=4, num_media_embeds=2),
            floats(1, 2, 64, 128),
        ),
        Model(
            made("flamingo_pytorch:GatedCrossAttentionBlock", dim=128, dim_head=32, heads=4),
            lambda: (torch.rand(1, 64, 128), torch.rand(1, 2, 16, 128), (torch.arange(64) % 32 == 0)[None]),
        ),
    ],
    "x-clip": [
        Model(
            made(
                "x_clip:CLIP",
                dim_text=128,
                dim_image=128,
                dim_latent=64,
                num_text_tokens=1000,
                text_enc_depth=2,
                text_seq_len=64,
                text_heads=4,
                visual_enc_depth=2,
                visual_heads=4,
                visual_image_size=128,
                visual_patch_dropout=0.0,
            ),
            several(tokens(), image(128)),
        )
    ],
    "sentence-transformers": [Model(SentenceEmbedding, TEXT, name="mean of BERT")],
    "mambapy": [Model(mamba, floats(1, 32, 64), name="Mamba")],
}
