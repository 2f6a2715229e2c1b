"""Architectures of transformers at the sizes of their default configurations, and some of the largest published ones.

No hub is asked: a configuration makes the model, on the meta device.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

os.environ["HF_HUB_OFFLINE"] = "1"
import transformers
from transformers import PretrainedConfig

from tests.zoo.entry import Entry
from tests.zoo.transformers_inputs import (
    boxes,
    caption,
    frames,
    grid,
    image,
    mono,
    patches,
    picture_book,
    spectrogram,
    text,
    tokens,
    trajectory,
    two_texts,
    waveform,
)

transformers.logging.set_verbosity_error()


@dataclass(frozen=True)
class Architecture:
    """A model class and its inputs."""

    model: str
    inputs: Callable[[PretrainedConfig], Mapping[str, Any]] = text
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the default configuration: the sizes of a published model, or what makes it consistent."""
    name: str = ""
    """The entry's name, where it is not the class's."""
    needs_data: bool = False

    def configuration(self) -> PretrainedConfig:
        return getattr(transformers, self.model).config_class(**self.changes)

    def build(self) -> nn.Module:
        made: nn.Module = getattr(transformers, self.model)(self.configuration())
        return made

    def example(self, model: nn.Module) -> Mapping[str, Any]:
        return self.inputs(model.config)


def each(names: str, inputs: Callable[[PretrainedConfig], Mapping[str, Any]]) -> list[Architecture]:
    return [Architecture(name, inputs) for name in names.split()]


EXECUTED = {
    "ASTForAudioClassification",
    "BertModel",
    "CLIPModel",
    "DebertaModel",
    "DetrForObjectDetection",
    "DistilBertModel",
    "GPT2LMHeadModel",
    "MambaForCausalLM",
    "Mixtral, small",
    "OPTForCausalLM",
    "Qwen2-VL, small",
    "ResNetForImageClassification",
    "SwinForImageClassification",
    "T5ForConditionalGeneration",
    "ViTForImageClassification",
    "Wav2Vec2ForCTC",
    "WhisperForConditionalGeneration",
}

ARCHITECTURES: dict[str, list[Architecture]] = {
    "encoders": [
        *each(
            "AlbertModel BertModel BigBirdModel CanineModel ConvBertModel DebertaModel DebertaV2Model "
            "DistilBertModel ElectraModel ErnieModel EuroBertModel FNetModel FunnelModel IBertModel LayoutLMModel "
            "LongformerModel LukeModel MegatronBertModel MobileBertModel ModernBertModel MPNetModel NomicBertModel "
            "NystromformerModel RemBertModel RobertaModel RoFormerModel SplinterModel SqueezeBertModel XLMModel "
            "XLMRobertaModel XLNetModel YosoModel JinaEmbeddingsV3Model MraModel ReformerModel FlaubertModel "
            "TapasModel",
            text,
        ),
        Architecture("EsmModel", changes={"vocab_size": 33, "pad_token_id": 1}),
    ],
    "decoders": [
        *each(
            "ArceeForCausalLM BioGptForCausalLM BloomForCausalLM CodeGenForCausalLM CohereForCausalLM "
            "Cohere2ForCausalLM CTRLLMHeadModel Ernie4_5ForCausalLM Exaone4ForCausalLM FalconForCausalLM "
            "Gemma2ForCausalLM Gemma3ForCausalLM GemmaForCausalLM GlmForCausalLM Glm4ForCausalLM GPT2LMHeadModel "
            "GPTBigCodeForCausalLM GPTJForCausalLM GPTNeoForCausalLM GPTNeoXForCausalLM GraniteForCausalLM "
            "HeliumForCausalLM LlamaForCausalLM MistralForCausalLM MptForCausalLM OlmoForCausalLM Olmo2ForCausalLM "
            "Olmo3ForCausalLM OPTForCausalLM PersimmonForCausalLM PhiForCausalLM Phi3ForCausalLM Qwen2ForCausalLM "
            "Qwen3ForCausalLM SeedOssForCausalLM SmolLM3ForCausalLM StableLmForCausalLM Starcoder2ForCausalLM "
            "XGLMForCausalLM ApertusForCausalLM Gemma3nForCausalLM DiffLlamaForCausalLM OpenAIGPTLMHeadModel "
            "NanoChatForCausalLM",
            text,
        ),
        Architecture("NemotronForCausalLM", changes={"num_key_value_heads": 48}),
        Architecture(
            "LlamaForCausalLM",
            changes={
                "hidden_size": 16384,
                "intermediate_size": 53248,
                "num_hidden_layers": 126,
                "num_attention_heads": 128,
                "num_key_value_heads": 8,
                "vocab_size": 128256,
                "max_position_embeddings": 131072,
                "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
            },
            name="Llama-3.1-405B",
        ),
        Architecture(
            "Qwen2ForCausalLM",
            changes={
                "hidden_size": 8192,
                "intermediate_size": 29568,
                "num_hidden_layers": 80,
                "num_attention_heads": 64,
                "num_key_value_heads": 8,
                "vocab_size": 152064,
            },
            name="Qwen2.5-72B",
        ),
    ],
    "mixtures of experts": [
        *each(
            "DeepseekV3ForCausalLM Ernie4_5_MoeForCausalLM Glm4MoeForCausalLM GptOssForCausalLM "
            "GraniteMoeForCausalLM Llama4ForCausalLM MiniMaxForCausalLM MixtralForCausalLM OlmoeForCausalLM "
            "PhimoeForCausalLM Qwen2MoeForCausalLM Qwen3MoeForCausalLM FlexOlmoForCausalLM AfmoeForCausalLM",
            text,
        ),
        Architecture("DeepseekV2ForCausalLM", changes={"num_experts_per_tok": 6, "n_group": 8, "topk_group": 3}),
        Architecture("JetMoeForCausalLM", changes={"num_hidden_layers": 2}, needs_data=True),
        Architecture("SwitchTransformersForConditionalGeneration", two_texts, {"num_layers": 4}, needs_data=True),
        Architecture(
            "NllbMoeForConditionalGeneration",
            two_texts,
            {"num_experts": 4, "encoder_layers": 4, "decoder_layers": 4},
            needs_data=True,
        ),
        Architecture(
            "MixtralForCausalLM",
            changes={
                "hidden_size": 6144,
                "intermediate_size": 16384,
                "num_hidden_layers": 56,
                "num_attention_heads": 48,
                "num_key_value_heads": 8,
                "vocab_size": 32768,
            },
            name="Mixtral-8x22B",
        ),
        Architecture(
            "Qwen3MoeForCausalLM",
            changes={
                "hidden_size": 4096,
                "intermediate_size": 12288,
                "moe_intermediate_size": 1536,
                "num_hidden_layers": 94,
                "num_attention_heads": 64,
                "num_key_value_heads": 4,
                "num_experts": 128,
                "vocab_size": 151936,
                "head_dim": 128,
            },
            name="Qwen3-235B-A22B",
        ),
        Architecture(
            "MixtralForCausalLM",
            changes={"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "vocab_size": 1000},
            name="Mixtral, small",
        ),
    ],
    "state space and recurrent": [
        *each(
            "FalconH1ForCausalLM FalconMambaForCausalLM JambaForCausalLM KimiLinearForCausalLM Lfm2ForCausalLM "
            "MambaForCausalLM Mamba2ForCausalLM NemotronHForCausalLM OlmoHybridForCausalLM Qwen3NextForCausalLM "
            "RecurrentGemmaForCausalLM RwkvForCausalLM xLSTMForCausalLM ZambaForCausalLM Zamba2ForCausalLM",
            text,
        ),
        Architecture("BambaForCausalLM", changes={"attn_layer_indices": [9, 18, 27]}),
        Architecture("GraniteMoeHybridForCausalLM", changes={"layer_types": ["mamba", "attention"] * 16}),
    ],
    "encoder-decoders": [
        *each(
            "BartForConditionalGeneration BigBirdPegasusForConditionalGeneration BlenderbotForConditionalGeneration "
            "BlenderbotSmallForConditionalGeneration FSMTForConditionalGeneration LEDForConditionalGeneration "
            "LongT5ForConditionalGeneration M2M100ForConditionalGeneration MarianMTModel "
            "MBartForConditionalGeneration MT5ForConditionalGeneration MvpForConditionalGeneration "
            "PegasusForConditionalGeneration PegasusXForConditionalGeneration PLBartForConditionalGeneration "
            "ProphetNetForConditionalGeneration T5ForConditionalGeneration T5GemmaForConditionalGeneration "
            "UMT5ForConditionalGeneration",
            two_texts,
        )
    ],
    "vision": [
        *each(
            "BeitForImageClassification BitForImageClassification ConvNextForImageClassification "
            "ConvNextV2ForImageClassification CvtForImageClassification Data2VecVisionForImageClassification "
            "DeiTForImageClassification Dinov2ForImageClassification DINOv3ViTModel DPTForDepthEstimation "
            "EfficientNetForImageClassification FocalNetForImageClassification GLPNForDepthEstimation "
            "HGNetV2ForImageClassification HieraForImageClassification IJepaForImageClassification "
            "LevitForImageClassification MobileNetV1ForImageClassification MobileNetV2ForImageClassification "
            "MobileViTForImageClassification MobileViTV2ForImageClassification PoolFormerForImageClassification "
            "PvtForImageClassification PvtV2ForImageClassification RegNetForImageClassification "
            "ResNetForImageClassification SegformerForSemanticSegmentation SiglipForImageClassification "
            "SwiftFormerForImageClassification SwinForImageClassification Swinv2ForImageClassification "
            "TextNetForImageClassification ViTForImageClassification ViTMAEForPreTraining "
            "ViTMSNForImageClassification VitDetModel DepthAnythingForDepthEstimation Swin2SRForImageSuperResolution "
            "SamVisionModel UperNetForSemanticSegmentation",
            image,
        ),
        *each("TimesformerForVideoClassification VideoMAEForVideoClassification VivitForVideoClassification", frames),
        *each(
            "ConditionalDetrForObjectDetection DabDetrForObjectDetection DeformableDetrForObjectDetection "
            "DetrForObjectDetection DFineForObjectDetection RTDetrForObjectDetection RTDetrV2ForObjectDetection "
            "YolosForObjectDetection Mask2FormerModel MaskFormerModel TableTransformerForObjectDetection",
            functools.partial(image, size=512),
        ),
        Architecture("SamModel", lambda config: image(config.vision_config)),
        Architecture("SuperPointForKeypointDetection", image, needs_data=True),
        Architecture("VitPoseForPoseEstimation", functools.partial(image, size=(256, 192))),
    ],
    "audio": [
        *each(
            "Data2VecAudioModel HubertModel SEWModel SEWDModel UniSpeechModel UniSpeechSatModel Wav2Vec2ForCTC "
            "Wav2Vec2ConformerModel WavLMModel",
            waveform,
        ),
        Architecture("DacModel", mono),
        Architecture("EncodecModel", mono, needs_data=True),
        Architecture("MimiModel", mono, needs_data=True),
        Architecture("ASTForAudioClassification", lambda config: {"input_values": torch.rand(1, 1024, 128)}),
        Architecture("ClapModel", lambda config: {**text(config), "input_features": torch.rand(1, 1, 1001, 64)}),
        Architecture(
            "MoonshineForConditionalGeneration", lambda config: {**waveform(config), "decoder_input_ids": tokens()}
        ),
        Architecture("MusicgenForCausalLM", lambda config: {"input_ids": tokens().expand(config.num_codebooks, -1)}),
        Architecture("ParakeetForCTC", lambda config: spectrogram(400, config.encoder_config.num_mel_bins)),
        Architecture(
            "Speech2TextForConditionalGeneration",
            lambda config: {**spectrogram(400, 80), "decoder_input_ids": tokens()},
        ),
        Architecture("SpeechT5ForSpeechToText", lambda config: {**waveform(config), "decoder_input_ids": tokens()}),
        Architecture("VitsModel", text, needs_data=True),
        Architecture("Wav2Vec2BertModel", lambda config: spectrogram(200, 160)),
        Architecture(
            "WhisperForConditionalGeneration",
            lambda config: {"input_features": torch.rand(1, 80, 3000), "decoder_input_ids": tokens()},
        ),
    ],
    "multimodal": [
        *each(
            "AlignModel AltCLIPModel BlipModel BridgeTowerModel ChineseCLIPModel CLIPModel CLIPSegModel "
            "GroupViTModel MetaClip2Model SiglipModel",
            caption,
        ),
        *each("Owlv2Model OwlViTModel", functools.partial(caption, length=16)),
        *each("GitForCausalLM", caption),
        Architecture("BlipForConditionalGeneration", caption),
        Architecture(
            "Blip2ForConditionalGeneration", functools.partial(picture_book, features=32), {"image_token_index": 50265}
        ),
        Architecture("FlavaModel", lambda config: {**text(config), **image(config.image_config)}),
        Architecture(
            "Gemma3ForConditionalGeneration",
            functools.partial(picture_book, features=256),
            {"vision_config": {"image_size": 896, "patch_size": 14}},
        ),
        Architecture("InternVLForConditionalGeneration", functools.partial(picture_book, features=256)),
        Architecture("LlavaForConditionalGeneration", functools.partial(picture_book, features=576)),
        Architecture("LxmertModel", boxes),
        Architecture("PaliGemmaForConditionalGeneration", functools.partial(picture_book, features=256)),
        Architecture(
            "PerceiverForImageClassificationLearned",
            lambda config: {"inputs": torch.rand(1, 3, 224, 224)},
            {"image_size": 224},
        ),
        Architecture("Pix2StructForConditionalGeneration", patches, needs_data=True),
        Architecture("Qwen2VLForConditionalGeneration", grid, {"vision_config": {"hidden_size": 8192}}),
        Architecture(
            "Qwen2VLForConditionalGeneration",
            grid,
            {
                "image_token_id": 999,
                "text_config": {
                    "hidden_size": 256,
                    "intermediate_size": 512,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 4,
                    "num_key_value_heads": 2,
                    "vocab_size": 1000,
                    "rope_parameters": {"rope_type": "default", "mrope_section": [8, 12, 12]},
                },
                "vision_config": {"hidden_size": 256, "embed_dim": 128, "depth": 2, "num_heads": 4},
            },
            name="Qwen2-VL, small",
        ),
        Architecture("Qwen2_5_VLForConditionalGeneration", grid, {"vision_config": {"out_hidden_size": 8192}}),
        Architecture("Qwen3VLForConditionalGeneration", grid, {"vision_config": {"out_hidden_size": 4096}}),
        Architecture("Qwen3VLMoeForConditionalGeneration", grid, {"vision_config": {"out_hidden_size": 2048}}),
        Architecture("ViltModel", lambda config: {**text(config, 40), **image(config)}, needs_data=True),
        Architecture("VisualBertModel", text),
    ],
    "time series and others": [
        Architecture("DecisionTransformerModel", trajectory),
        Architecture(
            "PatchTSTForPrediction",
            lambda config: {"past_values": torch.rand(1, config.context_length, config.num_input_channels)},
        ),
    ],
}


def entries() -> list[Entry]:
    return [entry(kind, each_one) for kind, members in ARCHITECTURES.items() for each_one in members]


def entry(kind: str, architecture: Architecture) -> Entry:
    name = architecture.name or architecture.model
    return Entry(
        "transformers",
        kind,
        name,
        build=architecture.build,
        example=architecture.example,
        needs_data=architecture.needs_data,
        executes=name in EXECUTED,
    )
