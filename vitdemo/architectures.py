"""Architectures that timm has all the parts of but no name for; importing this module registers them with timm.

After `import vitdemo.architectures`, `timm.create_model("vit_resnet_tiny", num_classes=5, **arguments)` works as for
any other name.
"""

from __future__ import annotations

from functools import partial

import timm
from timm.data import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
)
from timm.layers import HybridEmbed
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from vitdemo.transformers_format import bodies  # noqa: F401  registers its own, too

default_cfgs = generate_default_cfgs(
    {
        "vit_lite0_tiny.untrained": {
            "url": "",
            "num_classes": 1000,
            "input_size": (3, 192, 192),
            "fixed_input_size": True,
            "pool_size": None,
            "crop_pct": 0.9,
            "interpolation": "bicubic",
            "mean": IMAGENET_INCEPTION_MEAN,
            "std": IMAGENET_INCEPTION_STD,
            "first_conv": "patch_embed.backbone.conv_stem",
            "classifier": "head",
        },
        "vit_resnet_tiny.untrained": {
            "url": "",
            "num_classes": 1000,
            "input_size": (3, 128, 128),
            "fixed_input_size": True,
            "pool_size": None,
            "crop_pct": 0.9,
            "interpolation": "bicubic",
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "first_conv": "patch_embed.backbone.conv1.0",
            "classifier": "head",
        },
    }
)


@register_model
def vit_resnet_tiny(
    pretrained: bool = False,
    stem_layers: tuple[int, int, int] = (2, 2, 2),
    stem_channels: tuple[int, int, int] = (40, 80, 160),
    stem_width: int = 24,
    **kwargs,
) -> VisionTransformer:
    """A ViT on the feature map of the first three stages of a ResNet-T: the hybrid of Dosovitskiy et al. 2021, 3.1.

    The stem has stride 16: a picture of 128 px becomes 8 x 8 tokens, and one class token is read out.

    Args:
        pretrained: kept for timm's signature; there are no weights to fetch under this name.
        stem_layers: basic blocks in each of the three stages.
        stem_channels: channels of each of the three stages.
        stem_width: channels of the three-convolution stem, as timm's `stem_width`.
        **kwargs: of timm's VisionTransformer (img_size, embed_dim, depth, num_heads, drop_path_rate, ...).
    """
    stem = timm.create_model(
        "resnet18",
        features_only=True,
        out_indices=(3,),  # stride 16; timm drops the fourth stage: its numbers below do not matter
        layers=(*stem_layers, 1),
        channels=(*stem_channels, 8),
        stem_width=stem_width,
        stem_type="deep_tiered",
        avg_down=True,
        in_chans=kwargs.get("in_chans", 3),
    )
    return _on(stem, "vit_resnet_tiny", pretrained, {"img_size": 128, "depth": 5} | kwargs)


@register_model
def vit_lite0_tiny(pretrained: bool = False, **kwargs) -> VisionTransformer:
    """A ViT on the feature map of the first four stages of EfficientNet-Lite0, whose stride is 16.

    A picture of 192 px becomes 12 x 12 tokens, and one class token is read out.

    Args:
        pretrained: kept for timm's signature; there are no weights to fetch under this name.
        **kwargs: of timm's VisionTransformer (img_size, embed_dim, depth, num_heads, drop_path_rate, ...).
    """
    stem = timm.create_model(
        "tf_efficientnet_lite0", features_only=True, out_indices=(3,), in_chans=kwargs.get("in_chans", 3)
    )
    del stem.blocks[5:]  # what lies behind stride 16; timm leaves it in place and computes it
    return _on(stem, "vit_lite0_tiny", pretrained, {"img_size": 192, "depth": 4} | kwargs)


def _on(stem: nn.Module, name: str, pretrained: bool, settings: dict) -> VisionTransformer:
    """A ViT whose tokens are the places of the last map that a convolutional stem gives."""
    return build_model_with_cfg(
        VisionTransformer,
        name,
        pretrained,
        feature_cfg={"out_indices": 3, "feature_cls": "getter"},
        embed_layer=partial(HybridEmbed, backbone=stem),
        **{"patch_size": 1, "embed_dim": 192, "num_heads": 3} | settings,
    )
