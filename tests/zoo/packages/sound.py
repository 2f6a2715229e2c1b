"""Packages with models of sound and speech."""

from __future__ import annotations

import torch
from torch import nn

from tests.zoo.packages.examples import floats, several, tokens
from tests.zoo.packages.model import Model, made


def encodec() -> nn.Module:
    from encodec import EncodecModel
    from encodec.modules import SEANetDecoder, SEANetEncoder
    from encodec.quantization import ResidualVectorQuantizer

    encoder, decoder = (each(n_filters=8, dimension=32) for each in (SEANetEncoder, SEANetDecoder))
    return EncodecModel(encoder, decoder, ResidualVectorQuantizer(32, n_q=4, bins=64), [6.0], 24000, 1)


def whisper() -> nn.Module:
    from whisper.model import ModelDimensions, Whisper

    model = Whisper(ModelDimensions(80, 100, 64, 4, 2, 1000, 32, 64, 4, 2))
    nn.init.normal_(model.decoder.positional_embedding)  # else it is whatever lay in memory
    return model


PACKAGES = {
    "conformer": [Model(made("conformer:Conformer", dim=128, depth=2, dim_head=32, heads=4), floats(1, 128, 128))],
    "speechbrain": [
        Model(
            made(
                "speechbrain.lobes.models.ECAPA_TDNN:ECAPA_TDNN",
                80,
                channels=[64, 64, 64, 64, 192],
                attention_channels=32,
                lin_neurons=64,
            ),
            floats(1, 100, 80),
        ),
        Model(
            made("speechbrain.lobes.models.CRDNN:CRDNN", input_size=40, rnn_layers=1, rnn_neurons=64), floats(1, 64, 40)
        ),
        Model(made("speechbrain.lobes.models.conv_tasnet:MaskNet", 32, 32, 64, 3, 3, 2, 2), floats(1, 32, 100)),
        Model(
            made(
                "speechbrain.lobes.models.transformer.TransformerASR:TransformerASR",
                100,
                input_size=80,
                d_model=64,
                nhead=4,
                num_encoder_layers=2,
                num_decoder_layers=1,
                d_ffn=128,
                encoder_module="conformer",
                attention_type="RelPosMHAXL",
                normalize_before=True,
                causal=False,
            ),
            lambda: (torch.rand(1, 64, 80), torch.arange(1, 11)[None]),
        ),
    ],
    "BS-RoFormer": [
        Model(
            made("bs_roformer:BSRoformer", dim=32, depth=1, time_transformer_depth=1, freq_transformer_depth=1),
            floats(1, 11264),
        )
    ],
    "encodec": [Model(encodec, floats(1, 1, 4800), name="EncodecModel")],
    "openai-whisper": [Model(whisper, several(floats(1, 80, 200), tokens(16)), name="Whisper")],
}
