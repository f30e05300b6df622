"""Tokens have addresses: the one place that knows which token is which patch.

A classifier that has not been checked here is refused with a reason, rather than given a plausible wrong map.
"""

from dataclasses import dataclass

from torch import nn

from vitdemo.types import NotOffered


@dataclass(frozen=True)
class Layout:
    """The tokens of a transformer with global self-attention, in order: prefix tokens, then patches row by row."""

    prefix: int  # class, distillation and register tokens
    grid: tuple[int, int]  # (h, w) patches
    readout: tuple[int, ...]  # the tokens that the head reads, averaged
    layers: int  # attention matrices that a forward pass has to give

    @property
    def tokens(self) -> int:
        return self.prefix + self.grid[0] * self.grid[1]


def layout_of(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """Where the patches are, and what the head reads.

    Args:
        body: a timm classifier.
        size: (h, w) of its input in pixels.

    Returns:
        The layout, or why attention rollout has no checked form for this architecture.
    """
    from timm.layers import Attention, PatchEmbed
    from timm.models.beit import Beit
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.vision_transformer import Block, VisionTransformer
    from timm.models.vision_transformer_hybrid import HybridEmbed

    if type(body) not in (VisionTransformer, VisionTransformerDistilled, Beit):
        return NotOffered(_reason(body))
    if type(body) is not Beit and not all(
        type(block) is Block and type(block.attn) is Attention for block in body.blocks
    ):
        return NotOffered("its blocks are not plain transformer blocks, for which alone rollout was checked")
    if not isinstance(body.patch_embed, (PatchEmbed, HybridEmbed)):
        return NotOffered("its patches are not laid out on a plain grid")
    grid = _grid(body.patch_embed, size)
    prefix, patches = body.num_prefix_tokens, grid[0] * grid[1]
    if type(body) is VisionTransformerDistilled:
        readout: tuple[int, ...] = (0, 1)
    elif body.global_pool == "token":
        readout = (0,)
    elif body.global_pool == "avg":
        first = 0 if getattr(body, "pool_include_prefix", False) else prefix
        readout = tuple(range(first, prefix + patches))
    else:
        return NotOffered(f"its head pools by {body.global_pool!r}, for which rollout was not checked")
    return Layout(prefix, grid, readout, len(body.blocks))


def _grid(patch_embed: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    if tuple(patch_embed.img_size or size) == tuple(size):
        return tuple(patch_embed.grid_size)
    return tuple(patch_embed.dynamic_feat_size(size))


_REASONS = {
    "ResNet": "a convolutional network has no attention",
    "MobileVitBlock": "MobileViT attends within each pixel phase and convolves in between: no token is one patch",
    "MobileVitV2Block": "MobileViTv2 scores each patch for all others at once: it has no attention from patch to patch",
    "SwinTransformer": "Swin attends within shifted windows; its rollout is an extension not checked here",
    "Cait": "CaiT mixes its heads before and after the softmax; its rollout has not been checked here",
    "CrossVit": "CrossViT attends in two branches of different patch sizes; its rollout has not been checked here",
    "Levit": "LeViT drops three quarters of its tokens on the way; its rollout has not been checked here",
    "ConVit": "ConViT mixes attention with fixed positions; its rollout has not been checked here",
    "Xcit": "XCiT attends over channels, not over places",
}


def _reason(body: nn.Module) -> str:
    """Of the architecture, or of a block that decides."""
    for module in body.modules():
        for kind in type(module).__mro__:
            for name, reason in _REASONS.items():
                if kind.__name__.startswith(name):
                    return reason
    return f"{type(body).__name__} is not an architecture for which rollout was checked"
