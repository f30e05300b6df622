"""Several backbones' maps as one, in the coordinates of the picture.

shares: (M, H, W) float64, what each of M maps gives to each cell. An unsigned map is clipped at 0 and sums to 1; a
signed one keeps its sign, and its absolute values sum to 1.
weights: (M, H, W), each backbone's part in a cell; they sum to 1 over those that saw the cell, and are 0 for others,
so that what one backbone's transform cut away counts as not seen, never as unimportant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vitdemo.errors import VitdemoError
from vitdemo.registry import Registry
from vitdemo.types import Heat, View
from vitdemo.views import canvas_shape, spread, union


@dataclass(frozen=True)
class FusedMap:
    """One way to make one map of several."""

    name: str
    title: str
    sentence: str  # what it shows, in the language of a pupil
    combine: Callable[[np.ndarray, np.ndarray], np.ndarray]  # shares and weights (M, H, W) to (H, W)
    keeps_sign: bool = False  # otherwise signed maps give their positive part, what speaks for the class


FUSED_MAPS: Registry[FusedMap] = Registry("fused map")


def _fused_map(name: str, title: str, sentence: str, **kind: bool):
    def add(combine: Callable[[np.ndarray, np.ndarray], np.ndarray]):
        FUSED_MAPS.add(name, FusedMap(name, title, sentence, combine, **kind))
        return combine

    return add


@_fused_map("mean", "Mean", "What the backbones look at on average, each counted by its weight.", keeps_sign=True)
def mean(shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (weights * shares).sum(0)


@_fused_map(
    "consensus", "Consensus", "What they look at together: one that looks away dims the place (geometric mean)."
)
def consensus(shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    logs = np.log(np.where(shares > 0, shares, 1.0))
    ruled_out = ((shares <= 0) & (weights > 0)).any(0)
    return np.where(ruled_out | ~weights.any(0), 0.0, np.exp((weights * logs).sum(0)))


@_fused_map("intersection", "Intersection", "What all of them look at: of each place, the smallest share.")
def intersection(shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    least = np.where(weights > 0, shares, np.inf).min(0)
    return np.where(np.isfinite(least), least, 0.0)


@_fused_map("union", "Union", "What any of them looks at: of each place, the largest share.")
def largest(shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.where(weights > 0, shares, 0.0).max(0)


@_fused_map("disagreement", "Disagreement", "Where some look and others do not (standard deviation of the shares).")
def disagreement(shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.sqrt((weights * (shares - mean(shares, weights)) ** 2).sum(0))


def fuse_maps(heats: Sequence[Heat], weights: Sequence[float] | np.ndarray, how: str) -> Heat:
    """One map of several backbones' maps of one picture.

    Maps of one view on one grid are combined there; others on a fine grid over what any of the backbones saw.

    Args:
        heats: M maps by one method, by one backbone each.
        weights: (M,) each backbone's share in the fused prediction, not negative; if all are 0 they count the same.
        how: a name in `FUSED_MAPS`.

    Returns:
        The map; it is signed if the maps are and `how` keeps the sign. Figures: `members`, M, and `overlap`, what the
        maps' positive parts have in common: 1 if they are the same, 0 if no place has a share in all of them.

    Raises:
        UnknownNameError: no such way.
        VitdemoError: no map, or not a weight for each.
    """
    fused_map = FUSED_MAPS.get(how)
    weights = np.asarray(weights, dtype=np.float64)
    if not heats or weights.shape != (len(heats),) or (weights < 0).any():
        raise VitdemoError(
            f"{len(heats)} maps came with the weights {weights.tolist()}; allowed: a weight of at least 0 for each map."
        )
    shares, seen, view = _on_one_grid([_share(heat) for heat in heats], [heat.view for heat in heats])
    parts = seen * (weights if weights.any() else np.ones(len(heats)))[:, None, None]
    parts = parts / np.maximum(parts.sum(0), np.finfo(np.float64).tiny)
    positive = np.clip(shares, 0, None)
    values = fused_map.combine(shares if fused_map.keeps_sign else positive, parts)
    signed = fused_map.keeps_sign and any(heat.signed for heat in heats)
    overlap = float(intersection(positive, parts).sum() / max(mean(positive, parts).sum(), np.finfo(np.float64).tiny))
    return Heat(values.astype(np.float32), signed, view, {"members": len(heats), "overlap": overlap})


def difference(one: Heat, other: Heat) -> Heat:
    """Where one map gives more (above 0) and where the other does (below), such as the maps of two classes.

    Signed maps are of one unit and are subtracted as they are; of unsigned ones, their shares.

    Args:
        one, other: two maps of one picture, both signed or both unsigned.

    Raises:
        VitdemoError: one is signed and the other is not.
    """
    if one.signed != other.signed:
        raise VitdemoError("One map is signed and the other is not; allowed: two maps by the same method.")
    values = [heat.values if heat.signed else _share(heat) for heat in (one, other)]
    (first, second), _, view = _on_one_grid(values, [one.view, other.view])
    return Heat((first - second).astype(np.float32), signed=True, view=view)


def _share(heat: Heat) -> np.ndarray:
    """(h, w) with absolute values that sum to 1; a map that is 0 everywhere stays so."""
    values = heat.values.astype(np.float64)
    values = values if heat.signed else np.clip(values, 0, None)
    return values / (np.abs(values).sum() or 1)


def _on_one_grid(maps: Sequence[np.ndarray], views: Sequence[View]) -> tuple[np.ndarray, np.ndarray, View]:
    """The maps (M, H, W) on one grid, each with its sum; which cells each backbone saw, (M, H, W) bool; the view."""
    if all(map_.shape == maps[0].shape and view == views[0] for map_, view in zip(maps, views, strict=True)):
        stacked = np.stack(maps).astype(np.float64)
        return stacked, np.ones(stacked.shape, dtype=bool), views[0]
    whole = union(views)
    shape = canvas_shape(whole.size)
    spreads = [spread(map_, view, shape, whole) for map_, view in zip(maps, views, strict=True)]
    return np.stack(spreads).astype(np.float64), np.stack([_seen(view, whole, shape) for view in views]), whole


def _seen(view: View, whole: View, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the cells of a grid over `whole` whose middle lies in the view."""
    left, top, right, bottom = whole.box
    y = top + (np.arange(shape[0]) + 0.5) * (bottom - top) / shape[0]
    x = left + (np.arange(shape[1]) + 0.5) * (right - left) / shape[1]
    rows = (view.box[1] <= y) & (y <= view.box[3])
    columns = (view.box[0] <= x) & (x <= view.box[2])
    return rows[:, None] & columns
