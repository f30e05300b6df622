"""GradCAM: the last feature map, weighted by what each channel does to the class.

Which layer that is and where its channels stand differs from family to family, and a wrong axis gives a plausible wrong
map; so there is a table of those that were checked, and the others are refused. Maps are on the layer's own grid.

Where a class token is read, the last block's output has no gradient at the patches: there it is what that block attends
to. A network with two branches has two such layers, whose maps are added.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from vitdemo.errors import VitdemoError
from vitdemo.explain.base import EXPLANATIONS, Explanation, Options, Subject, Tick, private
from vitdemo.types import Heat
from vitdemo.views import spread

Size = tuple[int, int]  # (h, w)


@dataclass(frozen=True)
class Place:
    """Where a family's last feature map is.

    `grid` is for tokens (B, N, C): how they lie, from the input's size. `prefix` counts those before the first patch.
    `order` puts tokens that are not row by row into their places (B, h, w, C).
    """

    layer: Callable[[nn.Module], nn.Module]
    channels: str  # "first" (B, C, h, w), "last" (B, h, w, C) or "tokens" (B, N, C)
    grid: Callable[[nn.Module, Size], Size] | None = None
    prefix: Callable[[nn.Module], int] = lambda body: 0
    order: Callable[[nn.Module, torch.Tensor], torch.Tensor] | None = None


def _patches(body: nn.Module, size: Size) -> Size:
    """The grid of a patch embedding."""
    embed = body.patch_embed
    if hasattr(embed, "dynamic_feat_size") and tuple(getattr(embed, "img_size", None) or size) != size:
        return tuple(embed.dynamic_feat_size(size))
    return tuple(embed.grid_size)


def _reduced(body: nn.Module, size: Size) -> Size:
    """The grid of the last stage of a network whose strides round up."""
    stride = body.feature_info[-1]["reduction"]
    return -(-size[0] // stride), -(-size[1] // stride)


def _pooled_patches(body: nn.Module, size: Size) -> Size:
    """PiT: patches that overlap, then halved, rounding up, at every further stage."""
    kernel, stride = body.patch_embed.conv.kernel_size, body.patch_embed.conv.stride
    grid = [(side - k) // s + 1 for side, k, s in zip(size, kernel, stride, strict=True)]
    halvings = 2 ** (len(body.transformers) - 1)
    return -(-grid[0] // halvings), -(-grid[1] // halvings)


def _strided(body: nn.Module, size: Size) -> Size:
    """Twins: every stage cuts what the one before it left, rounding down."""
    for embed in body.patch_embeds:
        size = size[0] // embed.patch_size[0], size[1] // embed.patch_size[1]
    return size


# What the attention of these blocks reads, by class. Patches of ViTs run on beside it, but the class token does not see
# them after it.
NORMS = {"Block": "norm1", "EvaBlock": "norm1", "RelPosBlock": "norm1",
         "ParallelScalingBlock": "in_norm", "DiffParallelScalingBlock": "in_norm"}  # fmt: skip
# These read their input as it is, or through several normalisations side by side.
BARE = {"ResPostBlock", "ResPostRelPosBlock", "EvaBlockPostNorm", "ParallelThingsBlock"}


def _read(body: nn.Module) -> nn.Module:
    """What the last block of a ViT attends to."""
    name = type(body.blocks[-1]).__name__
    return body.blocks[-2] if name in BARE else getattr(body.blocks[-1], NORMS[name])


_BLOCK = Place(_read, "tokens", _patches, lambda body: body.num_prefix_tokens)
_STAGE = Place(lambda body: body.stages, "first")


def _asked(branch: int) -> Place:
    """The patches of one branch of CrossViT, as the other branch's class token asks them."""

    def grid(body: nn.Module, size: Size) -> Size:
        embed = body.patch_embed[branch]
        return embed.img_size[0] // embed.patch_size[0], embed.img_size[1] // embed.patch_size[1]

    # after it, a branch's patches are read by nobody
    return Place(lambda body: body.blocks[-1].fusion[1 - branch].norm1, "tokens", grid, lambda body: 1)


PLACES: dict[str, Place | tuple[Place, ...]] = {  # by the class of the timm model
    "VisionTransformer": _BLOCK,
    "VisionTransformerDistilled": _BLOCK,
    "ClassAndMean": _BLOCK,
    "ClassAlone": _BLOCK,
    "Beit": _BLOCK,
    "Eva": _BLOCK,
    "ConVit": _BLOCK,
    "VisionTransformerRelPos": _BLOCK,
    "NaFlexVit": Place(
        _read,
        "tokens",
        lambda body, size: tuple(body.embeds.dynamic_feat_size(size)),
        lambda body: body.num_prefix_tokens,
    ),
    # the outer tokens, one for each patch; the inner ones of its pixels have been added to them
    "TNT": Place(
        lambda body: body.blocks[-1].norm_out,
        "tokens",
        lambda body, size: tuple(body.pixel_embed.grid_size),
        lambda body: body.num_prefix_tokens,
    ),
    "CrossVit": (_asked(0), _asked(1)),
    "PoolingVisionTransformer": Place(
        lambda body: body.transformers[-1].blocks[-1].norm1, "tokens", _pooled_patches, lambda body: body.num_tokens
    ),
    # the class token joins later: these blocks see patches only
    "Cait": Place(lambda body: body.blocks[-1], "tokens", _patches),
    "Xcit": Place(
        lambda body: body.blocks[-1],
        "tokens",
        lambda body, size: (size[0] // body.patch_embed.patch_size, size[1] // body.patch_embed.patch_size),
    ),
    "Levit": Place(lambda body: body.stages, "tokens", _reduced),
    "LevitDistilled": Place(lambda body: body.stages, "tokens", _reduced),
    "SwinTransformer": Place(lambda body: body.norm, "last"),
    "SwinTransformerV2": Place(lambda body: body.norm, "last"),
    "SwinTransformerV2Cr": _STAGE,
    "Twins": Place(lambda body: body.norm, "tokens", _strided),
    # mask units lie in memory one after the other, as far as no pooling has used them up
    "Hiera": Place(
        lambda body: body.blocks[-1],
        "tokens",
        lambda body, size: tuple(body.reroll.schedule[len(body.blocks) - 1][1]),
        order=lambda body, tokens: body.reroll(tokens, len(body.blocks) - 1),
    ),
    "VisionTransformerSAM": Place(lambda body: body.neck, "first"),
    "Visformer": Place(lambda body: body.norm, "first"),
    "PyramidVisionTransformerV2": _STAGE,
    "DaVit": _STAGE,
    "IFormer": _STAGE,
    "FastVit": Place(lambda body: body.final_conv, "first"),
    "MaxxVit": Place(lambda body: body.norm, "first"),
    "TinyVit": _STAGE,
    "ConvNeXt": _STAGE,
    "EdgeNeXt": _STAGE,
    "ResNet": Place(lambda body: body.layer4, "first"),
    "ByobNet": Place(lambda body: body.final_conv, "first"),  # MobileViT v1 and v2, RepVGG and kin
    "RegNet": Place(lambda body: body.final_conv, "first"),
    "EfficientNet": Place(lambda body: body.bn2, "first"),
    "MobileNetV3": Place(lambda body: body.blocks, "first"),
}


def places_of(body: nn.Module) -> tuple[Place, ...] | str:
    """Where the last feature maps of a timm classifier are, one for each branch, or why that was not settled."""
    name = type(body).__name__
    if name not in PLACES or not type(body).__module__.startswith(("timm.", "vitdemo.")):
        return f"GradCAM was not checked for {name}: which of its layers to take, and which axis, is not settled"
    places = PLACES[name] if isinstance(PLACES[name], tuple) else (PLACES[name],)
    if places[0].layer is _read:
        block = type(body.blocks[-1]).__name__
        if block not in NORMS and not (block in BARE and len(body.blocks) > 1):
            return f"GradCAM needs what the last block's attention reads, and a {block} has no layer that holds it"
    if name.startswith("Levit") and body.use_conv:
        return "GradCAM was not checked for LeViT made of convolutions"
    if name == "CrossVit" and not _two_views_of_one_picture(body):
        return "GradCAM was not checked for CrossViT with another exchange, head or cut than the published ones"
    return places


def _two_views_of_one_picture(body: nn.Module) -> bool:
    """Whether a CrossViT is as published: both branches see all of the picture, and exchange class tokens once."""
    plain = all(hasattr(fusion, "norm1") for fusion in body.blocks[-1].fusion)
    return body.num_branches == 2 and plain and body.global_pool == "token" and not body.crop_scale


def _refuse(subject: Subject) -> str | None:
    if len(subject.models) > 1:
        return "it looks into one backbone, and a fused model has no layer of its own"
    places = places_of(subject.models[0].network.body)
    return places if isinstance(places, str) else None


def grad_cam(subject: Subject, options: Options, tick: Tick) -> Heat:
    """GradCAM (Selvaraju et al., 2017, arXiv 1610.02391, equations 1 and 2) of one backbone's logit.

    The sum of a map is a share of the logit, to first order. So the maps of two branches are added as they are, on the
    finer grid, where a coarse cell is divided among the fine ones that it covers.

    Returns:
        Heat on the layer's grid: Σ α_c A_c, where α_c is the mean of the logit's gradient over the places of channel c.
        Unsigned, clipped at 0; signed and not clipped where two classes are compared.
    """
    network = private(subject.models[0].network)
    places = places_of(network.body)
    kept: dict[Place, torch.Tensor] = {}

    def keep(place: Place) -> Callable:
        def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
            kept[place] = output.detach().requires_grad_()  # what comes before it needs no gradient
            return kept[place]

        return hook

    for place in places:
        place.layer(network.body).register_forward_hook(keep(place))  # on modules that nobody else has
    pixels, view = subject.pixels[0], subject.views[0]
    tick()
    with torch.enable_grad():
        score = subject.score(network(pixels)).sum()
        gradients = torch.autograd.grad(score, [kept[place] for place in places])
    maps = []
    for place, gradient in zip(places, gradients, strict=True):
        features, gradient = (
            channels_first(each.detach().float(), place, network.body, tuple(pixels.shape[-2:]))
            for each in (kept[place], gradient)
        )
        maps.append((gradient.mean((2, 3), keepdim=True) * features).sum(1)[0].cpu().numpy())  # (h, w)
    values, note = maps[0], ""
    if len(maps) > 1:
        shape = max((each.shape for each in maps), key=np.prod)
        values = np.sum([spread(each, view, shape, view) for each in maps], axis=0)
        note = "the maps of both branches are added; coarse patches are spread over the fine ones that they cover"
    signed = subject.against is not None
    values = values if signed else values.clip(min=0)
    return Heat(values, signed=signed, view=view, note=note)


def channels_first(output: torch.Tensor, place: Place, body: nn.Module, size: Size) -> torch.Tensor:
    """A layer's output as (B, C, h, w), without prefix tokens.

    Raises:
        VitdemoError: it has not the shape that its family has.
    """
    if place.channels == "tokens" and output.dim() == 3:
        grid, prefix = place.grid(body, size), place.prefix(body)
        if output.shape[1] == prefix + grid[0] * grid[1]:
            patches = output[:, prefix:]
            placed = place.order(body, patches) if place.order else patches.unflatten(1, grid)
            return placed.permute(0, 3, 1, 2)
    elif place.channels == "last" and output.dim() == 4:
        return output.permute(0, 3, 1, 2)
    elif place.channels == "first" and output.dim() == 4:
        return output
    raise VitdemoError(
        f"The last feature map of {type(body).__name__} has the shape {tuple(output.shape)}, not its own."
    )


EXPLANATIONS.add(
    "grad_cam",
    Explanation(
        name="grad_cam",
        title="GradCAM",
        family="cam",
        sentence="Weighs what the last layers found in each place by how much it speaks for the class.",
        limits="It is coarse, sees the last layer only, and by then a place can hold news from anywhere.",
        paper="Selvaraju et al., 2017, arXiv 1610.02391",
        signed=False,
        class_specific=True,
        passes=lambda options: 1,
        backward=lambda options: 1,
        refuse=_refuse,
        compute=grad_cam,
    ),
)
