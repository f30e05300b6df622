"""First weights of a transformer that has few pictures to learn from.

Trockman & Kolter 2023, "Mimetic initialization of self-attention layers", arXiv 2305.09828: the products of the weights
in trained transformers look like an identity plus noise (query by key) and a negative identity plus noise (value by
projection); starting from such products, and from sinusoidal position embeddings, makes up for part of the pictures.
"""

from __future__ import annotations

import torch
from timm.layers import build_sincos2d_pos_embed
from torch import Tensor, nn

QUERY_KEY = 0.7  # weight of the identity and of the noise in W_q W_kᵀ (section 3 of the paper)
VALUE_PROJECTION = 0.4  # likewise in W_v W_proj, where the identity is negative


@torch.no_grad()
def mimetic_(model: nn.Module) -> nn.Module:
    """Set attention weights and position embeddings of a timm VisionTransformer, in place, from torch's global seed."""
    for block in model.blocks:
        mimetic_attention_(block.attn)
    grid = build_sincos2d_pos_embed(list(model.patch_embed.grid_size), model.embed_dim)  # (N, D)
    model.pos_embed.zero_()
    model.pos_embed[:, model.pos_embed.shape[1] - len(grid) :] = grid
    return model


def mimetic_attention_(attention: nn.Module) -> None:
    """Set qkv and proj of one attention layer of width D and head width d."""
    width = attention.proj.in_features
    queries, keys, values = attention.qkv.weight.view(3, attention.num_heads, -1, width)  # each (heads, d, D)
    for query, key in zip(queries, keys, strict=True):
        left, right = factors(QUERY_KEY * noise(width) + QUERY_KEY * torch.eye(width), query.shape[0])
        query.copy_(left.T)
        key.copy_(right.T)
    left, right = factors(VALUE_PROJECTION * noise(width) - VALUE_PROJECTION * torch.eye(width), width)
    values.copy_(left.T.view_as(values))
    attention.proj.weight.copy_(right)
    for bias in (attention.qkv.bias, attention.proj.bias):
        if bias is not None:
            bias.zero_()


def noise(width: int) -> Tensor:
    """(D, D) normal with variance 1 / D."""
    return torch.randn(width, width) / width**0.5


def factors(product: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Left and right, each (D, rank), with left @ right.T the best approximation of `product` of that rank (SVD)."""
    u, s, vh = torch.linalg.svd(product)
    root = s[:rank].sqrt()
    return u[:, :rank] * root, vh[:rank].T * root
