"""Attention rollout (Abnar and Zuidema, Quantifying Attention Flow in Transformers, 2020, arXiv 2005.00928).

With E the attention of a layer fused over heads and a residual weight of 1/2,

    Â = rownorm(½ E + ½ I),    R = Â_L ··· Â_2 Â_1        (section 3; later layers on the left)

and the map is the row of R that the head reads. One row is all that is needed, so it travels from the last layer
to the first, r ← r Â, in O(L N²) instead of O(L N³).
"""

from collections.abc import Sequence

import torch

from vitdemo.attention.tokens import Layout
from vitdemo.errors import VitdemoError


def rollout(
    matrices: Sequence[torch.Tensor], layout: Layout, residual: float = 0.5, discard: float = 0.0
) -> torch.Tensor:
    """How much of what the head reads comes from each patch, if attention were all that moves information.

    Args:
        matrices: L tensors (B, N, N), heads already fused, first layer first; rows sum to 1 for the mean of heads.
        layout: which token is which patch.
        residual: weight in [0, 1) of the identity that stands for the skip connection.
        discard: share in [0, 1) of the lowest entries of each layer that are set to 0, per picture, as in Gildenblat's
            implementation; never those in the rows and columns of the tokens that the head reads, unless it reads
            all patches.

    Returns:
        (B, h, w), each between 0 and 1; what arrived at the prefix tokens is left out.

    Raises:
        VitdemoError: a share outside its range, or matrices that are not those of the layout.
    """
    for name, share in (("residual", residual), ("discard", discard)):
        if not 0 <= share < 1:
            raise VitdemoError(f"{name} is {share}; allowed: 0 to below 1.")
    if len(matrices) != layout.layers or any(m.shape[1:] != (layout.tokens,) * 2 for m in matrices):
        shapes = sorted({tuple(m.shape) for m in matrices})
        raise VitdemoError(
            f"Recorded {len(matrices)} attention matrices of shapes {shapes}; "
            f"expected {layout.layers} of (B, {layout.tokens}, {layout.tokens})."
        )
    row = matrices[0].new_zeros(matrices[0].shape[0], 1, layout.tokens).float()
    row[..., list(layout.readout)] = 1 / len(layout.readout)
    for attention in reversed(matrices):
        row = row @ _transition(attention.float(), layout, residual, discard)
    return row[:, 0, layout.prefix :].unflatten(-1, layout.grid)


def _transition(attention: torch.Tensor, layout: Layout, residual: float, discard: float) -> torch.Tensor:
    """(B, N, N): rownorm((1 - residual) E + residual I)."""
    if discard:
        attention = _discard(attention, layout, discard)
    identity = torch.eye(attention.shape[-1], device=attention.device)
    mixed = (1 - residual) * attention + residual * identity
    return mixed / mixed.sum(-1, keepdim=True).clamp_min(torch.finfo(mixed.dtype).tiny)


def _discard(attention: torch.Tensor, layout: Layout, share: float) -> torch.Tensor:
    """Sets the lowest entries of each picture to 0, sparing the head's tokens."""
    batch, tokens, _ = attention.shape
    spared = torch.zeros(tokens, tokens, dtype=torch.bool, device=attention.device)
    if len(layout.readout) < layout.tokens - layout.prefix:
        spared[list(layout.readout)] = True
        spared[:, list(layout.readout)] = True
    candidates = attention.masked_fill(spared, float("inf")).flatten(1)
    count = min(int(share * tokens * tokens), int((~spared).sum()))
    lowest = candidates.topk(count, largest=False).indices
    return attention.flatten(1).scatter(1, lowest, 0.0).view(batch, tokens, tokens)
