"""Learning from pictures without labels by predicting the patches that were hidden.

    picture ──▶ patches, most of them hidden ──encoder──▶ tokens ──decoder──▶ what the hidden patches looked like

Two ways, on one timm VisionTransformer whose own modules are used, so that its state dict stays timm's:

- MAE (He et al. 2022, "Masked autoencoders are scalable vision learners", arXiv 2111.06377): the encoder sees the
  visible patches alone; a small transformer predicts the hidden ones. Target: the pixels of each patch minus their
  mean, over their standard deviation; squared error, so that predicting 0 everywhere costs about 1.
- SimMIM (Xie et al. 2022, "SimMIM: a simple framework for masked image modeling", arXiv 2111.09886): the encoder sees
  all places, the hidden ones as one learned token; one linear layer predicts. Target: the pixels; absolute error.

Data convention: pictures are normalised, (B, 3, H, W) float32; patches are (B, N, P) with P = 3 p² values, pixel by
pixel from the top left, the channel last; a mask is (B, N) bool, True where hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from PIL import Image
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from vitdemo.training import data

EPSILON = 1e-6  # added to a patch's variance, as in the authors' code: a patch of one colour has none
GREY = 128  # of hidden patches in a figure
GAP = 4  # pixels between the pictures of a figure


def random_mask(pictures: int, patches: int, ratio: float, generator: torch.Generator) -> Tensor:
    """Hide round(ratio · patches) patches of each picture, every choice equally likely.

    Args:
        ratio: share of the patches that is hidden, in [0, 1].
        generator: on the CPU; the only source of randomness, so that devices agree.

    Returns:
        (pictures, patches) bool, True where hidden.
    """
    ranks = torch.rand(pictures, patches, generator=generator).argsort(1).argsort(1)  # (B, N), a permutation per row
    return ranks < round(ratio * patches)


def patchify(x: Tensor, size: int) -> Tensor:
    """(B, 3, H, W) to (B, N, 3 size²); patches row by row, as timm's patch embedding orders them."""
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // size, size, w // size, size)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, -1, size * size * c)


def unpatchify(patches: Tensor, size: int, grid: tuple[int, int]) -> Tensor:
    """The inverse of `patchify`: (B, N, 3 size²) to (B, 3, H, W), where N = grid[0] · grid[1]."""
    h, w = grid
    x = patches.reshape(len(patches), h, w, size, size, -1)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), -1, h * size, w * size)


def moments(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each patch over its pixels and channels, each (B, N, 1)."""
    return patches.mean(-1, keepdim=True), (patches.var(-1, keepdim=True) + EPSILON).sqrt()


def masked_error(predicted: Tensor, target: Tensor, mask: Tensor, power: int) -> Tensor:
    """Mean of |predicted − target|^power over the hidden patches alone.

    Args:
        predicted, target: (B, N, P).
        mask: (B, N) bool, True where hidden.
        power: 2 for MAE (section 3, "Reconstruction target"), 1 for SimMIM (section 3.4).
    """
    error = (predicted.float() - target).abs().pow(power).mean(-1)  # (B, N)
    return (error * mask).sum() / mask.sum()


def encode_visible(encoder: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """The tokens of a timm VisionTransformer that is given the visible patches only.

    Args:
        mask: (B, N) bool with the same number of hidden patches in every row.

    Returns:
        (B, prefix + visible, D), in the order of the patches.
    """
    prefix = encoder.num_prefix_tokens
    tokens = encoder.patch_embed(x) + encoder.pos_embed[:, prefix:]  # (B, N, D)
    tokens = tokens[~mask].view(len(x), -1, tokens.shape[-1])  # (B, visible, D)
    return _through(encoder, tokens)


def encode_replaced(encoder: nn.Module, x: Tensor, mask: Tensor, token: Tensor) -> Tensor:
    """The tokens (B, prefix + N, D) of a timm VisionTransformer in which `token` (D,) stands for hidden patches."""
    tokens = torch.where(mask[..., None], token, encoder.patch_embed(x))
    return _through(encoder, tokens + encoder.pos_embed[:, encoder.num_prefix_tokens :])


def _through(encoder: nn.Module, tokens: Tensor) -> Tensor:
    first = (encoder.cls_token + encoder.pos_embed[:, :1]).expand(len(tokens), -1, -1)
    return encoder.norm(encoder.blocks(encoder.norm_pre(torch.cat([first, tokens], 1))))


class MaeDecoder(nn.Module):
    """A narrow transformer that predicts all patches from the tokens of the visible ones (MAE, section 3)."""

    power = 2

    def __init__(self, encoder: nn.Module, width: int = 128, depth: int = 2, heads: int = 4):
        super().__init__()
        self.size, self.grid = encoder.patch_embed.patch_size[0], encoder.patch_embed.grid_size
        self.embed = nn.Linear(encoder.embed_dim, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        places = build_sincos2d_pos_embed(list(self.grid), width)  # (N, width), fixed as in the paper's appendix
        self.register_buffer("places", torch.cat([torch.zeros(1, width), places])[None], persistent=False)
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.blocks = nn.Sequential(*(Block(width, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth)))
        self.norm = norm(width)
        self.head = nn.Linear(width, 3 * self.size**2)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, encoder: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) and mask (B, N) to predicted, normalised patches (B, N, P)."""
        tokens = self.embed(encode_visible(encoder, x, mask))  # (B, 1 + visible, width)
        filled = self.mask_token.to(tokens.dtype).expand(*mask.shape, -1).clone()  # (B, N, width)
        filled[~mask] = tokens[:, 1:].flatten(0, 1)
        tokens = torch.cat([tokens[:, :1], filled], 1) + self.places
        return self.head(self.norm(self.blocks(tokens)))[:, 1:]

    def target(self, x: Tensor) -> Tensor:
        """What is to be predicted: patches of mean 0 and deviation 1, (B, N, P)."""
        patches = patchify(x, self.size)
        mean, deviation = moments(patches)
        return (patches - mean) / deviation

    def pixels(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Predicted patches (B, N, P) as pixels, with the mean and deviation of the patches of `x` itself."""
        mean, deviation = moments(patchify(x, self.size))
        return predicted * deviation + mean


class SimmimDecoder(nn.Module):
    """The token that stands for a hidden patch, and the linear layer that predicts its pixels (SimMIM, section 3)."""

    power = 1

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.size, self.grid = encoder.patch_embed.patch_size[0], encoder.patch_embed.grid_size
        self.mask_token = nn.Parameter(torch.zeros(encoder.embed_dim))
        self.head = nn.Linear(encoder.embed_dim, 3 * self.size**2)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, encoder: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) and mask (B, N) to predicted patches (B, N, P)."""
        tokens = encode_replaced(encoder, x, mask, self.mask_token)
        return self.head(tokens[:, encoder.num_prefix_tokens :])

    def target(self, x: Tensor) -> Tensor:
        """What is to be predicted: the pixels of each patch, (B, N, P)."""
        return patchify(x, self.size)

    def pixels(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Predicted patches as pixels: they are."""
        return predicted


DECODERS = {"mae": MaeDecoder, "simmim": SimmimDecoder}


def loss(encoder: nn.Module, decoder: MaeDecoder | SimmimDecoder, x: Tensor, mask: Tensor) -> Tensor:
    """The error of the prediction on the hidden patches of pictures x (B, 3, H, W), a scalar."""
    return masked_error(decoder(encoder, x, mask), decoder.target(x), mask, decoder.power)


@torch.no_grad()
def reconstruct(
    encoder: nn.Module, decoder: MaeDecoder | SimmimDecoder, pixels: Tensor, seed: int, ratio: float = 0.75
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hide patches of one picture and let the model fill them in.

    An MAE predicts patches of mean 0 and deviation 1 and so says nothing about their brightness and contrast: to show
    them as pixels, mean and deviation of each hidden patch are *taken from the original*. The reconstruction then looks
    better than what the model knows: only the pattern inside each hidden patch is predicted. SimMIM predicts pixels,
    and nothing is borrowed. In both, visible patches are those of the original.

    Args:
        encoder: a timm VisionTransformer in eval mode, decoder: trained with it.
        pixels: one normalised picture, (3, H, W) float32.
        seed: of the mask.
        ratio: share of the patches that is hidden.

    Returns:
        The picture with the hidden patches grey, the reconstruction, and the original, each (H, W, 3) uint8.
    """
    x = pixels[None].to(next(encoder.parameters()).device)
    patches = patchify(x, decoder.size)
    mask = random_mask(1, patches.shape[1], ratio, torch.Generator().manual_seed(seed)).to(x.device)
    filled = torch.where(mask[..., None], decoder.pixels(decoder(encoder, x, mask).float(), x), patches)
    original, reconstruction = (_bytes(unpatchify(p, decoder.size, decoder.grid)) for p in (patches, filled))
    hidden = mask.view(decoder.grid).cpu().numpy().repeat(decoder.size, 0).repeat(decoder.size, 1)  # (H, W)
    return np.where(hidden[..., None], np.uint8(GREY), original), reconstruction, original


def _bytes(x: Tensor) -> np.ndarray:
    """One normalised picture (1, 3, H, W) as (H, W, 3) uint8."""
    mean, std = (torch.tensor(v, device=x.device).view(3, 1, 1) for v in (data.MEAN, data.STD))
    return ((x[0] * std + mean) * 255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()


def reconstruction_figure(
    encoder: nn.Module,
    decoder: MaeDecoder | SimmimDecoder,
    pictures: Sequence[Tensor],
    seed: int = 0,
    ratio: float = 0.75,
    scale: int = 1,
) -> Image.Image:
    """One row a picture: masked, reconstructed (see `reconstruct` for what that means), original.

    Args:
        pictures: normalised, each (3, H, W) float32, all of one size.
        seed: of the first row's mask; each further row has the next one.
        scale: every pixel becomes a square of this side.
    """
    rows = [reconstruct(encoder, decoder, x, seed + index, ratio) for index, x in enumerate(pictures)]
    h, w = (side * scale for side in rows[0][0].shape[:2])
    sheet = Image.new("RGB", (3 * w + 2 * GAP, len(rows) * (h + GAP) - GAP), "white")
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            enlarged = Image.fromarray(image).resize((w, h), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (column * (w + GAP), row * (h + GAP)))
    return sheet
