"""Where a mask says what the object is: does the map lie on it?

The pointing game (Zhang et al., 2016, arXiv 1608.00507) asks for the peak only, the energy (Wang et al., Score-CAM,
2020, arXiv 1910.01279, section 4.3) for all of the map. Negative values speak against the class and do not count. A
mask is (H, W) bool over the whole picture, of any resolution.
"""

from collections.abc import Sequence

import numpy as np

from vitdemo.faithfulness.cells import smoothed
from vitdemo.types import Heat
from vitdemo.views import canvas_shape, spread

FINE = 56  # cells along the long side when the peak is looked for: finer than tokens, coarser than pixels
SMOOTH = 2.0  # of those cells: a single loud pixel is no peak, and a coarse map's peak leans to its second highest cell


def energy(heat: Heat, mask: np.ndarray) -> float | None:
    """The share of a map's positive values that lies in the mask, 0..1; None for a map without any."""
    positive = spread(np.clip(heat.values, 0, None), heat.view, mask.shape)
    total = positive.sum()
    return float(positive[mask].sum() / total) if total > 0 else None


def peak(heat: Heat) -> tuple[float, float] | None:
    """(x, y) in pixels of the picture where the map is highest; None for a map that is the same everywhere.

    Maps of all grids are brought to one of 56 cells along the long side of what was seen and smoothed by a Gaussian of
    two of those cells, so that a map of pixels and one of tokens play by the same rules. There is no tolerance.
    """
    if np.ptp(heat.values) == 0:
        return None
    fine = smoothed(spread(heat.values, heat.view, canvas_shape(heat.view.size, FINE), heat.view), SMOOTH)
    row, column = np.unravel_index(fine.argmax(), fine.shape)
    left, top, right, bottom = heat.view.box
    return (
        float(left + (column + 0.5) / fine.shape[1] * (right - left)),
        float(top + (row + 0.5) / fine.shape[0] * (bottom - top)),
    )


def points_at(heat: Heat, masks: Sequence[np.ndarray]) -> int | None:
    """Which of several masks the map's peak lies in; None if in none of them."""
    at = peak(heat)
    if at is None:
        return None
    width, height = heat.view.picture
    for number, mask in enumerate(masks):
        row = min(max(int(at[1] / height * mask.shape[0]), 0), mask.shape[0] - 1)
        column = min(max(int(at[0] / width * mask.shape[1]), 0), mask.shape[1] - 1)
        if mask[row, column]:
            return number
    return None
