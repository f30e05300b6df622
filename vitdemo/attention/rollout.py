"""Attention rollout (Abnar and Zuidema, Quantifying Attention Flow in Transformers, 2020, arXiv 2005.00928).

With E the attention of a layer fused over heads and a residual weight of 1/2,

    Â = rownorm(½ E + ½ I),    R = Â_L ··· Â_2 Â_1        (section 3; later layers on the left)

and the map is the row of R that the head reads. One row is all that is needed, so it travels from the last layer
to the first, r ← r Â, in O(L N²) instead of O(L N³). Where a layer has no skip connection, Â is E.
"""

from collections.abc import Sequence

import torch

from vitdemo.attention.tokens import Layout, attention_of
from vitdemo.attention.transitions import Attend, Merge
from vitdemo.errors import VitdemoError


def rollout(
    matrices: Sequence[torch.Tensor],
    layout: Layout,
    residual: float = 0.5,
    discard: float = 0.0,
    head_fusion: str = "mean",
    start: int = 0,
) -> torch.Tensor:
    """How much of what the head reads comes from each patch, if attention were all that moves information.

    Args:
        matrices: as recorded, first layer first: (B W, heads, n, m), or (B W, n, m) with the heads fused; rows sum to 1
            for the mean of heads. W is the number of windows, 1 in most architectures.
        layout: which token is which patch, and what each layer makes of them.
        residual: weight in [0, 1) of the identity that stands for the skip connection.
        discard: share in [0, 1) of the lowest entries of each layer that are set to 0, per picture, as in Gildenblat's
            implementation; never those in the rows and columns of the tokens that the head reads, unless it reads
            all patches.
        head_fusion: how heads become one matrix, a name in `HEAD_FUSIONS`; the one they were recorded with, if they
            are fused already.
        start: attentions before this one count as the identity, as if the picture began there, except where the number
            of tokens changes.

    Returns:
        (B, h, w), each between 0 and 1; what arrived at the prefix tokens is left out.

    Raises:
        VitdemoError: a share outside its range, or matrices that are not those of the layout.
    """
    for name, share in (("residual", residual), ("discard", discard)):
        if not 0 <= share < 1:
            raise VitdemoError(f"{name} is {share}; allowed: 0 to below 1.")
    if not 0 <= start < len(layout.attentions):
        raise VitdemoError(f"start is {start}; allowed: 0 to {len(layout.attentions) - 1}.")
    row = None
    for step, parts, number in layout.backwards(matrices):
        if row is None:
            row = layout.row(matrices[-1], len(matrices[-1]) // layout.attentions[-1].shape[0])
        if isinstance(step, Merge):
            row = step.carry(row)
            continue
        if number < start and step.residual:
            continue
        attention = attention_of(step, parts, head_fusion)
        if discard:
            attention = _discard(attention, step, discard)
        row = step.carry(row, *normalise(attention, residual if step.residual else 0.0))
    return layout.map(row)


def normalise(attention: torch.Tensor, residual: float) -> tuple[torch.Tensor, torch.Tensor | None]:
    """rownorm((1 - residual) E + residual I), as what each query takes (B, W, n, m) and what it keeps (B, W, n)."""
    total = ((1 - residual) * attention.sum(-1) + residual).clamp_min(torch.finfo(attention.dtype).tiny)
    return attention * ((1 - residual) / total).unsqueeze(-1), residual / total if residual else None


def _discard(attention: torch.Tensor, step: Attend, share: float) -> torch.Tensor:
    """Sets the lowest entries of each picture to 0, sparing the head's tokens."""
    spared = torch.zeros(step.shape, dtype=torch.bool)
    for token in step.spared:
        spared |= torch.from_numpy(step.queries == token).unsqueeze(-1)
        if step.residual:  # the same token is a key too
            spared |= torch.from_numpy(step.keys == token).unsqueeze(-2)
    candidates = attention.masked_fill(spared.to(attention.device), float("inf")).flatten(1)
    count = min(int(share * spared.numel()), int((~spared).sum()))
    lowest = candidates.topk(count, largest=False).indices
    return attention.flatten(1).scatter(1, lowest, 0.0).view(attention.shape)
