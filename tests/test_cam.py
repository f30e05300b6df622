"""GradCAM against the package `grad-cam`, and against class activation maps where the two are the same."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from tests import families
from tests.conftest import everything_on, paint
from tests.subjects import alone, family, model_of
from vitdemo.explain import Options, explain, fused_subject
from vitdemo.explain.base import private
from vitdemo.explain.cam import PLACES, place_of
from vitdemo.types import Heat, NotOffered

LAST_NORM = "blocks.{last}.norm1"
STAGES = {"embed_dims": (16, 16, 32, 32), "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}
WIDE = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}

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
}  # fmt: skip

# the layer, and how its output becomes (B, C, h, w): prefix tokens and grid, or the axis of the channels
LAYERS = {
    "ViT": (LAST_NORM, (1, 4, 4)),
    "wide ViT": (LAST_NORM, (1, 4, 6)),
    "ViT, attention-pooled": (LAST_NORM, (0, 4, 4)),
    "DeiT": (LAST_NORM, (2, 4, 4)),
    "DINOv2": (LAST_NORM, (5, 4, 4)),
    "DINOv3": (LAST_NORM, (5, 4, 4)),
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
}


def subject_of(name: str, against: int | None = None):
    if name not in MORE:
        return family(name, against=against)
    architecture, arguments, size = MORE[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = timm.create_model(architecture, num_classes=5, **arguments)
        for part, parameter in body.named_parameters():
            if part.startswith(("head", "fc", "classifier")) and parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.3)
    return alone(model_of(body.eval(), size, name), paint(60, 60), against=against)


def to_channels_first(how):
    if how == "first":
        return None
    if how == "last":
        return lambda output: output.permute(0, 3, 1, 2)
    prefix, height, width = how
    return lambda output: output[:, prefix:].reshape(len(output), height, width, -1).permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_what_the_package_computes(name):
    subject = subject_of(name)
    path, how = LAYERS[name]
    heat = explain("grad_cam", subject, Options())
    network = private(subject.models[0].network)  # the package leaves its hooks on
    layer = network.body.get_submodule(path.format(last=len(getattr(network.body, "blocks", "-")) - 1))
    pixels = subject.pixels[0].clone().requires_grad_()
    target = ClassifierOutputTarget(1)
    cam = GradCAM(network, [layer], to_channels_first(how))
    cam(pixels, [target])
    features, gradients = (
        kept[0].numpy() for kept in (cam.activations_and_grads.activations, cam.activations_and_grads.gradients)
    )
    expected = cam.get_cam_image(pixels, layer, [target], features, gradients, False)[0]
    assert heat.values.shape == expected.shape
    np.testing.assert_allclose(heat.values, np.maximum(expected, 0), rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    assert np.abs(expected).max() > 0
    # and signed, where two classes are compared
    expected = expected - _raw(subject, layer, how, network, 3)
    both = explain("grad_cam", replace(subject, against=3), Options())
    assert both.signed and not heat.signed
    np.testing.assert_allclose(both.values, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def _raw(subject, layer, how, network, target: int) -> np.ndarray:
    with GradCAM(network, [layer], to_channels_first(how)) as cam:
        pixels, targets = subject.pixels[0].clone().requires_grad_(), [ClassifierOutputTarget(target)]
        cam(pixels, targets)
        kept = cam.activations_and_grads
        return cam.get_cam_image(pixels, layer, targets, kept.activations[0].numpy(), kept.gradients[0].numpy(), False)[
            0
        ]


@pytest.mark.parametrize(("name", "head"), [("Swin", "head.fc"), ("wide Swin v2", "head.fc"), ("wide ResNet", "fc")])
def test_under_average_pooling_it_is_the_class_activation_map(name, head):
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
    np.testing.assert_allclose(values, expected.numpy(), rtol=1e-3, atol=1e-5)
    assert values.sum() + float(bias[1] - bias[3]) == pytest.approx(float(logits[1] - logits[3]), abs=1e-4)


def test_every_place_is_checked_here():
    kinds = {type(subject_of(name).models[0].network.body).__name__ for name in LAYERS}
    assert set(PLACES) - kinds == {"Levit"}  # without the second head of LevitDistilled, which is checked


@pytest.mark.parametrize("name", ["CrossViT"])
def test_what_was_not_checked_is_refused(name):
    subject = family(name)
    refusal = explain("grad_cam", subject, Options())
    assert isinstance(refusal, NotOffered)
    assert "not checked for CrossVit" in refusal.reason


def test_a_block_without_what_it_needs_is_refused():
    body = timm.create_model("vit_small_patch16_18x2_224", num_classes=5, **families.SMALL)
    assert "ParallelThingsBlock" in place_of(body)


def test_of_a_fusion_it_is_the_weighted_mean_of_the_backbones_shares():
    singles = [family(name) for name in ("ViT", "CrossViT", "DeiT")]
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
