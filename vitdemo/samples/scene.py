"""Puts a picture together: where the heads go, what grows under them, light, lens and grain."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from PIL import Image, ImageFilter

from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.samples import heads, scenery
from vitdemo.samples.paint import Layer, blurred, noise, over, rgb

FLOWERS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
SMALLEST, LARGEST = 64, 2048
SERIES = 1_000_000  # seeds set aside for each series


@dataclass(frozen=True)
class Sample:
    """A drawn picture."""

    picture: np.ndarray  # (size, size, 3) uint8 RGB
    masks: np.ndarray  # (F, size, size) bool: where each flower's heads are; no pixel belongs to two
    flowers: tuple[str, ...]  # F
    seed: int


@dataclass(frozen=True)
class Spot:
    """Where one head goes."""

    flower: int  # which of the picture's flowers
    x: float  # of its middle, in pixels
    y: float
    radius: float
    blur: float  # pixels; 0 is in focus


def draw(flowers: Sequence[str], seed: int, size: int = 384) -> Sample:
    """Draws a picture of one or two kinds of flowers.

    The same flowers, seed and size give the same picture.

    Args:
        flowers: one kind, or two different ones, of `FLOWERS`.
        seed: a whole number from 0; decides positions, sizes, colours, number of heads, light and background.
        size: side in pixels, 64 to 2048.

    Returns:
        The picture and a mask for each flower.

    Raises:
        UnknownNameError: a flower that cannot be drawn.
        VitdemoError: no flower, more than two, one twice, or a size or seed out of range.
    """
    kinds = _checked(flowers, seed, size)
    rng = np.random.default_rng([seed, *(FLOWERS.index(kind) for kind in kinds)])
    angle = rng.uniform(-2.6, -0.5)  # light comes from above
    light = np.array([np.cos(angle), np.sin(angle)], np.float32)
    spots = _one(rng, kinds[0], size) if len(kinds) == 1 else _two(rng, size)
    styles = [_style(rng, kind) for kind in kinds]
    greens = _greens(rng, kinds)
    picture = scenery.background(rng, size, _setting(rng, kinds), greens).copy()
    masks = np.zeros((len(kinds), size, size), np.float32)
    for spot in sorted(spots, key=lambda s: (s.blur < 0.003 * size, s.y)):  # far ones first, then upper ones
        kind = kinds[spot.flower]
        masks *= 1 - over(picture, blurred(_greenery(rng, kind, spot, size, light, greens), spot.blur), 0, 0)
        head = blurred(styles[spot.flower](rng, spot.radius, light), spot.blur)
        half = head.cover.shape[0] // 2
        cover = over(picture, head, round(spot.x) - half, round(spot.y) - half)
        solid = np.clip(2.5 * cover - 0.1, 0, 1)  # a ball of seeds is one thing, although one sees through it
        masks *= 1 - solid
        masks[spot.flower] += solid
    return Sample(_developed(rng, picture, light), masks > 0.5, kinds, seed)


def series(flowers: int, count: int, seed: int = 0) -> list[tuple[tuple[str, ...], int]]:
    """What to draw for a study: every kind, or every pair of kinds, equally often, none chosen by eye.

    Args:
        flowers: 1 or 2 kinds in each picture.
        count: pictures.
        seed: of the series; no picture of one series is in that of another seed, nor among the shipped ones.

    Returns:
        (flowers, seed) of each picture, for `draw`. A shorter series is the beginning of a longer one.

    Raises:
        VitdemoError: another number of kinds, or a count or seed below 0.
    """
    if flowers not in (1, 2) or count < 0 or seed < 0:
        raise VitdemoError(
            f"Expected 1 or 2 flowers and a count and seed of 0 or more, got {flowers}, {count} and {seed}."
        )
    kinds = list(combinations(FLOWERS, flowers))
    return [(kinds[index % len(kinds)], (seed + 1) * SERIES + index) for index in range(count)]


def _checked(flowers: Sequence[str], seed: int, size: int) -> tuple[str, ...]:
    kinds = (flowers,) if isinstance(flowers, str) else tuple(flowers)
    for kind in kinds:
        if kind not in FLOWERS:
            raise UnknownNameError("flower", kind, list(FLOWERS))
    if len(kinds) not in (1, 2) or len(set(kinds)) < len(kinds):
        raise VitdemoError(
            f"Expected one flower or two different ones, got {len(kinds)}: {', '.join(kinds) or 'none'}."
        )
    if not all(isinstance(value, (int, np.integer)) for value in (seed, size)):
        raise VitdemoError(f"Expected whole numbers for seed and size, got {seed!r} and {size!r}.")
    if not SMALLEST <= size <= LARGEST:
        raise VitdemoError(f"Expected a size of {SMALLEST} to {LARGEST} pixels, got {size}.")
    if seed < 0:
        raise VitdemoError(f"Expected a seed of 0 or more, got {seed}.")
    return kinds


# -- where the heads go ------------------------------------------------------------------------------------


CLOSE = {"tulips": (0.26, 0.38), "sunflowers": (0.32, 0.47), "roses": (0.32, 0.46)}  # radii of a single head
LAYOUTS = {"tulips": [0.15, 0.50, 0.35], "roses": [0.55, 0.35, 0.10]}  # how likely: close, few, many


def _one(rng: np.random.Generator, kind: str, size: int) -> list[Spot]:
    """One large head, a few, or many."""
    layout = rng.choice(["close", "few", "many"], p=LAYOUTS.get(kind, [0.5, 0.3, 0.2]))
    if layout == "close":
        radius = size * rng.uniform(*CLOSE.get(kind, (0.28, 0.44)))
        x, y = size * (0.5 + rng.normal(0, 0.05, 2))
        front = [Spot(0, x, y, radius, 0.0)]
        behind = int(rng.integers(0, 3))
        return front + _scattered(rng, 0, behind, (0.10, 0.18), (0.0, 1.0), size, (0.012, 0.03), front)
    if layout == "few":
        front = _scattered(rng, 0, int(rng.integers(2, 5)), (0.15, 0.24), (0.15, 0.85), size, (0, 0), [])
        return front + _scattered(rng, 0, int(rng.integers(0, 4)), (0.07, 0.12), (0.0, 1.0), size, (0.01, 0.02), front)
    front = _scattered(rng, 0, int(rng.integers(5, 12)), (0.085, 0.14), (0.08, 0.92), size, (0, 0.002), [])
    return front + _scattered(rng, 0, int(rng.integers(3, 10)), (0.05, 0.08), (0.0, 1.0), size, (0.004, 0.012), front)


def _two(rng: np.random.Generator, size: int) -> list[Spot]:
    """Each flower on its own side, of about the same size."""
    turn = rng.choice([0, np.pi]) + rng.normal(0, 0.5)
    spots: list[Spot] = []
    for flower in range(2):
        away = size * rng.uniform(0.22, 0.27) * (1 - 2 * flower)
        x, y = size / 2 + away * np.cos(turn), size / 2 + away * np.sin(turn)
        spots.append(Spot(flower, x, y, size * rng.uniform(0.17, 0.235), 0.0))
    return spots


def _scattered(rng, flower, count, radii, span, size, blurs, taken) -> list[Spot]:
    """Up to `count` heads that hardly overlap; radii, span and blurs as shares of the size."""
    spots: list[Spot] = []
    for _ in range(40 * count):
        if len(spots) == count:
            break
        x, y = size * rng.uniform(*span, 2)
        radius = size * rng.uniform(*radii)
        if all(np.hypot(x - s.x, y - s.y) > 0.9 * (radius + s.radius) for s in spots + taken):
            spots.append(Spot(flower, x, y, radius, size * rng.uniform(*blurs)))
    return spots


def _setting(rng: np.random.Generator, kinds: tuple[str, ...]) -> str:
    """The background: one that suits all flowers."""
    choices = [scenery.BACKGROUNDS[kind] for kind in kinds]
    names = [name for name in choices[0] if all(name in choice for choice in choices)]
    weights = np.array([np.prod([choice[name] for choice in choices]) for name in names], float)
    return str(rng.choice(names, p=weights / weights.sum()))


def _greens(rng: np.random.Generator, kinds: tuple[str, ...]) -> scenery.Greens:
    """Dark and bright green of the picture, with a tint of its own."""
    palettes = [greens for kind in kinds for greens in scenery.FOLIAGE[kind]]
    tint = rng.uniform(0.92, 1.08, 3).astype(np.float32)
    return tuple(green * tint for green in palettes[rng.integers(len(palettes))])


# -- what grows there --------------------------------------------------------------------------------------


def _style(rng: np.random.Generator, kind: str) -> heads.Head:
    """How all heads of a kind are painted in one picture: tulips of one bed mostly share their colour."""
    if kind == "tulips":
        colour, mixed = heads.tulip_colour(rng), rng.uniform() < 0.25
        return lambda r, radius, light: heads.tulips(r, radius, light, heads.tulip_colour(r) if mixed else colour)
    if kind == "roses":
        colour, mixed = heads.rose_colour(rng), rng.uniform() < 0.15
        return lambda r, radius, light: heads.roses(r, radius, light, heads.rose_colour(r) if mixed else colour)
    if kind == "dandelion":
        white = rng.uniform() < 0.42
        return heads.seed_head if white else heads.dandelion
    return getattr(heads, kind)


def _greenery(rng, kind: str, spot: Spot, size: int, light: np.ndarray, greens: scenery.Greens) -> Layer:
    """Stem and leaves of one head, on a layer as large as the picture."""
    layer = Layer.empty(size, size)
    head, radius = np.array([spot.x, spot.y], np.float32), spot.radius
    dark, bright = (green * rng.uniform(0.85, 1.15) for green in greens)
    droop = rng.normal(0, 0.16)
    if kind == "daisy":
        scenery.stem(rng, layer, head, 0.045 * radius, 0.3 * dark + 0.7 * bright, light, droop)
    elif kind == "dandelion":
        tone = rgb(0.55, 0.42, 0.30) if rng.uniform() < 0.35 else rgb(0.58, 0.62, 0.32)
        scenery.stem(rng, layer, head, 0.05 * radius, tone, light, droop)
    elif kind == "sunflowers":
        scenery.stem(rng, layer, head, 0.10 * radius, 0.2 * dark + 0.8 * bright, light, droop)
        for side in (-1, 1):
            base = head + np.array([0, radius * rng.uniform(0.9, 1.5)])
            along = radius * rng.uniform(0.8, 1.2) * np.array([side * rng.uniform(0.6, 1.0), rng.uniform(-0.4, 0.5)])
            scenery.leaf(rng, layer, base, along, 0.45 * radius, dark, bright)
    elif kind == "roses":
        scenery.stem(rng, layer, head, 0.06 * radius, 0.5 * dark + 0.4 * bright, light, droop)
        for _ in range(int(rng.integers(3, 8))):
            angle = rng.uniform(0, 2 * np.pi)
            out = np.array([np.cos(angle), np.sin(angle)])
            base = head + out * radius * rng.uniform(0.55, 0.8)
            along = radius * rng.uniform(0.7, 1.1) * np.array([np.cos(angle + 0.4), np.sin(angle + 0.4)])
            scenery.leaf(rng, layer, base, along, 0.27 * radius, 0.7 * dark, 0.75 * bright, 0.05)
    elif kind == "tulips":
        foot = head + np.array([0, 0.9 * radius], np.float32)
        for side in rng.permutation([-1, 1, 1, -1])[: int(rng.integers(2, 4))]:
            base = foot + radius * np.array([side * rng.uniform(0, 0.3), rng.uniform(1.9, 2.9)])
            along = radius * rng.uniform(1.9, 3.2) * np.array([side * rng.uniform(0.10, 0.5), -1.0])
            scenery.leaf(rng, layer, base, along, 0.34 * radius, dark, 0.9 * bright + rgb(0.0, 0.03, 0.06))
        scenery.stem(rng, layer, foot, 0.075 * radius, rgb(0.50, 0.66, 0.34), light, 0.5 * droop)
    return layer


# -- what the camera does ----------------------------------------------------------------------------------


def _developed(rng: np.random.Generator, picture: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Slanting light, exposure, contrast, tint, vignette, a soft lens and grain; (size, size, 3) uint8."""
    size = picture.shape[0]
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size - 0.5
    shine = 1 + 0.16 * (x * light[0] + y * light[1]) - rng.uniform(0, 0.5) * (x * x + y * y)
    shine += 0.03 * noise(rng, size, size, 3.0)
    tint = 1 + rng.normal(0, 0.03, 3)
    developed = np.clip(picture, 0, 1.2) * (shine[..., None] * tint * rng.uniform(0.96, 1.2))
    contrast = rng.uniform(0.9, 1.15)
    developed = 0.45 + (developed - 0.45) * contrast
    grain = rng.normal(0, 1, (size, size, 1)) * 0.7 + rng.normal(0, 1, (size, size, 3)) * 0.4
    flat = Image.fromarray((np.clip(developed, 0, 1) * 255 + 0.5).astype(np.uint8))
    soft = np.asarray(flat.filter(ImageFilter.GaussianBlur(0.0013 * size * rng.uniform(0.6, 1.6))), np.float32)
    return np.clip(soft + grain * rng.uniform(1.0, 3.5) + 0.5, 0, 255).astype(np.uint8)
