"""The maps inside a network become one vector, whatever their size: what multi-scale fusion compares backbones by.

A map is (B, C, h, w), as `timm`'s `forward_intermediates` gives it. A network whose maps shrink from stage to stage
(ResNet, Swin, LeViT, CoAtNet, …) is described by the last map of each size, fine to coarse; one whose maps keep their
size (ViT and kin) by maps at even depths.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

MOST = 4  # maps of one network, the coarsest or deepest ones: what the hierarchical families have without their stem
GRID = 4  # cells along each side of the common grid: coarser than most maps, finer than a single average


def has_stages(body: nn.Module) -> bool:
    """Whether an architecture shows the maps inside it."""
    return callable(getattr(body, "forward_intermediates", None))


def chosen(shapes: Sequence[tuple[int, int]]) -> list[int]:
    """Which of a network's maps describe it.

    Args:
        shapes: (h, w) of each map, first layer first.

    Returns:
        At most `MOST` indices in rising order: the last map of each size, or even depths where all have one size.
    """
    last = sorted({shape: index for index, shape in enumerate(shapes)}.values())
    if len(last) > 1:
        return last[-MOST:]
    count = min(MOST, len(shapes))
    return [(step + 1) * len(shapes) // count - 1 for step in range(count)]


def pooled(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """One vector of a network's maps.

    Each map is averaged down to a grid of 4 x 4 cells (a smaller one is repeated), and each cell is normalised over its
    channels, so that no place speaks louder than another. The mean over the cells says what is there; the maximum says
    what is there *somewhere*, which a single average over the picture would drown. Each map's part is divided by the
    square root of its length, so that every stage has the same say.

    Args:
        maps: L tensors (B, C_l, h_l, w_l).

    Returns:
        (B, S), S = 2 Σ C_l over the chosen maps, fp32.
    """
    parts = []
    for index in chosen([tuple(each.shape[-2:]) for each in maps]):
        cells = F.adaptive_avg_pool2d(maps[index].float(), GRID).flatten(2).transpose(1, 2)  # (B, cells, C)
        cells = F.layer_norm(cells, cells.shape[-1:])
        part = torch.cat([cells.mean(1), cells.amax(1)], dim=-1)  # (B, 2 C)
        parts.append(part / part.shape[-1] ** 0.5)
    return torch.cat(parts, dim=-1)
