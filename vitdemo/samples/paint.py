"""Shapes with soft edges: what every drawn flower is made of.

Data convention: a `Layer` holds premultiplied colour (h, w, 3) and coverage (h, w), float32 in 0..1;
positions are (x, y) in pixels, y downwards. A shape's edge is antialiased by its distance in pixels, so that
nothing has to be drawn larger than it is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

Colour = Callable[[np.ndarray, np.ndarray], np.ndarray]
Profile = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Layer:
    """A transparent sheet that shapes are painted on, one over the other."""

    colour: np.ndarray  # (h, w, 3) premultiplied
    cover: np.ndarray  # (h, w)

    @staticmethod
    def empty(width: int, height: int) -> "Layer":
        return Layer(np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32))


def rgb(red: float, green: float, blue: float) -> np.ndarray:
    return np.array([red, green, blue], np.float32)


def mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """From `first` to `second` colour (3,) by a share of any shape in 0..1."""
    share = np.clip(share, 0.0, 1.0)[..., None]
    return first * (1 - share) + second * share


def step(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def _window(layer: Layer, points: np.ndarray, margin: float) -> tuple[slice, slice, np.ndarray, np.ndarray] | None:
    """Rows, columns and pixel centres of the part of a layer that holds `points` (n, 2), if there is one."""
    height, width = layer.cover.shape
    left, top = np.floor(points.min(0) - margin).astype(int)
    right, bottom = np.ceil(points.max(0) + margin).astype(int)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        return None
    x = np.arange(left, right, dtype=np.float32)[None, :] + 0.5
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5
    return slice(top, bottom), slice(left, right), x, y


def _lay(layer: Layer, rows: slice, columns: slice, distance: np.ndarray, colour, shadow: float, soft: float) -> None:
    """Paints where `distance` (pixels inside the shape) is positive, after darkening what lies around it."""
    cover = np.clip(distance + 0.5, 0.0, 1.0)
    under = layer.colour[rows, columns]
    if shadow:
        under *= (1 - shadow * np.exp(np.minimum(distance, 0.0) / soft))[..., None]
    under *= (1 - cover)[..., None]
    under += np.clip(colour, 0.0, 1.0) * cover[..., None]
    below = layer.cover[rows, columns]
    below *= 1 - cover
    below += cover


def petal(
    layer: Layer,
    base: np.ndarray,
    along: np.ndarray,
    across: np.ndarray,
    profile: Profile,
    colour: Colour,
    bend: float = 0.0,
    shadow: float = 0.25,
    soft: float = 3.0,
) -> None:
    """Paints a petal, leaf or floret.

    Args:
        layer: what is painted on.
        base: (2,) where it begins.
        along: (2,) from its base to its tip.
        across: (2,) from its middle line to its side, where its profile is 1.
        profile: half width 0..1 at u, which goes from 0 at the base to 1 at the tip.
        colour: (u, t) to (…, 3); t is -1 and 1 at the sides.
        bend: how far the tip is bent to the side, in half widths.
        shadow: how much it darkens what it touches, 0..1.
        soft: reach of that shadow in pixels.
    """
    sides = np.array([[0, -1], [0, 1], [0.5, -1], [0.5, 1], [1, bend - 1], [1, bend + 1]], np.float32)
    corners = base + sides[:, :1] * along + sides[:, 1:] * across
    window = _window(layer, corners, 2 + (2 * soft if shadow else 0))
    area = along[0] * across[1] - along[1] * across[0]
    length = float(np.hypot(*along))
    if window is None or length < 1 or abs(area) < 1e-3:
        return
    rows, columns, x, y = window
    x, y = x - base[0], y - base[1]
    u = (x * across[1] - y * across[0]) / area
    v = (along[0] * y - along[1] * x) / area - bend * u * u
    inside = np.clip(u, 0.0, 1.0)
    half = profile(inside)
    thick = max(abs(area) / length, 0.7)  # pixels of one half width, never thinner than can be seen
    slope = (profile(np.clip(inside + 0.02, 0, 1)) - profile(np.clip(inside - 0.02, 0, 1))) * (25 * thick / length)
    distance = (half - np.abs(v)) * thick / np.sqrt(1 + slope * slope)
    distance = np.minimum(distance, np.minimum(u, 1 - u) * length)
    t = np.clip(v / np.maximum(half, 1e-3), -1.0, 1.0)
    _lay(layer, rows, columns, distance, colour(inside, t), shadow, soft)


def blob(
    layer: Layer,
    centre: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    outline: Profile,
    colour: Colour,
    shadow: float = 0.3,
    soft: float = 4.0,
) -> None:
    """Paints a round shape.

    Args:
        layer: what is painted on.
        centre: (2,) its middle.
        first, second: (2,) its half axes.
        outline: radius about 1 at the angle in radians, counted from `first` towards `second`.
        colour: (s, t) to (…, 3); s and t are -1..1 along the half axes.
        shadow, soft: as for `petal`.
    """
    reach = 1.25 * np.array([first + second, first - second, -first + second, -first - second])
    window = _window(layer, centre + reach, 2 + (2 * soft if shadow else 0))
    area = first[0] * second[1] - first[1] * second[0]
    if window is None or abs(area) < 1e-3:
        return
    rows, columns, x, y = window
    x, y = x - centre[0], y - centre[1]
    s = (x * second[1] - y * second[0]) / area
    t = (first[0] * y - first[1] * x) / area
    radius = np.sqrt(s * s + t * t)
    distance = (outline(np.arctan2(t, s)) - radius) * np.sqrt(abs(area))
    _lay(layer, rows, columns, distance, colour(s, t), shadow, soft)


def strand(
    layer: Layer,
    top: np.ndarray,
    bottom: np.ndarray,
    sag: float,
    width: tuple[float, float],
    colour: Colour,
    shadow: float = 0.0,
) -> None:
    """Paints a stem or a blade of grass that goes downwards.

    Args:
        layer: what is painted on.
        top, bottom: (2,) its ends; the top lies higher.
        sag: how far its middle is moved to the side, in pixels.
        width: half widths at the top and at the bottom, in pixels.
        colour: (u, t) to (…, 3); u is 0 at the top and 1 at the bottom, t -1..1 across.
        shadow: as for `petal`.
    """
    if bottom[1] - top[1] < 1:
        return
    middle = (top + bottom) / 2 + np.array([sag, 0])
    window = _window(layer, np.stack([top, bottom, middle]), 2 + max(width))
    if window is None:
        return
    rows, columns, x, y = window
    u = (y - top[1]) / (bottom[1] - top[1])
    line = top[0] + (bottom[0] - top[0]) * u + 4 * sag * u * (1 - u)
    half = np.maximum(width[0] + (width[1] - width[0]) * u, 0.1)
    lean = (bottom[0] - top[0] + 4 * sag * (1 - 2 * u)) / (bottom[1] - top[1])
    distance = (half - np.abs(x - line) / np.sqrt(1 + lean * lean)) + np.minimum(0, np.minimum(u, 1 - u) * 1e3)
    t = np.clip((x - line) / half, -1, 1)
    _lay(layer, rows, columns, distance, colour(u + 0 * t, t), shadow, 3.0)


def blurred(layer: Layer, radius: float) -> Layer:
    """The layer out of focus."""
    if radius < 0.3:
        return layer
    four = np.concatenate([layer.colour, layer.cover[..., None]], axis=2)
    flat = (np.clip(four, 0, 1) * 255 + 0.5).astype(np.uint8)
    soft = np.asarray(Image.fromarray(flat, "RGBA").filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255
    return Layer(soft[..., :3].copy(), soft[..., 3].copy())


def over(picture: np.ndarray, layer: Layer, left: int, top: int, light: np.ndarray | float = 1.0) -> np.ndarray:
    """Lays a layer over a picture (H, W, 3), which is changed.

    Returns:
        (H, W) how much of each pixel the layer covers.
    """
    height, width = picture.shape[:2]
    covered = np.zeros((height, width), np.float32)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + layer.cover.shape[1], width), min(top + layer.cover.shape[0], height)
    if x0 < x1 and y0 < y1:
        part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        cover = layer.cover[part]
        picture[y0:y1, x0:x1] *= (1 - cover)[..., None]
        picture[y0:y1, x0:x1] += layer.colour[part] * light
        covered[y0:y1, x0:x1] = cover
    return covered


def noise(rng: np.random.Generator, width: int, height: int, cells: float) -> np.ndarray:
    """Smooth noise (height, width) of mean 0 and deviation about 1, with about `cells` lumps across."""
    coarse = (
        max(2, round(cells * width / max(width, height)) + 1),
        max(2, round(cells * height / max(width, height)) + 1),
    )
    grid = rng.normal(size=coarse[::-1]).astype(np.float32)
    return 1.4 * np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))


def parastichies(s: np.ndarray, t: np.ndarray, seeds: int, families: tuple[int, ...]) -> np.ndarray:
    """Pattern of florets in a disc of radius 1: near 1 on each floret, below 0 between them.

    Seed n sits at angle 2 pi n / phi^2 and radius sqrt(n / seeds) (Vogel 1979, A better way to construct the
    sunflower head); the wave m theta - 2 pi n (m / phi^2 - round(m / phi^2)) has its crest on every seed.
    """
    golden = (3 - np.sqrt(5)) / 2
    turn = np.arctan2(t, s) / (2 * np.pi)
    index = (s * s + t * t) * seeds
    waves = 0.0
    for family in families:
        slip = family * golden - round(family * golden)
        waves = waves + np.cos(2 * np.pi * (family * turn - index * slip))
    return waves / len(families)
