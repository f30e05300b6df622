"""Which part of the picture a backbone saw, and how a map comes back to the picture.

A backbone's transform resizes and crops; its maps are on the grid of that crop. `view_of` says where the crop lies in
the picture, `place` draws a map there as an image (values keep their height), `spread` as a distribution (values keep
their sum, so that an attribution that adds up to a score still does).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from vitdemo.types import View


def view_of(picture: tuple[int, int], transform: Mapping) -> View:
    """The box of the picture that timm's evaluation transform keeps.

    Args:
        picture: (width, height) in pixels.
        transform: `input_size` (3, h, w), `crop_pct` above 0 and `crop_mode` "center", "squash" or "border",
            as in timm's data configuration.

    Returns:
        The view; its box reaches beyond the picture where the transform pads.
    """
    width, height = picture
    h, w = transform["input_size"][-2:]
    pct = transform.get("crop_pct") or 0.875
    mode = transform.get("crop_mode") or "center"
    scaled = math.floor(w / pct), math.floor(h / pct)
    if mode == "squash":
        resized = scaled
    elif mode == "center" and scaled[0] == scaled[1]:  # torchvision's Resize, which cuts decimals off
        resized = tuple(int(scaled[0] * side / min(picture)) for side in picture)
    else:  # timm's ResizeKeepRatio, which rounds; one pixel is left of any side
        ratio = (max if mode == "border" else min)(height / scaled[1], width / scaled[0])
        resized = tuple(max(1, round(side / ratio)) for side in picture)
    left, right = _kept(width, resized[0], w)
    top, bottom = _kept(height, resized[1], h)
    return View((left, top, right, bottom), picture)


def _kept(side: int, resized: int, size: int) -> tuple[float, float]:
    """Where a centre crop or padding to `size` pixels begins and ends on a side that was resized."""
    spare = resized - size
    begin = round(spare / 2) if spare >= 0 else -(-spare // 2)
    return begin * side / resized, (begin + size) * side / resized


def canvas_shape(picture: tuple[int, int], long_side: int = 224) -> tuple[int, int]:
    """(H, W) of a grid with the picture's proportions whose long side has at most `long_side` cells."""
    scale = min(1.0, long_side / max(picture))
    return max(1, round(picture[1] * scale)), max(1, round(picture[0] * scale))


def union(views: Sequence[View]) -> View:
    """The smallest box around what several backbones saw of one picture."""
    left, top, right, bottom = zip(*(view.box for view in views), strict=True)
    return View((min(left), min(top), max(right), max(bottom)), views[0].picture)


def spread(values: np.ndarray, view: View, shape: tuple[int, int], onto: View | None = None) -> np.ndarray:
    """Distributes a map over a grid, cell by cell, in proportion to the overlapping area.

    Args:
        values: (h, w), any sign.
        view: where the map lies.
        shape: (H, W) of the grid.
        onto: where the grid lies; over the whole picture if not given.

    Returns:
        (H, W) float32; its sum is that of `values` as far as the view lies inside the grid.
    """
    width, height = view.picture
    ends = onto.box if onto else (0.0, 0.0, width, height)
    left, top, right, bottom = view.box
    rows = _overlap(shape[0], ends[1], ends[3], values.shape[0], top, bottom)  # (H, h)
    columns = _overlap(shape[1], ends[0], ends[2], values.shape[1], left, right)  # (W, w)
    return (rows @ values.astype(np.float64) @ columns.T).astype(np.float32)


def _overlap(cells: int, low: float, high: float, parts: int, start: float, stop: float) -> np.ndarray:
    """(cells, parts): the share of each part of [start, stop] that falls into each cell of [low, high]."""
    cell = np.linspace(low, high, cells + 1)
    part = np.linspace(start, stop, parts + 1)
    begin = np.maximum(cell[:-1, None], part[None, :-1])
    end = np.minimum(cell[1:, None], part[None, 1:])
    return np.clip(end - begin, 0, None) / ((stop - start) / parts)


def place(values: np.ndarray, view: View, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draws a map over the whole picture, smoothly.

    Args:
        values: (h, w).
        view: where the map lies.
        shape: (H, W) of the grid over the whole picture.

    Returns:
        The map (H, W) float32, zero where nothing was seen; and (H, W) bool, true where the backbone saw the picture.
    """
    left, top, right, bottom = view.box
    width, height = view.picture
    h, w = values.shape
    # the centres of the picture's cells, in cells of the map
    x = ((np.arange(shape[1]) + 0.5) * width / shape[1] - left) / (right - left) * w
    y = ((np.arange(shape[0]) + 0.5) * height / shape[0] - top) / (bottom - top) * h
    seen = ((y >= 0) & (y <= h))[:, None] & ((x >= 0) & (x <= w))[None, :]
    rows, columns = _bilinear(y, h), _bilinear(x, w)  # (H, h), (W, w)
    placed = rows @ values.astype(np.float64) @ columns.T
    return np.where(seen, placed, 0).astype(np.float32), seen


def _bilinear(at: np.ndarray, size: int) -> np.ndarray:
    """(len(at), size): weights of linear interpolation between cell centres, constant beyond the outermost."""
    position = np.clip(at - 0.5, 0, size - 1)
    below = np.minimum(position.astype(int), max(size - 2, 0))
    above = np.minimum(below + 1, size - 1)
    share = position - below
    weights = np.zeros((len(at), size))
    index = np.arange(len(at))
    np.add.at(weights, (index, below), 1 - share)
    np.add.at(weights, (index, above), share)
    return weights


def cells(view: View, size: tuple[int, int], grid: tuple[int, int], onto: View) -> np.ndarray:
    """Which cell of a grid over a part of the picture each input pixel belongs to.

    Inputs of several backbones that are cut by the same grid can be hidden at the same places of the picture.

    Args:
        view: where the input lies.
        size: (h, w) of the input in pixels.
        grid: (rows, columns).
        onto: where the grid lies.

    Returns:
        (h, w) int64, row * columns + column of the cell in which the middle of the pixel lies; the nearest cell for
        pixels outside of the grid.
    """
    left, top, right, bottom = view.box
    y = top + (np.arange(size[0]) + 0.5) * (bottom - top) / size[0]
    x = left + (np.arange(size[1]) + 0.5) * (right - left) / size[1]
    low_x, low_y, high_x, high_y = onto.box
    row = np.clip(((y - low_y) / (high_y - low_y) * grid[0]).astype(int), 0, grid[0] - 1)
    column = np.clip(((x - low_x) / (high_x - low_x) * grid[1]).astype(int), 0, grid[1] - 1)
    return row[:, None] * grid[1] + column[None, :]


def crop_to(picture: Image.Image, transform: Mapping, limit: float = 4.0) -> Image.Image:
    """Cuts the ends off a very long picture, where a centre crop throws them away in any case.

    Resizing 1 x 20,000 pixels to a short side of 224 would make a billion of them only to cut them off again.
    """
    if (transform.get("crop_mode") or "center") != "center":
        return picture
    h, w = transform["input_size"][-2:]
    ratio = limit * max(h / w, w / h)
    width, height = picture.size
    keep_w, keep_h = min(width, math.ceil(height * ratio)), min(height, math.ceil(width * ratio))
    # an even number of pixels is cut off, so that the centre stays where it is
    left, top = (width - keep_w) // 2, (height - keep_h) // 2
    return picture if (left, top) == (0, 0) else picture.crop((left, top, width - left, height - top))
