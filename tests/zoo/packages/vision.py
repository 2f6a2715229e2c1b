"""Packages with models of images."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.zoo.packages.examples import floats, image, several, tokens
from tests.zoo.packages.model import Model, made


def contrastive_residual_network() -> nn.Module:
    from open_clip import CLIP

    vision = {"image_size": 128, "layers": (1, 1, 1, 1), "width": 32}
    text = {"context_length": 32, "vocab_size": 1000, "width": 128, "heads": 4, "layers": 2}
    return CLIP(embed_dim=128, vision_cfg=vision, text_cfg=text)


def contrastive_captioner() -> nn.Module:
    from open_clip import CoCa

    vision = {
        "image_size": 96,
        "patch_size": 16,
        "width": 128,
        "layers": 2,
        "attentional_pool": True,
        "output_tokens": True,
    }
    text = {
        "context_length": 32,
        "vocab_size": 1000,
        "width": 128,
        "heads": 4,
        "layers": 2,
        "embed_cls": True,
        "output_tokens": True,
    }
    decoder = {"context_length": 32, "vocab_size": 1000, "width": 128, "heads": 4, "layers": 2}
    return CoCa(embed_dim=128, multimodal_cfg=decoder, text_cfg=text, vision_cfg=vision)


def segment_anything() -> nn.Module:
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    return Sam(
        ImageEncoderViT(img_size=128, embed_dim=96, depth=2, num_heads=4, out_chans=32),
        PromptEncoder(embed_dim=32, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_chans=16),
        MaskDecoder(transformer_dim=32, transformer=TwoWayTransformer(2, 32, 4, 64)),
    )


def boxes_of_an_image() -> tuple[list[dict[str, Any]], bool]:
    box = torch.tensor([[16.0, 16.0, 64.0, 64.0]])
    return [{"image": torch.rand(3, 128, 128), "original_size": (128, 128), "boxes": box}], True


class IntegratedGradients(nn.Module):
    """Gradients of a small network along a path to its input, in eight steps."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7200, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        from captum.attr import IntegratedGradients

        with torch.enable_grad():
            attributed: torch.Tensor = IntegratedGradients(self.network).attribute(x, target=3, n_steps=8)
        return attributed


PACKAGES = {
    "vit-pytorch": [
        Model(
            made(
                "vit_pytorch:ViT",
                image_size=224,
                patch_size=32,
                num_classes=1000,
                dim=384,
                depth=6,
                heads=6,
                mlp_dim=1024,
            ),
            image(),
        ),
        Model(
            made(
                "vit_pytorch.max_vit:MaxViT", num_classes=1000, dim_conv_stem=32, dim=48, dim_head=16, depth=(1, 1, 2)
            ),
            image(),
        ),
        Model(made("vit_pytorch.cct:cct_7", img_size=64, n_conv_layers=1, num_classes=10), image(64)),
        Model(
            made(
                "vit_pytorch.xcit:XCiT",
                image_size=128,
                patch_size=16,
                num_classes=1000,
                dim=192,
                depth=4,
                cls_depth=2,
                heads=4,
                mlp_dim=384,
            ),
            image(128),
        ),
    ],
    "segmentation-models-pytorch": [
        Model(made("segmentation_models_pytorch:Unet", "resnet18", encoder_weights=None), image()),
        Model(made("segmentation_models_pytorch:DeepLabV3Plus", "mobilenet_v2", encoder_weights=None), image()),
        Model(made("segmentation_models_pytorch:MAnet", "resnet18", encoder_weights=None), image(128)),
        Model(made("segmentation_models_pytorch:Segformer", "mit_b0", encoder_weights=None), image(128)),
    ],
    "open_clip_torch": [
        Model(made("open_clip:create_model", "ViT-S-32-alt"), several(image(), tokens(77)), name="CLIP"),
        Model(contrastive_residual_network, several(image(128), tokens(32))),
        Model(contrastive_captioner, several(image(96), tokens(31))),
    ],
    "kornia": [
        Model(made("kornia.models.dexined:DexiNed", pretrained=False), image(64)),
        Model(made("kornia.feature:HardNet", pretrained=False), image(32, 1)),
        Model(made("kornia.models.vit_mobile:MobileViT"), image(256)),
        Model(made("kornia.models.tiny_vit:TinyViT"), image()),
    ],
    "efficientnet-pytorch": [
        Model(made("efficientnet_pytorch:EfficientNet.from_name", "efficientnet-b0"), image(), name="EfficientNet")
    ],
    "facenet-pytorch": [Model(made("facenet_pytorch:InceptionResnetV1"), image(160))],
    "mlp-mixer-pytorch": [
        Model(
            made(
                "mlp_mixer_pytorch:MLPMixer",
                image_size=128,
                channels=3,
                patch_size=16,
                dim=128,
                depth=4,
                num_classes=10,
            ),
            image(128),
        )
    ],
    "halonet-pytorch": [
        Model(
            made("halonet_pytorch:HaloAttention", dim=64, block_size=8, halo_size=4, dim_head=16, heads=4),
            image(32, 64),
        )
    ],
    "lambda-networks": [
        Model(made("lambda_networks:LambdaLayer", dim=32, dim_out=32, r=23, dim_k=16, heads=4, dim_u=4), image(32, 32)),
        Model(
            made("lambda_networks:LambdaLayer", dim=32, dim_out=32, n=16, dim_k=16, heads=4, dim_u=1),
            image(16, 32),
            name="global LambdaLayer",
        ),
    ],
    "bottleneck-transformer-pytorch": [
        Model(
            made(
                "bottleneck_transformer_pytorch:BottleStack",
                dim=64,
                fmap_size=32,
                dim_out=128,
                proj_factor=4,
                downsample=True,
                heads=4,
                dim_head=16,
            ),
            image(32, 64),
        )
    ],
    "glom-pytorch": [Model(made("glom_pytorch:Glom", dim=64, levels=4, image_size=64, patch_size=8), image(64))],
    "slot-attention": [
        Model(made("slot_attention:SlotAttention", num_slots=5, dim=64), floats(1, 256, 64), executes=False)
    ],
    "deformable-attention": [
        Model(
            made("deformable_attention:DeformableAttention", dim=64, dim_head=16, heads=4, downsample_factor=4),
            image(32, 64),
        )
    ],
    "uformer-pytorch": [
        Model(
            made("uformer_pytorch:Uformer", dim=16, stages=2, num_blocks=2, window_size=8, dim_head=16, heads=2),
            image(64),
        )
    ],
    "ultralytics": [
        Model(made("ultralytics.nn.tasks:DetectionModel", "yolov8n.yaml", verbose=False), image(320), name="YOLOv8n"),
        Model(made("ultralytics.nn.tasks:DetectionModel", "yolo11n.yaml", verbose=False), image(320), name="YOLO11n"),
        Model(
            made("ultralytics.nn.tasks:SegmentationModel", "yolov8n-seg.yaml", verbose=False),
            image(320),
            name="YOLOv8n-seg",
        ),
        Model(
            made("ultralytics.nn.tasks:RTDETRDetectionModel", "rtdetr-l.yaml", verbose=False),
            image(320),
            name="RT-DETR-l",
            executes=False,
        ),
    ],
    "spandrel": [
        Model(made("spandrel.architectures.ESRGAN.__arch.RRDB:RRDBNet", num_filters=32, num_blocks=3), image(32)),
        Model(
            made(
                "spandrel.architectures.SwinIR.__arch.SwinIR:SwinIR",
                img_size=32,
                embed_dim=48,
                depths=[2, 2],
                num_heads=[4, 4],
                window_size=8,
                upscale=2,
                upsampler="pixelshuffledirect",
            ),
            image(32),
        ),
        Model(
            made("spandrel.architectures.NAFNet.__arch.NAFNet_arch:NAFNet", enc_blk_nums=[1, 1], dec_blk_nums=[1, 1]),
            image(64),
        ),
        Model(made("spandrel.architectures.SPAN.__arch.span:SPAN", num_in_ch=3, num_out_ch=3), image(32)),
    ],
    "segment-anything": [
        Model(
            made(
                "segment_anything.modeling:ImageEncoderViT",
                img_size=128,
                embed_dim=96,
                depth=2,
                num_heads=4,
                out_chans=32,
                use_rel_pos=True,
                window_size=4,
                global_attn_indexes=(1,),
            ),
            image(128),
        ),
        Model(segment_anything, boxes_of_an_image, name="Sam"),
    ],
    "captum": [Model(IntegratedGradients, image(32))],
    "pytorch-metric-learning": [
        Model(
            made("pytorch_metric_learning.losses:ArcFaceLoss", 100, 64), lambda: (torch.rand(16, 64), torch.arange(16))
        ),
        Model(made("pytorch_metric_learning.losses:NTXentLoss"), lambda: (torch.rand(16, 64), torch.arange(16) % 4)),
    ],
    "lpips": [
        Model(
            made("lpips:LPIPS", net="alex", pnet_rand=True, pretrained=False, verbose=False),
            several(image(64), image(64)),
        )
    ],
    "piq": [
        Model(made("piq:MultiScaleSSIMLoss"), several(image(256), image(256))),
        Model(made("piq:GMSDLoss"), several(image(64), image(64))),
    ],
    "pytorch-msssim": [Model(made("pytorch_msssim:MS_SSIM", data_range=1.0), several(image(256), image(256)))],
    "x-unet": [
        Model(
            made(
                "x_unet:XUnet",
                dim=16,
                dim_mults=(1, 2),
                num_blocks_per_stage=(1, 1),
                num_self_attn_per_stage=(0, 1),
                nested_unet_depths=(2, 1),
            ),
            image(64),
        )
    ],
    "resnest": [Model(made("resnest.torch:resnest50"), image(128))],
    "pytorchcv": [
        Model(made("pytorchcv.model_provider:get_model", "shufflenetv2_wd2"), image(), name="ShuffleNetV2"),
        Model(made("pytorchcv.model_provider:get_model", "ghostnet"), image(), name="GhostNet"),
        Model(
            made(
                "pytorchcv.model_provider:get_model",
                "icnet_resnetd50b_cityscapes",
                pretrained_backbone=False,
                in_size=(128, 128),
            ),
            image(128),
            name="ICNet",
        ),
        Model(
            made("pytorchcv.model_provider:get_model", "lwopenpose2d_mobilenet_cmupan_coco"),
            image(128),
            name="lightweight OpenPose",
        ),
    ],
}
