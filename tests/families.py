"""Small untrained models of timm's real families, and the attention matrices that each architecture has.

No family is skipped: where timm takes no smaller arguments the smallest published size is used on a small input.
"""

from dataclasses import dataclass
from functools import cache

import timm
import torch
from torch import nn

SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}  # 4 x 4 patches


@dataclass(frozen=True)
class Family:
    architecture: str
    arguments: dict
    size: int  # of the input in pixels
    shapes: list[tuple[int, ...]]  # (heads, N, M) of each matrix, first layer first; windows multiply the batch


FAMILIES = {
    "ViT": Family("vit_tiny_patch16_224", SMALL, 32, [(2, 17, 17)] * 2),
    "ViT, attention-pooled": Family("vit_base_patch16_siglip_224", SMALL, 32, [(2, 16, 16)] * 2 + [(2, 1, 16)]),
    "ViT, differential": Family("vit_tiny_patch16_224", SMALL | {"attn_layer": "diff"}, 32, [(2, 17, 17)] * 4),
    "ViT, pooled twice": Family("vit_tiny_patch16_224", SMALL | {"global_pool": "avgmax"}, 32, [(2, 17, 17)] * 2),
    "ViT, pooled with its class token": Family(
        "vit_tiny_patch16_224", SMALL | {"global_pool": "avg", "pool_include_prefix": True}, 32, [(2, 17, 17)] * 2
    ),
    "DeiT": Family("deit_tiny_distilled_patch16_224", SMALL, 32, [(2, 18, 18)] * 2),
    "DeiT III": Family("deit3_small_patch16_224", SMALL, 32, [(2, 17, 17)] * 2),
    "DINOv2": Family("vit_small_patch14_reg4_dinov2", SMALL, 32, [(2, 21, 21)] * 2),
    "DINOv3": Family("vit_small_patch16_dinov3", SMALL, 32, [(2, 21, 21)] * 2),
    "EVA-02": Family("eva02_tiny_patch14_224", SMALL, 32, [(2, 17, 17)] * 2),
    "BEiT": Family("beit_base_patch16_224", SMALL, 32, [(2, 17, 17)] * 2),
    "hybrid": Family(
        "vit_tiny_r_s16_p8_224",
        {"img_size": 64, "patch_size": 1, "embed_dim": 24, "depth": 2, "num_heads": 2},
        64,
        [(2, 257, 257)] * 2,  # the stem stops at a quarter of the size
    ),
    "Swin": Family(
        "swin_tiny_patch4_window7_224",
        {"img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 12, "depths": (2, 2), "num_heads": (2, 3)},
        32,
        [(2, 16, 16)] * 2 + [(3, 16, 16)] * 2,
    ),
    "CaiT": Family("cait_xxs24_224", SMALL, 32, [(2, 16, 16)] * 2 + [(2, 1, 17)] * 2),
    "CrossViT": Family(
        "crossvit_tiny_240",
        {"img_size": 120, "embed_dim": (12, 24), "depth": ((1, 2, 0), (1, 1, 0)), "num_heads": (2, 3)},
        120,
        # a stage: blocks of both branches, then each class token asks the other branch's patches
        [
            *[(2, 101, 101), (3, 50, 50), (3, 50, 50), (3, 1, 50), (2, 1, 101)],
            *[(2, 101, 101), (3, 50, 50), (3, 1, 50), (2, 1, 101)],
        ],
    ),
    "LeViT": Family(
        "levit_128s",
        {"img_size": 64, "embed_dim": (16, 24, 32), "key_dim": 8, "num_heads": (2, 3, 4), "depth": (2, 1, 1)},
        64,
        [(2, 16, 16), (2, 16, 16), (2, 4, 16), (3, 4, 4), (3, 1, 4), (4, 1, 1)],
    ),
    "ConViT": Family(
        "convit_tiny",
        {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2, "local_up_to_layer": 2},
        32,
        # positional attention has a softmax of its own, with the same shape; only the last block has a class token
        [(2, 16, 16)] * 4 + [(2, 17, 17)],
    ),
    "MobileViT": Family("mobilevit_xxs", {}, 64, [(4, 16, 16)] * 2 + [(4, 4, 4)] * 4 + [(4, 1, 1)] * 3),
    "MobileViTv2": Family("mobilevitv2_050", {}, 64, [(1, 4, 16)] * 2 + [(1, 4, 4)] * 4 + [(1, 4, 1)] * 3),
    "XCiT": Family(
        "xcit_nano_12_p16_224",
        {"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2},
        32,
        [(2, 16, 16)] * 2 + [(2, 1, 5)] * 2,  # channels x channels, then the class token's attention
    ),
    "PiT": Family(
        "pit_ti_224",
        {"img_size": 64, "base_dims": (8, 8, 8), "depth": (1, 1, 1), "heads": (2, 4, 8)},
        64,
        [(2, 50, 50), (4, 17, 17), (8, 5, 5)],
    ),
    "ResNet": Family("resnet10t", {"channels": (8, 8, 16, 16), "stem_width": 8}, 32, []),
    "RepVGG and kin": Family("test_byobnet", {}, 32, []),
}


@cache
def body(family: str) -> nn.Module:
    """The family's model in eval mode, without parameter gradients, its head random."""
    made = FAMILIES[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sorted(FAMILIES).index(family))
        model = timm.create_model(made.architecture, num_classes=5, **made.arguments)
        for name, parameter in model.named_parameters():  # timm starts heads at or near zero
            if name.startswith("head"):
                nn.init.normal_(parameter, std=0.3)
    return model.eval().requires_grad_(False)


def pixels(family: str, seed: int = 0, count: int = 2) -> torch.Tensor:
    """(count, 3, size, size) standard normal."""
    size = FAMILIES[family].size
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
