"""Explanations from hiding parts of the picture. They need no gradient: any fusion can be explained.

The picture is cut into F regions, patches or superpixels, on a grid (H, W) of region numbers over what the backbones
saw, so that a region is hidden from all members of a fusion at once. kept: (n, F) bool, the regions that each of n
pictures shows; what is hidden is taken from the baseline.
"""

import math
from collections.abc import Callable

import numpy as np
import torch

from vitdemo.explain.base import BASELINES, EXPLANATIONS, Explanation, Options, Subject, Tick, baselines_of
from vitdemo.types import Heat, View
from vitdemo.views import canvas_shape, union

CANVAS = 112  # cells along the long side of the grid of superpixels
COMPACTNESS = 0.15  # of superpixels: the step in colour, of 0..1, that counts like one region's width


# regions


def patch_grid(shape: tuple[int, int]) -> np.ndarray:
    """(H, W) int: every cell is a region of its own, row by row."""
    return np.arange(shape[0] * shape[1]).reshape(shape)


def superpixels(colours: np.ndarray, count: int, rounds: int = 8) -> np.ndarray:
    """Regions of similar colour, by k-means in place and colour from a regular grid of centres (SLIC, Achanta et al.,
    2012, equations 1 to 3, in RGB and with every centre compared with every pixel).

    Args:
        colours: (H, W, 3) in 0..1.
        count: regions at most.
        rounds: of k-means.

    Returns:
        (H, W) int from 0, every number up to the largest in use.
    """
    height, width = colours.shape[:2]
    rows, columns = _at_most(count, (height, width))
    step = math.sqrt(height * width / (rows * columns))
    y, x = np.mgrid[:height, :width] + 0.5
    points = np.concatenate([np.stack([y, x], -1) * COMPACTNESS / step, colours], -1).reshape(-1, 5)
    at_y = ((np.arange(rows) + 0.5) * height / rows).astype(int)
    at_x = ((np.arange(columns) + 0.5) * width / columns).astype(int)
    centres = points.reshape(height, width, 5)[at_y[:, None], at_x[None]].reshape(-1, 5)
    for _ in range(rounds):
        nearest = ((centres**2).sum(1) - 2 * points @ centres.T).argmin(1)
        sizes = np.bincount(nearest, minlength=len(centres))
        sums = np.stack([np.bincount(nearest, weights=each, minlength=len(centres)) for each in points.T], 1)
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
    return np.unique(nearest, return_inverse=True)[1].reshape(height, width)


def _at_most(count: int, shape: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of a grid of about square cells with at most `count` of them, and at most a cell a pixel."""
    rows = max(1, min(shape[0], count, round(math.sqrt(count * shape[0] / shape[1]))))
    return rows, max(1, min(shape[1], count // rows))


def _colours(subject: Subject, seen: View) -> np.ndarray:
    """(H, W, 3) in 0..1: the picture as the backbone with the widest view saw it, its edge continued where it ends."""
    widest = max(range(len(subject.views)), key=lambda m: subject.views[m].size[0] * subject.views[m].size[1])
    pixels = subject.pixels[widest][0].float().cpu().numpy()  # (3, h, w)
    places = patch_grid(pixels.shape[1:])
    index = _look_up(places, subject.views[widest], seen, canvas_shape(seen.size, CANVAS))
    return pixels.reshape(3, -1).T[index]


def _regions(subject: Subject, seen: View, options: Options) -> np.ndarray:
    if options.regions == "patches":
        return patch_grid(_at_most(options.segments, canvas_shape(seen.size, CANVAS)))
    return superpixels(_colours(subject, seen), options.segments)


def _look_up(values: np.ndarray, of: View, at: View, size: tuple[int, int]) -> np.ndarray:
    """(h, w): a grid over `of`, its edge continued, looked up in the middle of each cell of a grid over `at`."""
    left, top, right, bottom = at.box
    y = top + (np.arange(size[0]) + 0.5) * (bottom - top) / size[0]
    x = left + (np.arange(size[1]) + 0.5) * (right - left) / size[1]
    row = ((y - of.box[1]) / (of.box[3] - of.box[1]) * values.shape[0]).astype(int).clip(0, values.shape[0] - 1)
    column = ((x - of.box[0]) / (of.box[2] - of.box[0]) * values.shape[1]).astype(int).clip(0, values.shape[1] - 1)
    return values[row[:, None], column[None, :]]


# hiding


def scores_of(
    subject: Subject, regions: np.ndarray, seen: View, kept: np.ndarray, options: Options, tick: Tick
) -> np.ndarray:
    """What is explained, for pictures of which only some regions are kept.

    Args:
        subject: what is explained.
        regions: (H, W) int, numbers of regions 0..F-1.
        seen: where that grid lies.
        kept: (n, F) bool.
        options: baseline, the mean over all of them if that was asked for, and pictures in one forward pass.

    Returns:
        (n,) float64.
    """
    shown = torch.from_numpy(kept)
    masks = [
        torch.from_numpy(_look_up(regions, seen, view, tuple(x.shape[-2:])))
        for view, x in zip(subject.views, subject.pixels, strict=True)
    ]
    sums = np.zeros(len(kept))
    for name in baselines_of(options):
        blanks = [BASELINES[name](x) for x in subject.pixels]
        for first in range(0, len(kept), options.batch):
            chunk = shown[first : first + options.batch]
            inputs = [
                torch.where(chunk[:, mask][:, None].to(x.device), x, blank)  # (b, 3, h, w)
                for mask, x, blank in zip(masks, subject.pixels, blanks, strict=True)
            ]
            tick()
            with torch.inference_mode():
                sums[first : first + len(chunk)] += subject.score(subject.scorer(*inputs)).double().cpu().numpy()
    return sums / len(baselines_of(options))


def occlusion(subject: Subject, options: Options, tick: Tick) -> Heat:
    """Occlusion by patches (Zeiler and Fergus, 2014, arXiv 1311.2901, section 4.2), without overlap, or by a square of
    several patches that slides one patch at a time.

    Returns:
        Signed heat, one value per patch: p(picture) - p(picture without the patch); with a sliding square, the mean
        over the squares that hide the patch.
    """
    seen = union(subject.views)
    regions = patch_grid(canvas_shape(seen.size, options.patches))
    hidden = np.stack([square.ravel() for square in _squares(regions.shape, options.window)])  # (n, F)
    every = np.ones((1, regions.size), dtype=bool)
    given = scores_of(subject, regions, seen, np.concatenate([every, ~hidden]), options, tick)
    drops = (given[0] - given[1:]) @ hidden / hidden.sum(0)
    heat = drops.reshape(regions.shape).astype(np.float32)
    return Heat(heat, signed=True, view=seen, figures={"patches": regions.size})


def _squares(shape: tuple[int, int], side: int) -> list[np.ndarray]:
    """(rows, columns) bool for each place of a square of that many cells; on a smaller grid it is as large as fits."""
    height, width = min(side, shape[0]), min(side, shape[1])
    squares = []
    for top in range(shape[0] - height + 1):
        for left in range(shape[1] - width + 1):
            square = np.zeros(shape, dtype=bool)
            square[top : top + height, left : left + width] = True
            squares.append(square)
    return squares


def feature_ablation(subject: Subject, options: Options, tick: Tick) -> Heat:
    """Ablation of one region after the other.

    Returns:
        Signed heat, for each region its value in each of its cells: p(picture) - p(picture without the region).
    """
    seen = union(subject.views)
    regions = _regions(subject, seen, options)
    count = int(regions.max()) + 1
    kept = np.concatenate([np.ones((1, count), dtype=bool), ~np.eye(count, dtype=bool)])
    given = scores_of(subject, regions, seen, kept, options, tick)
    return _by_region(given[0] - given[1:], regions, seen, {})


def _by_region(values: np.ndarray, regions: np.ndarray, seen: View, figures: dict[str, float]) -> Heat:
    figures = {"regions": len(values), **figures}
    return Heat(values[regions].astype(np.float32), signed=True, view=seen, figures=figures)


# several regions at once


def kernel_shap(subject: Subject, options: Options, tick: Tick) -> Heat:
    """KernelSHAP (Lundberg and Lee, 2017, arXiv 1705.07874, theorem 2): Shapley values of the regions by weighted least
    squares over coalitions, whose sum is held at p(picture) - p(baseline).

    Returns:
        Signed heat, for each region its value in each of its cells. Figures: `regions`, `coalitions`, `picture` and
        `nothing` (the probabilities with all and with no region).
    """
    seen = union(subject.views)
    regions = _regions(subject, seen, options)
    count = int(regions.max()) + 1
    kept, weights = coalitions(count, _pictures(options, count), options.seed)
    ends = np.array([[True] * count, [False] * count])
    given = scores_of(subject, regions, seen, np.concatenate([ends, kept]), options, tick)
    values = shapley_values(kept, weights, given[2:], given[1], given[0])
    figures = {"coalitions": len(kept), "picture": float(given[0]), "nothing": float(given[1])}
    return _by_region(values, regions, seen, figures)


def _pictures(options: Options, regions: int) -> int:
    """Enough coalitions for the least squares to have one answer."""
    return max(options.coalitions, 2 * regions)


def coalitions(count: int, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sets of regions, and their weights in KernelSHAP's least squares.

    All of them if there are no more than `most`, with the Shapley kernel (F - 1) / (C(F, s) s (F - s)) of their size s;
    otherwise as many, drawn with sizes of that kernel's mass and each with its complement (Covert and Lee, 2021, arXiv
    2012.01536, section 4), which then weigh the same.

    Returns:
        (n, F) bool without the empty and the whole set, and (n,).
    """
    if count < 2:
        return np.zeros((0, count), dtype=bool), np.zeros(0)
    sizes = np.arange(1, count)
    if 2.0**count - 2 <= most:
        kept = (np.arange(1, 2**count - 1)[:, None] >> np.arange(count)) & 1 == 1
        kernel = (count - 1) / (np.array([math.comb(count, s) for s in sizes]) * sizes * (count - sizes))
        return kept, kernel[kept.sum(1) - 1]
    random = np.random.default_rng(seed)
    mass = 1 / (sizes * (count - sizes))
    drawn = random.choice(sizes, size=most // 2, p=mass / mass.sum())
    ranks = random.random((len(drawn), count)).argsort(1).argsort(1)
    kept = ranks < drawn[:, None]
    return np.concatenate([kept, ~kept]), np.ones(2 * len(drawn))


def shapley_values(
    kept: np.ndarray, weights: np.ndarray, scores: np.ndarray, nothing: float, everything: float
) -> np.ndarray:
    """The φ that minimise Σ w (nothing + Σ φ over what is kept - score)² and add up to everything - nothing.

    The last φ is what the others leave (equation 8 of KernelSHAP's paper with its two infinite weights eliminated).
    """
    total = everything - nothing
    if kept.shape[1] == 1:
        return np.array([total])
    shown, root = kept.astype(np.float64), np.sqrt(weights)
    design = shown[:, :-1] - shown[:, -1:]
    aim = scores - nothing - shown[:, -1] * total
    first = np.linalg.lstsq(design * root[:, None], aim * root, rcond=None)[0]
    return np.append(first, total - first.sum())


KERNEL_WIDTH = 0.25  # in cosine distance; with RIDGE the usual values of the paper's package for pictures
RIDGE = 1.0


def lime(subject: Subject, options: Options, tick: Tick) -> Heat:
    """LIME (Ribeiro et al., 2016, arXiv 1602.04938, section 3.4): a linear model of the regions, fitted to pictures of
    which a random half of the regions is hidden, those that show more counting more.

    Returns:
        Signed heat, for each region its coefficient in each of its cells. Figures: `regions`, `coalitions`, and `fit`,
        the weighted share (R²) of the probability's changes that the linear model explains.
    """
    seen = union(subject.views)
    regions = _regions(subject, seen, options)
    count = int(regions.max()) + 1
    kept = np.random.default_rng(options.seed).random((_pictures(options, count), count)) < 0.5
    kept[0] = True
    given = scores_of(subject, regions, seen, kept, options, tick)
    distance = 1 - np.sqrt(kept.mean(1))  # cosine distance of a row of zeros and ones to the row of ones
    values, fit = ridge(kept, np.exp(-(distance**2) / KERNEL_WIDTH**2 / 2), given)
    return _by_region(values, regions, seen, {"coalitions": len(kept), "fit": fit})


def ridge(kept: np.ndarray, weights: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, float]:
    """Weighted ridge regression with a free constant: the coefficients (F,), and R²."""
    share = weights / weights.sum()
    shown = kept - share @ kept
    aim = scores - share @ scores
    gram = shown.T @ (weights[:, None] * shown) + RIDGE * np.eye(kept.shape[1])
    values = np.linalg.solve(gram, shown.T @ (weights * aim))
    spread = share @ aim**2
    return values, float(1 - share @ (aim - shown @ values) ** 2 / spread) if spread else 1.0


def _cost(pictures: Callable[[Options], int]) -> Callable[[Options], int]:
    """With every baseline."""
    return lambda options: pictures(options) * len(baselines_of(options))


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
        passes=_cost(lambda options: options.patches**2 + 1),
        refuse=lambda subject: None,
        compute=occlusion,
        reads=("patches", "window", "baseline"),
    ),
)

EXPLANATIONS.add(
    "feature_ablation",
    Explanation(
        name="feature_ablation",
        title="Ablation of regions",
        family="perturbation",
        sentence="Hides one region of similar colour after the other and shows how far the probability falls.",
        limits="It hides one region at a time, and where the regions end decides what it can find.",
        paper="Captum, Kokhlikyan et al., 2020, arXiv 2009.07896 (feature ablation)",
        signed=True,
        class_specific=True,
        passes=_cost(lambda options: options.segments + 1),
        refuse=lambda subject: None,
        compute=feature_ablation,
        reads=("regions", "segments", "baseline"),
    ),
)

EXPLANATIONS.add(
    "kernel_shap",
    Explanation(
        name="kernel_shap",
        title="KernelSHAP",
        family="perturbation",
        sentence="Shares the probability fairly among regions, by hiding many of them together in many ways.",
        limits="It is estimated from chance selections, and pictures with half of them hidden look like no photograph.",
        paper="Lundberg and Lee, 2017, arXiv 1705.07874",
        signed=True,
        class_specific=True,
        passes=_cost(lambda options: _pictures(options, options.segments) + 2),
        refuse=lambda subject: None,
        compute=kernel_shap,
        reads=("regions", "segments", "coalitions", "baseline"),
    ),
)

EXPLANATIONS.add(
    "lime",
    Explanation(
        name="lime",
        title="LIME",
        family="perturbation",
        sentence="Hides regions by chance and fits the simplest rule, a sum over regions, that tells the probability.",
        limits="The rule may fit badly (see its fit), and it changes with the width of the neighbourhood chosen.",
        paper="Ribeiro, Singh and Guestrin, 2016, arXiv 1602.04938",
        signed=True,
        class_specific=True,
        passes=_cost(lambda options: _pictures(options, options.segments)),
        refuse=lambda subject: None,
        compute=lime,
        reads=("regions", "segments", "coalitions", "baseline"),
    ),
)
