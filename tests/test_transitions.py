"""Layers as transitions, against the layers themselves.

The strongest witness of an index map is the forward pass of timm. Its attention is frozen where it was recorded, and
all else is made to hand channel 0 on: norms and MLPs are taken out, values and projections copy the channel, merging
takes the mean. What is left is linear in the tokens, and its gradient is the row of the product of ½ (A + I): the
rollout. Rolls, masks, padding, partitions, late class tokens and exchanges between branches are timm's own.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from torch import nn

from tests.families import FAMILIES, body
from vitdemo.attention import Recorder, layout_of, rollout
from vitdemo.attention.transitions import Attend, Merge, Plane, halved, merge, numbers, overlap, strides, tiles, windows


class Frozen(Recorder):
    """Keeps the first head, which channel 0 belongs to, and lets no gradient through attention."""

    def __init__(self):
        super().__init__(lambda attention: attention[:, :1].detach())

    def _record(self, attention):
        super()._record(attention)
        return attention.detach()


class Nothing(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


class Shrink(nn.Module):
    """The mean under a kernel, and as many channels as are wanted."""

    def __init__(self, channels: int, kernel: int = 1):
        super().__init__()
        self.channels = channels
        self.pool = nn.AvgPool2d(kernel, 2, kernel // 3, ceil_mode=kernel == 2, count_include_pad=False)
        self.kernel = kernel

    def forward(self, x, token=None):
        if self.kernel > 1:
            x = self.pool(x)
        axis = 1 if x.dim() == 4 else -1
        kept = x.narrow(axis, 0, 1)
        shape = list(x.shape)
        shape[axis] = self.channels - 1
        x = torch.cat([kept, kept.new_zeros(shape)], axis)
        return x if token is None else (x, Shrink(self.channels)(token))


def hand_on(layer: nn.Module, row: int = 0) -> None:
    """Output channel `row` copies input channel 0."""
    layer = getattr(layer, "linear", layer)
    layer.weight[row] = 0
    layer.weight[row].view(-1)[0] = 1
    if layer.bias is not None:
        layer.bias[row] = 0


def open_values(attn: nn.Module) -> None:
    """Channel 0 goes through the first head's values and the projection."""
    kind = type(attn).__name__
    module = type(attn).__module__
    if kind == "AttentionDownsample":
        hand_on(attn.kv, attn.key_dim)
    elif module.endswith(("levit", "tiny_vit")):
        hand_on(attn.qkv, 2 * attn.key_dim)
    elif module.endswith("maxxvit"):
        hand_on(attn.qkv, 2 * attn.dim_head if attn.head_first else 2 * attn.dim_head * attn.num_heads)
    elif hasattr(attn, "qkv"):
        hand_on(attn.qkv, 2 * attn.qkv.out_features // 3)
        if getattr(attn, "v_bias", None) is not None:
            attn.v_bias[0] = 0
    else:
        hand_on(next(getattr(attn, name) for name in ("wv", "v") if hasattr(attn, name)))
    hand_on(attn.proj.ln if hasattr(attn.proj, "ln") else attn.proj)
    if hasattr(attn.proj, "act"):
        attn.proj.act = nn.Identity()
    if hasattr(attn, "proj_w"):  # talking heads
        attn.proj_w.weight.copy_(torch.eye(len(attn.proj_w.weight)))
        attn.proj_w.bias.zero_()


BLOCKS = {"Block", "EvaBlock", "SwinTransformerBlock", "SwinTransformerV2Block", "LevitBlock", "TinyVitBlock",
          "TransformerBlock2d", "PartitionAttentionCl", "PartitionAttention2d", "LayerScaleBlock",
          "LayerScaleBlockClassAttn", "CrossAttentionBlock"}  # fmt: skip
NORMS = (nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d)


@torch.no_grad()
def linear(model: nn.Module) -> nn.Module:
    """A copy that hands channel 0 from token to token by attention and skip connections alone."""
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        kind = type(module).__name__
        if kind == "PatchMerging" and hasattr(module, "reduction"):  # Swin
            module.reduction.weight[0] = 0
            module.reduction.weight[0, :: module.reduction.in_features // 4] = 1 / 4
        if kind == "Downsample2d" and isinstance(module.expand, nn.Conv2d):
            hand_on(module.expand)
        for name, child in list(module.named_children()):
            if isinstance(child, NORMS):
                setattr(module, name, nn.Identity())
            elif name in ("mlp", "local_conv"):
                setattr(module, name, Nothing() if name == "mlp" else nn.Identity())
            elif name == "downsample" and type(child).__name__ == "PatchMerging" and hasattr(child, "conv2"):  # TinyViT
                setattr(module, name, Shrink(module.out_dim, 3))
            elif name == "pool" and type(child).__name__ == "Pooling":  # PiT
                setattr(module, name, Shrink(child.fc.out_features, 3))
            elif name == "conv" and type(module).__name__ == "MaxxVitBlock":
                setattr(module, name, Shrink(module.attn_grid.attn.proj.out_features, 2))
            elif name in ("projs", "revert_projs"):  # CrossViT
                setattr(module, name, nn.ModuleList(Shrink(part[-1].out_features) for part in child))
        for name in ("gamma_1", "gamma_2"):
            if getattr(module, name, None) is not None:
                getattr(module, name).fill_(1)
        if kind in BLOCKS:
            module.register_forward_hook(lambda block, inputs, output: output / 2)
        if hasattr(module, "proj") and any(hasattr(module, name) for name in ("qkv", "kv", "wv", "v")):
            open_values(module)
    return model


def map_by_gradient(model: nn.Module, size: tuple[int, int], entrance: str, seed: int = 0):
    """The gradient of channel 0 of what the head reads, with respect to channel 0 of the tokens, and the matrices."""
    plain, model = model, linear(model)
    leaves = []

    def enter(module, inputs, output):
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    for name in entrance.split(" "):
        model.get_submodule(name).register_forward_hook(enter)
    pictures = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(seed))
    with Frozen() as recorder:
        features = model.forward_head(model.forward_features(pictures), pre_logits=True)
    starts = (0, plain.embed_dim[0]) if type(plain).__name__ == "CrossVit" else (0,)
    read = sum(features[0, start] for start in starts) / len(starts)
    return torch.autograd.grad(read, leaves), recorder.matrices


def on_grid(gradient: torch.Tensor, channels_last: bool, first: int = 0) -> torch.Tensor:
    """Channel 0 of (1, N, C), (1, h, w, C) or (1, C, h, w)."""
    return gradient[0, first:, 0] if gradient.dim() == 3 else gradient[0, ..., 0] if channels_last else gradient[0, 0]


SMALL = {"num_classes": 5, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2}
SWIN = {"num_classes": 5, "embed_dim": 32, "depths": (2, 2), "num_heads": (2, 4)}
# name: architecture, arguments, size of the input, where the tokens enter
CASES = {
    "ViT": ("vit_tiny_patch16_224", SMALL | {"img_size": (32, 48)}, (32, 48), "norm_pre"),
    "EVA-02": ("eva02_tiny_patch14_224", SMALL | {"img_size": (32, 48)}, (32, 48), "norm_pre"),
    "Swin": ("swin_tiny_patch4_window7_224", SWIN | {"img_size": 32, "patch_size": 2, "window_size": 4}, (32, 32),
             "patch_embed"),
    "Swin, not square, padded": (
        "swin_tiny_patch4_window7_224", SWIN | {"img_size": (28, 44), "patch_size": 2, "window_size": 4}, (28, 44),
        "patch_embed"),
    "Swin v2, padded": (
        "swinv2_tiny_window8_256", SWIN | {"img_size": (36, 24), "patch_size": 2, "window_size": 4}, (36, 24),
        "patch_embed"),
    "LeViT": ("levit_128s", {"img_size": (64, 96), "embed_dim": (16, 24, 32), "key_dim": 8, "num_heads": (2, 3, 4),
                             "depth": (2, 1, 1), "num_classes": 5}, (64, 96), "stem"),
    "CaiT": ("cait_xxs24_224", SMALL | {"img_size": 32}, (32, 32), "patch_embed"),
    "ConViT": ("convit_tiny", SMALL | {"img_size": 32, "depth": 4, "local_up_to_layer": 2}, (32, 32), "patch_embed"),
    "CrossViT": ("crossvit_tiny_240", FAMILIES["CrossViT"].arguments, (120, 120), "patch_embed.0 patch_embed.1"),
    "CrossViT, cropped": (
        "crossvit_tiny_240", FAMILIES["CrossViT"].arguments | {"crop_scale": True}, (120, 120),
        "patch_embed.0 patch_embed.1"),
    "PiT": ("pit_ti_224", {"img_size": 64, "base_dims": (8, 8, 8), "depth": (1, 2, 1), "heads": (2, 4, 8)}, (64, 64),
            "patch_embed"),
    "PiT, distilled": (
        "pit_ti_distilled_224", {"img_size": 64, "base_dims": (8, 8, 8), "depth": (1, 1, 1), "heads": (2, 4, 8)},
        (64, 64), "patch_embed"),
    "TinyViT": ("tiny_vit_5m_224", {"embed_dims": (32, 32, 64, 64), "depths": (1, 2, 1, 1), "num_heads": (1, 2, 2, 2),
                                    "window_sizes": (4, 4, 4, 4)}, (96, 64), "stages.1.downsample"),
    "CoAtNet": ("coatnet_nano_rw_224", {"img_size": (64, 96), "embed_dim": (32, 32, 64, 64), "depths": (1, 1, 2, 1),
                                        "stem_width": (16, 32)}, (64, 96), "stages.1"),
    "MaxViT": ("test_maxvit", {"img_size": 128, "embed_dim": (32, 32, 64, 64)}, (128, 128), "stages.0.blocks.0.conv"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_rollout_is_what_the_forward_pass_hands_on(name):
    architecture, arguments, size, entrance = CASES[name]
    torch.manual_seed(sorted(CASES).index(name))
    model = timm.create_model(architecture, **arguments).eval().requires_grad_(False)
    for part, parameter in model.named_parameters():  # attention starts out nearly uniform
        if any(word in part for word in ("qkv", "q.", "k.", "wq", "wk", "kv", "bias_table", "attention_biases")):
            parameter.normal_(std=3.0 if name == "CaiT" else 0.3)
    layout = layout_of(model, size)
    gradients, matrices = map_by_gradient(model, size, entrance)
    if layout.whole:  # one head of each
        layout = replace(
            layout,
            steps=tuple(step if step.gate is None else replace(step, gate=step.gate[:1]) for step in layout.steps),
        )
    rolled = rollout(matrices, layout)[0]
    if len(gradients) == 2:  # branches, whose maps are brought to one grid
        maps = [on_grid(gradient, False) for gradient in gradients]
        spread = [
            one @ torch.from_numpy(overlap(plane, Plane(0, layout.grid))).float()
            for one, plane in zip(maps, layout.planes, strict=True)
        ]
        expected = sum(spread).view(layout.grid)
    else:
        expected = on_grid(gradients[0], name.startswith("Swin"), layout.prefix if name in ("ViT", "EVA-02") else 0)
        if expected.numel() == 4 * rolled.numel():  # tokens enter before the first merging
            expected = nn.functional.avg_pool2d(expected[None], 2)[0] * 4
        expected = expected.reshape(layout.grid)
    assert rolled.std() > 0.02 * rolled.mean()  # not a map that any index would give
    torch.testing.assert_close(rolled, expected, rtol=2e-3, atol=2e-6)


# index maps, by hand


def test_windows_by_hand():
    assert windows((2, 4), (2, 2)).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert windows((2, 4), (2, 2), (0, 1)).tolist() == [[1, 2, 5, 6], [3, 0, 7, 4]]
    assert windows((2, 3), (2, 2)).tolist() == [[0, 1, 3, 4], [2, -1, 5, -1]]
    assert tiles(numbers((2, 4)), (2, 4)).tolist() == [list(range(8))]
    assert strides((2, 4), (2, 2)).tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_merging_by_hand():
    assert halved((3, 4)) == (2, 2)
    assert merge((2, 4)).sources.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert merge((1, 3), prefix=1).sources.tolist() == [[0, -1, -1, -1], [1, 2, -1, -1], [3, -1, -1, -1]]
    assert merge((2, 2), 3).sources.tolist() == [[-1, -1, -1, -1, 0, 1, -1, 2, 3]]
    row = torch.tensor([[1.0, 2.0, 4.0]])
    assert merge((1, 3), prefix=1).carry(row).tolist() == [[1.0, 1.0, 1.0, 4.0]]


def test_overlapping_planes_by_hand():
    halves = overlap(Plane(1, (1, 2)), Plane(0, (1, 4)))
    assert halves.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    thirds = overlap(Plane(0, (1, 2)), Plane(0, (1, 3)))
    np.testing.assert_allclose(thirds, [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    middle = overlap(Plane(0, (1, 1), (0.25, 0, 0.75, 1)), Plane(0, (1, 4)))
    assert middle.tolist() == [[0, 0.5, 0.5, 0]]


def test_padding_gets_what_is_lost():
    """Of three tokens in windows of two, the last shares its window with padding."""
    step = Attend(windows((1, 3), (1, 2)), windows((1, 3), (1, 2)), 3, 3)
    attention = torch.full((1, 2, 2, 2), 0.5)
    row = torch.tensor([[1.0, 2.0, 4.0]])
    assert step.carry(row, attention, None).tolist() == [[1.5, 1.5, 2.0]]
    assert step.keep(row, 1.0).tolist() == row.tolist()


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("grid", [(4, 6), (5, 3)])
def test_rows_of_a_merge_sum_to_one(grid, kernel):
    step = merge(grid, kernel, prefix=2)
    assert isinstance(step, Merge)
    rows = step.carry(torch.eye(step.outputs))
    torch.testing.assert_close(rows.sum(1), torch.ones(step.outputs))


@pytest.mark.parametrize("family", ["Swin", "LeViT", "CaiT", "CrossViT", "ConViT", "PiT"])
def test_rows_sum_to_one_through_every_layer(family):
    """With attention whose rows sum to 1, no token's share is lost or made."""
    layout = layout_of(body(family), (FAMILIES[family].size,) * 2)
    for step in layout.steps:
        if isinstance(step, Attend):
            w, n, m = step.shape
            attention = torch.rand(1, w, n, m, generator=torch.Generator().manual_seed(0))
            attention = attention / attention.sum(-1, keepdim=True)
            half = 0.5 if step.residual else 1.0
            rows = [
                step.carry(one[None], attention * half, half if step.residual else None)
                for one in torch.eye(step.outputs)
            ]
            torch.testing.assert_close(torch.cat(rows).sum(1), torch.ones(step.outputs))
