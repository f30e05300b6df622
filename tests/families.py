"""Small untrained models of timm's real families, and the attention matrices that each architecture has.

No family is skipped: where timm takes no smaller arguments the smallest published size is used on a small input.
"""

from dataclasses import dataclass
from functools import cache

import timm
import torch
from torch import nn

import vitdemo.architectures  # noqa: F401  registers our own with timm

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

STAGES = {"img_size": 64, "embed_dim": (32, 32, 64, 64), "depths": (1, 1, 2, 1), "stem_width": (16, 32)}
MAX = {"img_size": 64, "embed_dim": (32, 32, 32, 64)}
TINY_STAGES = {"embed_dims": (32, 32, 64, 64), "depths": (1, 2, 1, 1), "num_heads": (1, 2, 2, 2)}
NAFLEX = {"patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
OURS = {"img_size": 64, "stem_width": 8, "stem_channels": (8, 8, 16), "stem_layers": (1, 1, 1), "embed_dim": 24}
THEIRS = {"epsilon": 1e-6, "activation": "gelu"}
TWINS = {"img_size": 64, "embed_dims": (8, 16, 16, 16), "num_heads": (1, 2, 2, 2), "depths": (1, 1, 1, 1)}

# Further families, for the table of what is offered: architecture, arguments, size.
MORE: dict[str, tuple[str, dict, int]] = {
    "CLIP": ("vit_base_patch32_clip_224", SMALL, 32),
    "FlexiViT": ("flexivit_small", SMALL, 32),
    "DINOv2, class token and patches": ("dinov2_of_transformers", SMALL | THEIRS | {"init_values": 1.0}, 32),
    "DeiT, class token alone": ("deit_of_transformers", SMALL | THEIRS, 32),
    "BEiT v2": ("beitv2_base_patch16_224", SMALL, 32),
    "ViT, parallel": ("vit_small_patch16_18x2_224", SMALL, 32),
    "ViT, relative positions": ("vit_relpos_small_patch16_224", SMALL, 32),
    "ViT on ResNet stages": ("vit_resnet_tiny", OURS | {"depth": 2, "num_heads": 2}, 64),
    "NaFlexViT": ("naflexvit_base_patch16_gap", NAFLEX, 32),
    "NaFlexViT, attention-pooled": ("naflexvit_base_patch16_map", NAFLEX, 32),
    "Swin v2": ("swinv2_tiny_window8_256", {"img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 16,
                                            "depths": (2, 1), "num_heads": (2, 2)}, 32),
    "Swin v2 CR": ("swinv2_cr_tiny_224", {"img_size": 64, "window_size": 2, "embed_dim": 12, "depths": (1, 1, 1, 1),
                                          "num_heads": (1, 1, 2, 2)}, 64),
    "TinyViT": ("tiny_vit_5m_224", TINY_STAGES | {"window_sizes": (4, 4, 4, 4)}, 64),
    "CoAtNet": ("coatnet_nano_rw_224", STAGES, 64),
    "MaxViT": ("test_maxvit", MAX, 64),
    "TNT": ("tnt_s_legacy_patch16_224", {"img_size": 32, "embed_dim": 24, "inner_dim": 12, "depth": 2,
                                         "num_heads_outer": 2, "num_heads_inner": 2}, 32),
    "Twins-PCPVT": ("twins_pcpvt_small", TWINS, 64),
    "Twins-SVT": ("twins_svt_small", TWINS | {"wss": (4, 2, 2, 2)}, 64),
    "Hiera": ("hiera_tiny_224", {"img_size": 64, "embed_dim": 16, "stages": (1, 1, 1, 1)}, 64),
    "Visformer": ("visformer_tiny", {"img_size": 64, "embed_dim": 48, "depth": (1, 1, 1), "init_channels": 8}, 64),
    "SAM's ViT": ("samvit_base_patch16_224", {"img_size": 64, "patch_size": 8, "embed_dim": 24, "depth": 2,
                                              "num_heads": 2, "global_attn_indexes": (1,), "window_size": 4}, 64),
    "PVT v2": ("pvt_v2_b0", {}, 64),
    "DaViT": ("davit_tiny", {"embed_dims": (16, 16, 16, 32), "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 2)}, 64),
    "EdgeNeXt": ("edgenext_xx_small", {}, 64),
    "FastViT": ("fastvit_sa12", {"embed_dims": (16, 16, 32, 32), "layers": (1, 1, 1, 1)}, 64),
    "iFormer": ("iformer_t", {}, 64),
    "MobileNetV4, hybrid": ("mobilenetv4_hybrid_medium", {}, 64),
    "ConvNeXt": ("convnext_atto", {"dims": (8, 8, 16, 16), "depths": (1, 1, 1, 1)}, 64),
}  # fmt: skip

# How many matrices a module with this class name computes in a forward pass.
ATTENTION = {
    "Attention": 1, "Attention2d": 1, "AttentionCl": 1, "AttentionDownsample": 1, "AttentionPoolLatent": 1,
    "AttentionRope": 1, "ChannelAttention": 1, "ClassAttn": 1, "CrossAttention": 1, "CrossCovarianceAttn": 1,
    "DiffAttention": 2, "EvaAttention": 1, "GPSA": 2, "GlobalSubSampleAttn": 1, "LinearSelfAttention": 1,
    "LocallyGroupedAttn": 1, "MHSA": 1, "MaskUnitAttention": 1, "MultiQueryAttention2d": 1, "RelPosAttention": 1,
    "SHMA": 1, "TalkingHeadAttn": 1, "WindowAttention": 1, "WindowMultiHeadAttention": 1, "XCA": 1,
}  # fmt: skip


def expected_matrices(model: nn.Module) -> int:
    """How many attention matrices an architecture has, counted from its modules."""
    return sum(ATTENTION.get(type(module).__name__, 0) for module in model.modules())


def every_family() -> dict[str, tuple[str, dict, int]]:
    """Architecture, arguments and size of `FAMILIES` and `MORE`."""
    return {name: (made.architecture, made.arguments, made.size) for name, made in FAMILIES.items()} | MORE


@cache
def body(family: str) -> nn.Module:
    """The family's model in eval mode, without parameter gradients, its head random."""
    architecture, arguments, _ = every_family()[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(family))
        model = timm.create_model(architecture, num_classes=5, **arguments)
        for name, parameter in model.named_parameters():  # timm starts heads at or near zero
            if name.startswith("head"):
                nn.init.normal_(parameter, std=0.3)
            if name.endswith("bn.weight"):  # LeViT's residual branches start at 0
                nn.init.ones_(parameter)
    return model.eval().requires_grad_(False)


def pixels(family: str, seed: int = 0, count: int = 2) -> torch.Tensor:
    """(count, 3, size, size) standard normal."""
    size = every_family()[family][2]
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
