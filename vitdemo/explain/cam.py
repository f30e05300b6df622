"""GradCAM: the last feature map, weighted by what each channel does to the class.

Which layer that is and where its channels stand differs from family to family, and a wrong axis gives a plausible wrong
map; so there is a table of those that were checked, and the others are refused. Maps are on the layer's own grid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from vitdemo.errors import VitdemoError
from vitdemo.explain.base import EXPLANATIONS, Explanation, Options, Subject, Tick, private
from vitdemo.types import Heat

Size = tuple[int, int]  # (h, w)


@dataclass(frozen=True)
class Place:
    """Where a family's last feature map is.

    `grid` is for tokens (B, N, C): how they lie, from the input's size. `prefix` counts those before the first patch.
    """

    layer: Callable[[nn.Module], nn.Module]
    channels: str  # "first" (B, C, h, w), "last" (B, h, w, C) or "tokens" (B, N, C)
    grid: Callable[[nn.Module, Size], Size] | None = None
    prefix: Callable[[nn.Module], int] = lambda body: 0


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


# With a class token the last block's output has no gradient at the patches; what its attention reads has.
_BLOCK = Place(lambda body: body.blocks[-1].norm1, "tokens", _patches, lambda body: body.num_prefix_tokens)
_STAGE = Place(lambda body: body.stages, "first")

PLACES: dict[str, Place] = {  # by the class of the timm model
    "VisionTransformer": _BLOCK,
    "VisionTransformerDistilled": _BLOCK,
    "Beit": _BLOCK,
    "Eva": _BLOCK,
    "ConVit": _BLOCK,
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
BLOCKS = {"Block", "EvaBlock"}  # that normalise before they attend, in the classes above


def place_of(body: nn.Module) -> Place | str:
    """Where the last feature map of a timm classifier is, or why that was not settled."""
    name = type(body).__name__
    if name not in PLACES or not type(body).__module__.startswith("timm."):
        return f"GradCAM was not checked for {name}: which of its layers to take, and which axis, is not settled"
    if PLACES[name] is _BLOCK and type(body.blocks[-1]).__name__ not in BLOCKS:
        block = type(body.blocks[-1]).__name__
        return f"GradCAM needs what the last block's attention reads, and a {block} has no layer that holds it"
    if name.startswith("Levit") and body.use_conv:
        return "GradCAM was not checked for LeViT made of convolutions"
    return PLACES[name]


def _refuse(subject: Subject) -> str | None:
    if len(subject.models) > 1:
        return "it looks into one backbone, and a fused model has no layer of its own"
    place = place_of(subject.models[0].network.body)
    return place if isinstance(place, str) else None


def grad_cam(subject: Subject, options: Options, tick: Tick) -> Heat:
    """GradCAM (Selvaraju et al., 2017, arXiv 1610.02391, equations 1 and 2) of one backbone's logit.

    Returns:
        Heat on the layer's grid: Σ α_c A_c, where α_c is the mean of the logit's gradient over the places of channel c.
        Unsigned, clipped at 0; signed and not clipped where two classes are compared.
    """
    network = private(subject.models[0].network)
    place = place_of(network.body)
    kept = []

    def keep(module: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().requires_grad_())  # what comes before it needs no gradient
        return kept[-1]

    place.layer(network.body).register_forward_hook(keep)  # on modules that nobody else has
    pixels = subject.pixels[0]
    tick()
    with torch.enable_grad():
        score = subject.score(network(pixels)).sum()
        (gradient,) = torch.autograd.grad(score, kept[-1])
    size = tuple(pixels.shape[-2:])
    features, gradient = (
        channels_first(each.detach().float(), place, network.body, size) for each in (kept[-1], gradient)
    )
    values = (gradient.mean((2, 3), keepdim=True) * features).sum(1)[0]  # (h, w)
    signed = subject.against is not None
    values = values if signed else values.clamp_min(0)
    return Heat(values.cpu().numpy(), signed=signed, view=subject.views[0])


def channels_first(output: torch.Tensor, place: Place, body: nn.Module, size: Size) -> torch.Tensor:
    """A layer's output as (B, C, h, w), without prefix tokens.

    Raises:
        VitdemoError: it has not the shape that its family has.
    """
    if place.channels == "tokens" and output.dim() == 3:
        grid, prefix = place.grid(body, size), place.prefix(body)
        if output.shape[1] == prefix + grid[0] * grid[1]:
            return output[:, prefix:].unflatten(1, grid).permute(0, 3, 1, 2)
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
