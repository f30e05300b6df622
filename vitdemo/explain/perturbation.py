"""Explanations from hiding parts of the picture, by Captum. They need no gradient: any fusion can be explained."""

import numpy as np
import torch

from vitdemo.explain.base import BASELINES, EXPLANATIONS, Explanation, Options, Subject, Tick
from vitdemo.types import Heat, View
from vitdemo.views import canvas_shape, union


def occlusion(subject: Subject, options: Options, tick: Tick) -> Heat:
    """Occlusion by patches (Zeiler and Fergus, 2014, arXiv 1311.2901, section 4.2), without overlap.

    The patches lie on the picture, so that a patch is hidden from all members of a fusion at once.

    Returns:
        Signed heat, one value per patch: p(picture) - p(picture without the patch).
    """
    from captum.attr import FeatureAblation  # here, because it is slow to import

    seen = union(subject.views)
    rows, columns = canvas_shape(seen.size, options.patches)
    masks = tuple(
        _cells(view, x.shape[-2:], seen.box, (rows, columns)).to(x.device)
        for view, x in zip(subject.views, subject.pixels, strict=True)
    )

    def score(*pixels: torch.Tensor) -> torch.Tensor:
        tick()
        return subject.scorer(*pixels)[:, subject.target]

    with torch.inference_mode():
        parts = FeatureAblation(score).attribute(
            subject.pixels,
            baselines=tuple(BASELINES[options.baseline](x) for x in subject.pixels),
            feature_mask=masks,
            perturbations_per_eval=options.batch,
        )
    values = np.zeros(rows * columns, dtype=np.float32)
    for part, mask in zip(parts, masks, strict=True):
        values[mask.flatten().cpu().numpy()] = part[0, 0].flatten().float().cpu().numpy()
    return Heat(values.reshape(rows, columns), signed=True, view=seen, figures={"patches": rows * columns})


def _cells(view: View, size: tuple[int, int], box: tuple[float, ...], grid: tuple[int, int]) -> torch.Tensor:
    """(1, 1, h, w): the patch of the box's grid in which the middle of each input pixel lies."""
    left, top, right, bottom = view.box
    y = top + (np.arange(size[0]) + 0.5) * (bottom - top) / size[0]
    x = left + (np.arange(size[1]) + 0.5) * (right - left) / size[1]
    row = np.clip(((y - box[1]) / (box[3] - box[1]) * grid[0]).astype(int), 0, grid[0] - 1)
    column = np.clip(((x - box[0]) / (box[2] - box[0]) * grid[1]).astype(int), 0, grid[1] - 1)
    return torch.from_numpy(row[:, None] * grid[1] + column[None, :])[None, None]


EXPLANATIONS.add(
    "occlusion",
    Explanation(
        name="occlusion",
        title="Occlusion",
        family="perturbation",
        sentence="Hides one patch after the other and shows how much the probability falls without it.",
        limits="It hides one patch at a time: what two patches say together, or either alone, it does not see.",
        paper="Zeiler and Fergus, 2014, arXiv 1311.2901",
        signed=True,
        class_specific=True,
        passes=lambda options: options.patches**2 + 1,
        refuse=lambda subject: None,
        compute=occlusion,
    ),
)
