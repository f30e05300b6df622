"""GradCAM against the package `grad-cam`, and against class activation maps where the two are the same."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timm.models.vision_transformer_relpos import ResPostRelPosBlock
from torch import nn

from tests import families
from tests.conftest import everything_on, paint
from tests.subjects import alone, family, model_of
from vitdemo.explain import Options, explain, fused_subject
from vitdemo.explain.base import private
from vitdemo.explain.cam import BARE, NORMS, PLACES, channels_first, places_of
from vitdemo.types import Heat, NotOffered

LAST_NORM = "blocks.{last}.norm1"
STAGES = {"embed_dims": (16, 16, 32, 32), "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}
WIDE = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
HIERA = {"embed_dim": 16, "stages": (1, 1, 1, 1)}
SMALL_CROSS = {"img_size": 60, "embed_dim": (12, 24), "num_heads": (2, 3), "depth": ((1, 1, 0),)}
DAVIT = {"embed_dims": (16, 16, 16, 32), "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 2)}

# timm architecture, arguments, input (h, w)
MORE = {
    "wide ViT": ("vit_tiny_patch16_224", WIDE, (32, 48)),
    "wide Swin v2": ("swinv2_tiny_window8_256", {"img_size": (32, 64), "patch_size": 2, "window_size": 4,
                     "embed_dim": 12, "depths": (1, 1), "num_heads": (2, 2)}, (32, 64)),
    "wide ResNet": ("resnet10t", {"channels": (8, 8, 16, 16), "stem_width": 8}, (64, 96)),
    "TinyViT": ("tiny_vit_5m_224", STAGES | {"window_sizes": (2, 2, 2, 2)}, (64, 64)),
    "CoAtNet": ("coatnet_nano_rw_224", {"img_size": 64, "embed_dim": (16, 32, 32, 64), "depths": (1, 1, 1, 1)},
                (64, 64)),
    "ConvNeXt": ("convnext_atto", {"dims": (8, 8, 16, 16), "depths": (1, 1, 1, 1)}, (64, 96)),
    "EdgeNeXt": ("edgenext_xx_small", {}, (64, 96)),
    "RegNet": ("regnety_002", {}, (64, 96)),
    "EfficientNet": ("efficientnet_lite0", {}, (64, 96)),
    "MobileNetV3": ("mobilenetv3_small_050", {}, (64, 96)),
    "EfficientViT": ("efficientvit_m0", {"img_size": 64}, (64, 64)),
    "wide NaFlexViT": ("naflexvit_base_patch16_gap", families.NAFLEX, (32, 48)),
    "wide NaFlexViT, attention-pooled": ("naflexvit_base_patch16_map", families.NAFLEX, (32, 48)),
    "wide ViT, parallel": ("vit_small_patch16_18x2_224", WIDE, (32, 48)),
    "wide ViT, norm after": ("vit_base_patch16_rpn_224", WIDE, (32, 48)),
    "wide ViT, one projection": ("vit_base_patch16_xp_224", WIDE, (32, 48)),
    "wide ViT, one projection, differential": ("vit_dpwee_patch16_reg1_gap_256", WIDE, (32, 48)),
    "wide EVA, norm after": ("eva02_enormous_patch14_clip_224", WIDE, (32, 48)),
    "wide ViT, relative positions": ("vit_relpos_small_patch16_224", WIDE, (32, 48)),
    "wide ViT, relative positions, class token": ("vit_relpos_base_patch16_cls_224", WIDE, (32, 48)),
    "wide ViT, relative positions, norm after": ("vit_srelpos_small_patch16_224", WIDE | {
        "block_fn": ResPostRelPosBlock}, (32, 48)),
    "wide CrossViT": ("crossvit_tiny_240", {"img_size": (60, 120), "embed_dim": (12, 24), "num_heads": (2, 3),
                      "depth": ((1, 1, 0), (1, 1, 0))}, (60, 120)),
    "wide TNT": ("tnt_s_patch16_224", {"img_size": (32, 48), "patch_size": 16, "embed_dim": 24, "inner_dim": 12,
                 "depth": 2, "num_heads_outer": 2, "num_heads_inner": 2}, (32, 48)),
    "wide Twins-PCPVT": ("twins_pcpvt_small", families.TWINS | {"img_size": (64, 96)}, (64, 96)),
    "wide Twins-SVT": ("twins_svt_small", families.TWINS | {"wss": (4, 2, 2, 2), "img_size": (64, 96)}, (64, 96)),
    "wide Hiera": ("hiera_tiny_224", HIERA | {"img_size": (64, 128)}, (64, 128)),
    "wide Hiera, pooled once": ("hiera_tiny_224", HIERA | {"img_size": (64, 128), "q_pool": 1}, (64, 128)),
    "wide Hiera, pooled twice": ("hiera_tiny_224", HIERA | {"img_size": (64, 128), "q_pool": 2}, (64, 128)),
    "wide SAM's ViT": ("samvit_base_patch16_224", WIDE | {"global_attn_indexes": (1,), "window_size": 4}, (32, 48)),
    "wide SAM's ViT with its neck": ("samvit_base_patch16_224", WIDE | {"neck_chans": 12, "window_size": 4}, (32, 48)),
    "wide Swin v2 CR": ("swinv2_cr_tiny_224", {"img_size": (64, 128), "window_size": 2, "embed_dim": 12,
                        "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}, (64, 128)),
    "wide Visformer": ("visformer_tiny", {"img_size": (64, 96), "embed_dim": 48, "depth": (1, 1, 1),
                       "init_channels": 8}, (64, 96)),
    "wide PVT v2": ("pvt_v2_b0", {}, (64, 96)),
    "wide DaViT": ("davit_tiny", DAVIT, (64, 96)),
    "wide DaViT, norm first": ("davit_tiny", DAVIT | {"head_norm_first": True}, (64, 96)),
    "wide FastViT": ("fastvit_sa12", {"embed_dims": (16, 16, 32, 32), "layers": (1, 1, 1, 1)}, (64, 96)),
    "wide iFormer": ("iformer_t", {}, (64, 96)),
}  # fmt: skip


def mask_units(*grid: int):
    """Hiera's tokens where pooling has left some of the mask units whole: (B, 2, 2, ..., h, w) says first by which of
    the four tokens of a unit of two, and last by where the largest unit lies."""

    def reshape(output: torch.Tensor) -> torch.Tensor:
        batch, _, channels = output.shape
        within = len(grid) - 2
        tokens = output.reshape(batch, *[2] * within, *grid[-2:], channels)
        for _ in range(within // 2):  # the innermost (y, x) of those before the grid lies inside each place of it
            dims = tokens.dim()
            y, x, h, w = range(dims - 5, dims - 1)
            order = [*range(dims - 5), h, y, w, x, dims - 1]
            tokens = tokens.permute(order).flatten(y + 2, y + 3).flatten(y, y + 1)
        return tokens.permute(0, 3, 1, 2)

    return reshape


# the layer, and how its output becomes (B, C, h, w): prefix tokens and grid, the axis of the channels, or a function
LAYERS = {
    "ViT": (LAST_NORM, (1, 4, 4)),
    "wide ViT": (LAST_NORM, (1, 4, 6)),
    "ViT, attention-pooled": (LAST_NORM, (0, 4, 4)),
    "DeiT": (LAST_NORM, (2, 4, 4)),
    "DINOv2": (LAST_NORM, (5, 4, 4)),
    "DINOv3": (LAST_NORM, (5, 4, 4)),
    "DINOv2, class token and patches": (LAST_NORM, (1, 4, 4)),
    "DeiT, class token alone": (LAST_NORM, (2, 4, 4)),
    "EVA-02": (LAST_NORM, (1, 4, 4)),
    "BEiT": (LAST_NORM, (1, 4, 4)),
    "hybrid": (LAST_NORM, (1, 16, 16)),
    "ConViT": (LAST_NORM, (1, 4, 4)),
    "PiT": ("transformers.2.blocks.0.norm1", (1, 2, 2)),
    "CaiT": ("blocks.{last}", (0, 4, 4)),
    "XCiT": ("blocks.{last}", (0, 2, 2)),
    "LeViT": ("stages", (0, 1, 1)),
    "Swin": ("norm", "last"),
    "wide Swin v2": ("norm", "last"),
    "ResNet": ("layer4", "first"),
    "wide ResNet": ("layer4", "first"),
    "MobileViT": ("final_conv", "first"),
    "MobileViTv2": ("final_conv", "first"),
    "RepVGG and kin": ("final_conv", "first"),
    "TinyViT": ("stages", "first"),
    "CoAtNet": ("norm", "first"),
    "ConvNeXt": ("stages", "first"),
    "EdgeNeXt": ("stages", "first"),
    "RegNet": ("final_conv", "first"),
    "EfficientNet": ("bn2", "first"),
    "MobileNetV3": ("blocks", "first"),
    "NaFlexViT": (LAST_NORM, (4, 4, 4)),
    "wide NaFlexViT": (LAST_NORM, (4, 4, 6)),
    "wide NaFlexViT, attention-pooled": (LAST_NORM, (1, 4, 6)),
    "ViT, parallel": ("blocks.0", (1, 4, 4)),
    "wide ViT, parallel": ("blocks.0", (1, 4, 6)),
    "wide ViT, norm after": ("blocks.0", (0, 4, 6)),
    "wide ViT, one projection": ("blocks.1.in_norm", (1, 4, 6)),
    "wide ViT, one projection, differential": ("blocks.1.in_norm", (1, 4, 6)),
    "wide EVA, norm after": ("blocks.0", (1, 4, 6)),
    "wide ViT, relative positions": (LAST_NORM, (0, 4, 6)),
    "wide ViT, relative positions, class token": (LAST_NORM, (1, 4, 6)),
    "wide ViT, relative positions, norm after": ("blocks.0", (0, 4, 6)),
    "TNT": ("blocks.{last}.norm_out", (1, 2, 2)),
    "wide TNT": ("blocks.{last}.norm_out", (1, 2, 3)),
    "wide Twins-PCPVT": ("norm", (0, 2, 3)),
    "wide Twins-SVT": ("norm", (0, 2, 3)),
    "Hiera": ("blocks.3", (0, 2, 2)),
    "wide Hiera": ("blocks.3", (0, 2, 4)),
    "wide Hiera, pooled twice": ("blocks.3", mask_units(2, 2, 2, 4)),
    "wide Hiera, pooled once": ("blocks.3", mask_units(2, 2, 2, 2, 2, 4)),
    "wide SAM's ViT": ("neck", "first"),
    "wide SAM's ViT with its neck": ("neck", "first"),
    "wide Swin v2 CR": ("stages", "first"),
    "wide Visformer": ("norm", "first"),
    "wide PVT v2": ("stages", "first"),
    "wide DaViT": ("stages", "first"),
    "wide DaViT, norm first": ("stages", "first"),
    "FastViT": ("final_conv", "first"),
    "wide FastViT": ("final_conv", "first"),
    "wide iFormer": ("stages", "first"),
}


def subject_of(name: str, against: int | None = None):
    """Families of `tests.families` as they are there, unless they are here."""
    if name not in MORE:
        return family(name, against=against)
    architecture, arguments, size = MORE[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = timm.create_model(architecture, num_classes=5, **arguments)
        for part, parameter in body.named_parameters():
            attends = any(each in part for each in ("qkv", "attn_pool", "attns", "in_proj"))
            if parameter.dim() > 1 and (attends or part.startswith(("head", "fc", "classifier"))):
                nn.init.normal_(parameter, std=0.3)  # timm starts them near zero, where a map is rounding
    return alone(model_of(body.eval(), size, name), paint(60, 60), against=against)


def to_channels_first(how):
    if how == "first":
        return None
    if how == "last":
        return lambda output: output.permute(0, 3, 1, 2)
    if callable(how):
        return how
    prefix, height, width = how
    return lambda output: output[:, prefix:].reshape(len(output), height, width, output.shape[-1]).permute(0, 3, 1, 2)


def by_the_package(subject, path: str, how, target: int) -> np.ndarray:
    """Its map before it cuts what is negative."""
    network = private(subject.models[0].network)  # the package leaves its hooks on
    layer = network.body.get_submodule(path.format(last=len(getattr(network.body, "blocks", "-")) - 1))
    with GradCAM(network, [layer], to_channels_first(how)) as cam:
        pixels, targets = subject.pixels[0].clone().requires_grad_(), [ClassifierOutputTarget(target)]
        cam(pixels, targets)
        kept = cam.activations_and_grads
        features, gradients = kept.activations[0].numpy(), kept.gradients[0].numpy()
        return cam.get_cam_image(pixels, layer, targets, features, gradients, False)[0]


def agree(oracle, subject, expected: np.ndarray, other: np.ndarray) -> None:
    """Unsigned for class 1; and signed, where it is compared with class 3."""
    heat = explain("grad_cam", subject, Options())
    both = explain("grad_cam", replace(subject, against=3), Options())
    assert both.signed and not heat.signed and np.abs(expected).max() > 0
    for values, wanted in ((heat.values, np.maximum(expected, 0)), (both.values, expected - other)):
        oracle("GradCAM", "package grad-cam", values, wanted, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_what_the_package_computes(name, oracle):
    subject = subject_of(name)
    agree(oracle, subject, *(by_the_package(subject, *LAYERS[name], target) for target in (1, 3)))


@pytest.mark.parametrize(
    ("name", "fine", "coarse"), [("CrossViT", (10, 10), (7, 7)), ("wide CrossViT", (5, 10), (3, 7))]
)
def test_of_two_branches_it_is_the_sum(name, fine, coarse, oracle):
    """Each class token asks the other branch's patches. A coarse patch is divided among the fine ones that it covers:
    by area, on a grid that is finer than both."""
    subject = subject_of(name)

    def both(target: int) -> np.ndarray:
        small = by_the_package(subject, "blocks.{last}.fusion.1.norm1", (1, *fine), target)
        large = by_the_package(subject, "blocks.{last}.fusion.0.norm1", (1, *coarse), target)
        divided = np.kron(large, np.ones(fine)) / (fine[0] * fine[1])
        return small + divided.reshape(fine[0], coarse[0], fine[1], coarse[1]).sum((1, 3))

    agree(oracle, subject, both(1), both(3))
    heat = explain("grad_cam", subject, Options())
    assert heat.values.shape == fine and "both branches" in heat.note


@pytest.mark.parametrize("name", [name for name in LAYERS if "Hiera" in name])
def test_tokens_of_mask_units_lie_where_timm_puts_them(name):
    """What a network gives that is asked for its feature maps."""
    body = subject_of(name).models[0].network.body
    pixels = (
        torch.randn(2, 3, *MORE[name][2], generator=torch.Generator().manual_seed(0))
        if name in MORE
        else (families.pixels(name))
    )
    with torch.no_grad():
        tokens, maps = body.forward_intermediates(pixels)
    (place,) = places_of(body)
    torch.testing.assert_close(channels_first(tokens, place, body, tuple(pixels.shape[-2:])), maps[-1], rtol=0, atol=0)


@pytest.mark.parametrize(("name", "head"), [("Swin", "head.fc"), ("wide Swin v2", "head.fc"), ("wide ResNet", "fc")])
def test_under_average_pooling_it_is_the_class_activation_map(name, head, oracle):
    """Zhou et al., 2016: the head's own weights at each place, of which the logit is the mean."""
    subject = subject_of(name, against=3)
    body, network = subject.models[0].network.body, subject.models[0].network
    with torch.no_grad():
        features = body.forward_features((subject.pixels[0] - network.mean) / network.std)[0]
        features = features if name == "wide ResNet" else features.permute(2, 0, 1)  # (C, h, w)
        weight, bias = body.get_submodule(head).weight, body.get_submodule(head).bias
        expected = torch.einsum("c,chw->hw", weight[1] - weight[3], features) / features[0].numel()
        logits = network(subject.pixels[0])[0]
    values = explain("grad_cam", subject, Options()).values
    oracle("GradCAM", "class activation map", values, expected, rtol=1e-3, atol=1e-5)
    share = values.sum() + float(bias[1] - bias[3])
    oracle("GradCAM", "completeness, under average pooling", share, logits[1] - logits[3], atol=1e-4)


def test_every_place_is_checked_here():
    kinds = {type(subject_of(name).models[0].network.body).__name__ for name in LAYERS}
    assert set(PLACES) - kinds == {"Levit", "CrossVit"}  # with LevitDistilled; by the sum of its branches
    bodies = [subject_of(name).models[0].network.body for name in LAYERS if "blocks." in LAYERS[name][0][:7]]
    lasts = {type(body.blocks[-1]).__name__ for body in bodies}
    assert set(NORMS) | BARE <= lasts


def test_what_was_not_checked_is_refused():
    refusal = explain("grad_cam", subject_of("EfficientViT"), Options())
    assert isinstance(refusal, NotOffered)
    assert "not checked for EfficientVitMsra" in refusal.reason


@pytest.mark.parametrize(
    ("architecture", "arguments", "words"),
    [
        ("vit_small_patch16_18x2_224", families.SMALL | {"depth": 1}, "ParallelThingsBlock has no layer"),
        ("crossvit_tiny_240", SMALL_CROSS | {"crop_scale": True}, "another exchange, head or cut"),
        ("crossvit_tiny_240", SMALL_CROSS | {"global_pool": "avg"}, "another exchange, head or cut"),
        ("crossvit_tiny_240", SMALL_CROSS | {"depth": ((1, 1, 2),)}, "another exchange, head or cut"),
    ],
)
def test_variants_that_have_no_such_layer_are_refused(architecture, arguments, words):
    assert words in places_of(timm.create_model(architecture, num_classes=5, **arguments))


def test_of_a_fusion_it_is_the_weighted_mean_of_the_backbones_shares():
    singles = [subject_of(name) for name in ("ViT", "EfficientViT", "DeiT")]
    fused = fused_subject(singles, "mean", np.array([0.5, 0.2, 0.3]))
    heat = explain("grad_cam", fused, Options())
    maps = [explain("grad_cam", singles[index], Options()).values for index in (0, 2)]
    expected = sum(weight * m / m.sum() for weight, m in zip((0.625, 0.375), maps, strict=True))
    np.testing.assert_allclose(heat.values, expected, rtol=1e-4, atol=1e-7)
    assert isinstance(heat, Heat)
    assert (heat.figures["members"], heat.figures["of"]) == (2, 3)


def test_the_shared_network_is_never_touched():
    subject = family("ViT")
    before = everything_on(subject.scorer)
    own = private(subject.models[0].network)
    for parameter, other in zip(own.parameters(), subject.models[0].network.parameters(), strict=True):
        assert parameter is other
    assert not {id(module) for module in own.modules()} & {id(module) for module in subject.scorer.modules()}
    own.register_forward_hook(lambda *arguments: pytest.fail("somebody else's hook"))
    explain("grad_cam", subject, Options())
    assert everything_on(subject.scorer) == before
