"""The families of timm whose tokens were checked: one small function each, chosen by the class of the model.

A function says which recorded matrices form which transition, beside which skip connection, and what the head reads.
It looks at the model's modules only, never at what was recorded, so that the two can be held against each other.
"exact" is the definition of Abnar and Zuidema (2020), made for stacks of global attention; what was derived for other
shapes is an "extension", and its note says what it takes for granted.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from vitdemo.attention.tokens import Layout, everywhere, spare, stack
from vitdemo.attention.transitions import Attend, Merge, Plane, Step, halved, merge, numbers, strides, tiles, windows
from vitdemo.types import NotOffered

CONVOLUTIONS = "convolutions between the layers are taken to stay in place"
MERGING = "merging patches is taken as their mean"


# -- stacks of global attention ------------------------------------------------------------------------------


def vision_transformer(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """ViT, DeiT, DINOv2, CLIP and SigLIP towers, hybrids, parallel ViT."""
    from timm.layers import Attention, AttentionRope, PatchEmbed
    from timm.models import vision_transformer as vit
    from timm.models.vision_transformer_hybrid import HybridEmbed

    parallel = set()
    for block in body.blocks:
        if type(block) is vit.ParallelThingsBlock:
            attentions = [branch.attn for branch in block.attns]
        elif type(block) in (vit.Block, vit.ResPostBlock):
            attentions = [block.attn]
        else:
            attentions = [None] if type(block) is vit.ParallelScalingBlock else []
        if not attentions or any(type(one) not in (Attention, AttentionRope, type(None)) for one in attentions):
            return NotOffered("its blocks are not plain transformer blocks, for which alone rollout was checked")
        parallel.add(len(attentions))
    if not isinstance(body.patch_embed, (PatchEmbed, HybridEmbed)) or len(parallel) != 1:
        return NotOffered("its patches are not laid out on a plain grid")
    layers = _stack(body, _grid(body.patch_embed, size), parallel.pop())
    if isinstance(body.patch_embed, HybridEmbed) and isinstance(layers, Layout):
        return replace(layers, note="down to the tokens of its convolutional stem, no further")
    return layers


def distilled(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """DeiT with a distillation token: two heads, whose logits are averaged."""
    plain = vision_transformer(body, size)
    if isinstance(plain, NotOffered):
        return plain
    return stack(plain.prefix, plain.grid, (0, 1), len(body.blocks))


def class_and_mean(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """DINOv2 with the head that `transformers` gives it, which reads the class token and the mean of the patches."""
    plain = vision_transformer(body, size)
    if isinstance(plain, NotOffered):
        return plain
    patches = plain.planes[0].tokens
    layers = stack(plain.prefix, plain.grid, (0,) * len(patches) + tuple(patches), len(body.blocks))
    return replace(layers, note="its head reads the class token and the mean of the patches, which count half each")


def beit(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """BEiT and BEiT v2: a class token that the head does not read, unless it pools by it."""
    return _stack(body, _grid(body.patch_embed, size))


def eva(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """EVA, EVA-02, DINOv3 and others with rotary positions."""
    from timm.layers import AttentionRope
    from timm.models.eva import EvaAttention

    if any(type(block.attn) not in (EvaAttention, AttentionRope) for block in body.blocks):
        return NotOffered("its blocks are not plain transformer blocks, for which alone rollout was checked")
    return _stack(body, _grid(body.patch_embed, size), pooled_prefix=True)


def relative_positions(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """ViT with relative positions."""
    return _stack(body, _grid(body.patch_embed, size))


def naflex(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """NaFlexViT, given whole pictures."""
    from timm.layers import Attention, AttentionRope
    from timm.models.eva import EvaAttention

    attentions = [getattr(block, "attn", None) for block in body.blocks]
    if any(type(one) not in (Attention, AttentionRope, EvaAttention) for one in attentions):
        return NotOffered("its blocks are not plain transformer blocks, for which alone rollout was checked")
    return _stack(body, tuple(body.embeds.dynamic_feat_size(size)))


def _stack(
    body: nn.Module, grid: tuple[int, int], parallel: int = 1, pooled_prefix: bool = False
) -> Layout | NotOffered:
    """Global attention, read by a class token, the mean of the patches, or attention pooling."""
    prefix, patches = body.num_prefix_tokens, grid[0] * grid[1]
    pool = body.global_pool
    first = 0 if getattr(body, "pool_include_prefix", False) else prefix
    if pool == "token":
        return stack(prefix, grid, (0,), len(body.blocks), parallel)
    if pool == "avg":
        return stack(prefix, grid, range(first, prefix + patches), len(body.blocks), parallel)
    if pool == "map" and body.attn_pool.latent_len == 1:
        layers = stack(prefix, grid, range(first, prefix + patches), len(body.blocks), parallel)
        first = 0 if pooled_prefix else first
        pooling = Attend(
            np.zeros((1, 1), int),
            np.arange(first, prefix + patches)[None],
            1,
            prefix + patches,
            residual=False,
            spared=(0,),
            seen=Plane(prefix, grid),
        )
        return replace(layers, readout=(0,), steps=(*layers.steps, pooling))
    return NotOffered(f"its head pools by {pool!r}, for which rollout was not checked")


def _grid(patch_embed: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    if tuple(patch_embed.img_size or size) == tuple(size):
        return tuple(patch_embed.grid_size)
    return tuple(patch_embed.dynamic_feat_size(size))


# -- class tokens that come late, and two branches -----------------------------------------------------------


def cait(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """CaiT: the patches attend among themselves, then the class token alone asks (Touvron et al. 2021, section 3)."""
    plane = Plane(1, _grid(body.patch_embed, size))
    patches, count = np.array(plane.tokens)[None], plane.tokens.stop
    readout = _token_or_patches(body, plane)
    if readout is None:
        return _unpooled(body)
    among = Attend(patches, patches, count, count, asked=plane, seen=plane)
    ask = Attend(np.zeros((1, 1), int), np.arange(count)[None], count, count, seen=plane, spared=spare(plane, readout))
    steps = (among,) * len(body.blocks) + (ask,) * len(body.blocks_token_only)
    note = "heads are mixed once more after the softmax, which is left out because rows are signed after it"
    return Layout((plane,), readout, steps, "extension", note)


def convit(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """ConViT: layers without the class token whose attention is a gated sum of content and position, then with it
    (d'Ascoli et al. 2021, equation 7)."""
    plane = Plane(1, _grid(body.patch_embed, size))
    patches, count = np.array(plane.tokens)[None], plane.tokens.stop
    readout = _token_or_patches(body, plane)
    if readout is None or len(body.blocks) <= body.local_up_to_layer:
        return _unpooled(body)
    steps = [
        Attend(
            patches,
            patches,
            count,
            count,
            gate=torch.sigmoid(block.attn.gating_param.detach()),
            asked=plane,
            seen=plane,
        )
        if block.use_gpsa
        else everywhere(plane, spare(plane, readout))
        for block in body.blocks
    ]
    note = "attention by content and by position are mixed as the model mixes them"
    return Layout((plane,), readout, tuple(steps), "extension", note)


def crossvit(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """CrossViT: two branches of one joint state; each class token asks the other branch's patches (Chen et al. 2021,
    section 3.2)."""
    if body.num_branches != 2 or any(isinstance(fusion, nn.Sequential) and len(fusion) != 1
                                     for block in body.blocks for fusion in block.fusion):  # fmt: skip
        return NotOffered("it has not two branches with one exchange a stage, for which alone rollout was checked")
    planes, first = [], 0
    for embed, scaled in zip(body.patch_embed, body.img_size_scaled, strict=True):
        box = _crop(scaled, size) if body.crop_scale else (0.0, 0.0, 1.0, 1.0)
        grid = tuple(side // patch for side, patch in zip(embed.img_size, embed.patch_size, strict=True))
        planes.append(Plane(first + 1, grid, box))
        first = planes[-1].tokens.stop
    classes = (0, planes[0].tokens.stop)
    readout = classes if body.global_pool == "token" else (*planes[0].tokens, *planes[1].tokens)
    if body.global_pool == "avg" and len(planes[0].tokens) != len(planes[1].tokens):
        return NotOffered("its head pools two branches of different lengths, for which rollout was not checked")
    spared = classes if body.global_pool == "token" else ()
    steps: list[Step] = []
    for block in body.blocks:
        for branch, plane in enumerate(planes[: len(block.blocks)]):
            own = np.arange(classes[branch], plane.tokens.stop)[None]
            steps += [Attend(own, own, first, first, spared=spared, asked=plane, seen=plane)] * len(
                block.blocks[branch]
            )
        for branch, other in ((0, planes[1]), (1, planes[0])):
            asks = np.full((1, 1), classes[branch])
            keys = np.concatenate([asks[0], np.array(other.tokens)])[None]
            steps.append(Attend(asks, keys, first, first, spared=spared, seen=other))
    note = "both branches are one state; coarse patches are spread over the fine ones that they cover"
    return Layout(tuple(planes), readout, tuple(steps), "extension", note)


def _crop(inner: Sequence[int], outer: Sequence[int]) -> tuple[float, float, float, float]:
    """The box of CrossViT's centre crop, as shares of the input; the whole where it is resized instead."""
    if inner[0] > outer[0] or inner[1] > outer[1]:
        return 0.0, 0.0, 1.0, 1.0
    top, left = (round((big - small) / 2) for small, big in zip(inner, outer, strict=True))
    return left / outer[1], top / outer[0], (left + inner[1]) / outer[1], (top + inner[0]) / outer[0]


def _token_or_patches(body: nn.Module, plane: Plane) -> tuple[int, ...] | None:
    return {"token": (0,), "avg": tuple(plane.tokens)}.get(body.global_pool)


def _unpooled(body: nn.Module) -> NotOffered:
    return NotOffered(f"its head pools by {body.global_pool!r}, for which rollout was not checked")


# -- pyramids ------------------------------------------------------------------------------------------------


def swin(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """Swin and Swin v2: windows, shifted windows, four patches merged into one."""
    if body.head.global_pool.pool_type != "avg":
        return _unpooled(body)
    grid = _grid(body.patch_embed, size)
    plane, steps = Plane(0, grid), []
    for stage in body.layers:
        if not isinstance(stage.downsample, nn.Identity):
            steps.append(merge(grid))
            grid = halved(grid)
        for block in stage.blocks:
            steps.append(_windowed(grid, windows(grid, tuple(block.window_size), tuple(block.shift_size))))
    return _pyramid(plane, grid, steps, f"windows are put back where they lie, {MERGING}")


def levit(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """LeViT: a quarter of the tokens asks at each down-sampling, with no skip connection (Graham et al. 2021, 4.3)."""
    if body.global_pool != "avg":
        return _unpooled(body)
    grid = tuple(next(part.resolution for part in body.stages.modules() if hasattr(part, "attention_biases")))
    plane, steps = Plane(0, grid), []
    for stage in body.stages:
        if not isinstance(stage.downsample, nn.Identity):
            below, grid = Plane(0, grid), halved(grid)
            asked = Plane(0, grid)
            steps.append(
                Attend(
                    numbers(grid).reshape(1, -1),
                    numbers(below.grid).reshape(1, -1),
                    len(asked.tokens),
                    len(below.tokens),
                    residual=False,
                    asked=asked,
                    seen=below,
                )
            )
        steps += [everywhere(Plane(0, grid))] * len(stage.blocks)
    return _pyramid(plane, grid, steps, "where tokens are dropped there is no skip connection: attention alone counts")


def pit(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """PiT: the patches shrink by a strided convolution, class and distillation tokens stay (Heo et al. 2021)."""
    prefix, grid = body.num_tokens, tuple(body.patch_embed.grid_size)
    readout, steps = tuple(range(prefix)), []
    plane = Plane(prefix, grid)
    for stage in body.transformers:
        if stage.pool is not None:
            steps.append(merge(grid, 3, prefix))
            grid = halved(grid)
        steps += [everywhere(Plane(prefix, grid), readout)] * len(stage.blocks)
    return Layout((plane,), readout, tuple(steps), "extension", "pooling is taken as the mean of the patches under it")


def tiny_vit(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """TinyViT: windows without shift, a convolution in each block and between stages."""
    if body.head.global_pool.pool_type != "avg":
        return _unpooled(body)
    grid, plane, steps = halved(halved(size)), None, []
    for stage in body.stages:
        blocks = [block for block in stage.blocks if hasattr(block, "attn")]
        if not isinstance(getattr(stage, "downsample", nn.Identity()), nn.Identity):
            if plane:
                steps.append(merge(grid, 3))
            grid = halved(grid)
        for block in blocks:
            plane = plane or Plane(0, grid)
            steps.append(_windowed(grid, windows(grid, (block.window_size,) * 2)))
    return _pyramid(plane, grid, steps, f"{MERGING}, {CONVOLUTIONS}")


def maxxvit(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """CoAtNet (convolutions, then global attention) and MaxViT (in each block a convolution, windows, a grid)."""
    from timm.models import maxxvit as parts

    if body.head.global_pool.pool_type != "avg":
        return _unpooled(body)
    grid, plane, steps = halved(size), None, []
    for stage in body.stages:
        for index, block in enumerate(stage.blocks):
            if index == 0:  # a stride of 2
                if plane:
                    steps.append(merge(grid, _kernel(block)))
                grid = halved(grid)
            if type(block) is parts.TransformerBlock2d:
                attend = [tiles(numbers(grid), grid)]
            elif type(block) is parts.MaxxVitBlock:
                attend = [strides(grid, tuple(block.attn_grid.partition_size))]
                if block.attn_block is not None:
                    attend.insert(0, tiles(numbers(grid), tuple(block.attn_block.partition_size)))
            elif type(block) in (parts.MbConvBlock, parts.ConvNeXtBlock):
                attend = []
            else:
                return NotOffered("its windows and its grid attend side by side, for which rollout was not checked")
            plane = plane or (Plane(0, grid) if attend else None)
            steps += [_windowed(grid, tokens) for tokens in attend]
    if plane is None:
        return NotOffered("it has no attention from place to place")
    return _pyramid(plane, grid, steps, f"{MERGING}, {CONVOLUTIONS}")


def _kernel(block: nn.Module) -> int:
    """The side of the pooling beside which a block shrinks its grid; 2 where a strided convolution does it."""
    pool = getattr(getattr(block, "shortcut", None), "pool", None)
    side = getattr(pool, "kernel_size", 2)
    return 3 if (side if isinstance(side, int) else side[0]) == 3 else 2


def _windowed(grid: tuple[int, int], tokens: np.ndarray) -> Attend:
    plane = Plane(0, grid)
    return Attend(tokens, tokens, len(plane.tokens), len(plane.tokens), asked=plane, seen=plane)


def _pyramid(plane: Plane, grid: tuple[int, int], steps: Sequence[Attend | Merge], note: str) -> Layout:
    """Read by the mean over the last grid."""
    return Layout((plane,), tuple(range(grid[0] * grid[1])), tuple(steps), "extension", note)


FAMILIES: dict[str, Callable[[nn.Module, tuple[int, int]], Layout | NotOffered]] = {
    "timm.models.vision_transformer.VisionTransformer": vision_transformer,
    "timm.models.deit.VisionTransformerDistilled": distilled,
    "vitdemo.transformers_format.bodies.ClassAndMean": class_and_mean,
    "vitdemo.transformers_format.bodies.ClassAlone": vision_transformer,
    "timm.models.beit.Beit": beit,
    "timm.models.eva.Eva": eva,
    "timm.models.vision_transformer_relpos.VisionTransformerRelPos": relative_positions,
    "timm.models.naflexvit.NaFlexVit": naflex,
    "timm.models.cait.Cait": cait,
    "timm.models.convit.ConVit": convit,
    "timm.models.crossvit.CrossVit": crossvit,
    "timm.models.swin_transformer.SwinTransformer": swin,
    "timm.models.swin_transformer_v2.SwinTransformerV2": swin,
    "timm.models.levit.Levit": levit,
    "timm.models.levit.LevitDistilled": levit,
    "timm.models.pit.PoolingVisionTransformer": pit,
    "timm.models.tiny_vit.TinyVit": tiny_vit,
    "timm.models.maxxvit.MaxxVit": maxxvit,
}
