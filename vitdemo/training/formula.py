"""Pictures drawn by formulas, one class a formula: something to learn from for which nobody took a photograph.

Two kinds, each after its paper, with fewer classes and smaller pictures:

- contours: nested polygons around one centre, whose radii waver (radial contours; Kataoka et al. 2022, "Replacing
  labeled real-image datasets with auto-generated contours", arXiv 2206.09132). The class is how many polygons and
  vertices there are, how far apart, how thick, how stretched and how wavering; the picture is the wavering itself.
- fractals: the attractor of a few affine maps of the plane (an iterated function system; Kataoka et al. 2020; Nakashima
  et al. 2021, "Can vision transformers learn without natural images?", arXiv 2103.13023). The class is the maps; the
  picture has one of their six coefficients scaled a little.

Where a figure stands, how large it is and in which colours says nothing about its class.

Data convention: a picture is (side, side, 3) uint8. All randomness comes from (seed, class, instance): the same picture
every time, whatever was drawn before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

OVERSAMPLING = 2  # contours are drawn this much larger and shrunk, for smooth edges
ORBITS = 256  # points that wander at once through a fractal
STEPS = 100  # of each, after the first ones have reached the attractor
BURN_IN = 20
FILLED = 0.15  # share of a 32 x 32 grid that an accepted fractal touches


@dataclass(frozen=True)
class Contour:
    """A class of nested polygons."""

    polygons: int
    vertices: int
    inner: float  # radius of the innermost polygon, of the outermost
    width: float  # of the line, in pixels of the finished picture at 128 px
    stretch: float  # height / width of the figure
    waver: float  # of the radius, as a share of it
    waves: int  # around the centre

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Contour:
        """A class at random."""
        return cls(
            polygons=int(rng.integers(1, 21)),
            vertices=int(3 * 12 ** rng.random()),  # 3 to 35, few of them more often
            inner=rng.uniform(0.1, 0.8),
            width=rng.uniform(0.5, 2.0),
            stretch=rng.uniform(0.4, 1.0),
            waver=rng.uniform(0.0, 0.4),
            waves=int(rng.integers(1, 8)),
        )

    def draw(self, side: int, rng: np.random.Generator) -> np.ndarray:
        """One picture of the class as brightness, (side, side) float32 in [0, 1]."""
        large = side * OVERSAMPLING
        sheet = Image.new("L", (large, large))
        pen, line = ImageDraw.Draw(sheet), max(1, round(self.width * large / 128))
        turn, radius = rng.uniform(-0.3, 0.3), large * rng.uniform(0.3, 0.42)
        cx, cy = large / 2 + large * rng.uniform(-0.08, 0.08, 2)
        angles = turn + 2 * math.pi * np.arange(self.vertices) / self.vertices
        for scale in np.linspace(1.0, self.inner, self.polygons):
            noise = self.waver * np.sin(self.waves * angles + rng.uniform(0, 2 * math.pi)) * rng.uniform(0.5, 1.0)
            r = radius * scale * (1 + noise) / (1 + self.waver)  # stays on the sheet
            corners = list(zip(cx + r * np.cos(angles), cy + self.stretch * r * np.sin(angles), strict=True))
            pen.line([*corners, corners[0], corners[1]], fill=255, width=line, joint="curve")
        return np.asarray(sheet.resize((side, side), Image.Resampling.BOX), np.float32) / 255


@dataclass(frozen=True)
class Fractal:
    """A class of attractors."""

    matrices: np.ndarray  # (n, 2, 2), contractions
    offsets: np.ndarray  # (n, 2)

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Fractal:
        """A class at random whose attractor is neither dust nor a blot.

        The singular values satisfy (5 + n) / 2 ≤ Σ (σ₁ + 2 σ₂) ≤ (6 + n) / 2 (Anderson & Farrell 2022, "Improving
        fractal pre-training", arXiv 2110.03091, section 4.1).
        """
        while True:
            n = int(rng.integers(2, 6))
            values = -np.sort(-rng.uniform(0, 1, (n, 2)), axis=1)  # (n, 2), the larger first
            if not 5 + n <= 2 * (values @ [1, 2]).sum() <= 6 + n:
                continue
            left, right = (_rotations(rng.uniform(0, 2 * math.pi, n)) for _ in range(2))
            signs = rng.choice([-1.0, 1.0], (n, 1, 2))
            found = cls((left * values[:, None] * signs) @ right, rng.uniform(-1, 1, (n, 2)))
            if (found.counts(32, rng) > 0).mean() >= FILLED:
                return found

    def counts(self, side: int, rng: np.random.Generator) -> np.ndarray:
        """How often the chaos game visits each pixel, (side, side); map i is taken with probability ∝ |det i|."""
        chances = np.abs(np.linalg.det(self.matrices)) + 0.01
        choices = rng.choice(len(chances), (BURN_IN + STEPS, ORBITS), p=chances / chances.sum())
        point, visited = np.zeros((ORBITS, 2)), []
        for chosen in choices:
            point = np.einsum("oij,oj->oi", self.matrices[chosen], point) + self.offsets[chosen]
            visited.append(point)
        points = np.concatenate(visited[BURN_IN:])  # (STEPS · ORBITS, 2)
        low, high = np.quantile(points, [0.005, 0.995], axis=0)
        places = (points - (low + high) / 2) / max((high - low).max(), 1e-9)  # most in [−½, ½], the shape kept
        pixels = np.floor((places * 0.9 + 0.5) * side).astype(int)
        inside = ((pixels >= 0) & (pixels < side)).all(1)
        flat = pixels[inside] @ [1, side]
        return np.bincount(flat, minlength=side * side).reshape(side, side)

    def draw(self, side: int, rng: np.random.Generator) -> np.ndarray:
        """One picture of the class as brightness, (side, side) float32 in [0, 1]."""
        row, column, factor = rng.integers(2), rng.integers(3), rng.uniform(0.8, 1.1)
        maps = np.concatenate([self.matrices, self.offsets[:, :, None]], 2)  # (n, 2, 3)
        maps[:, row, column] *= factor
        counts = np.log1p(Fractal(maps[:, :, :2], maps[:, :, 2]).counts(side, rng))
        return (counts / counts.max()).astype(np.float32)


def _rotations(angles: np.ndarray) -> np.ndarray:
    """(n,) to (n, 2, 2)."""
    c, s = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)


KINDS = (Contour, Fractal)


def formula(seed: int, number: int) -> Contour | Fractal:
    """The class `number` of the collection `seed`; even ones are contours, odd ones fractals."""
    return KINDS[number % len(KINDS)].sample(np.random.default_rng((seed, number)))


def picture(drawn: Contour | Fractal, side: int, rng: np.random.Generator) -> np.ndarray:
    """One picture of a class, (side, side, 3) uint8: bright on dark, in colours of its own."""
    brightness = drawn.draw(side, rng)[..., None]  # (side, side, 1)
    ink, paper = rng.uniform(0.4, 1.0, 3), rng.uniform(0.0, 0.3, 3)
    return (255 * (paper + (ink - paper) * brightness)).round().astype(np.uint8)


class Formulas(Sequence):
    """`per_class` pictures of each formula, drawn when they are asked for.

    Picture i belongs to class i modulo the number of classes.

    Args:
        formulas: the classes.
        per_class: pictures of each.
        first: number of the first instance: other numbers, other pictures of the same classes.
        side: pixels.
        seed: of the instances.
    """

    def __init__(self, formulas: Sequence[Contour | Fractal], per_class: int, first: int, side: int, seed: int):
        self.formulas, self.per_class, self.first, self.side, self.seed = formulas, per_class, first, side, seed

    def __len__(self) -> int:
        return len(self.formulas) * self.per_class

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(index)
        instance, number = divmod(int(index), len(self.formulas))
        rng = np.random.default_rng((self.seed, number, self.first + instance, 1))
        return picture(self.formulas[number], self.side, rng)


def formula_figure(seed: int = 0, classes: int = 10, rows: int = 3, side: int = 128) -> Image.Image:
    """A sheet: one class a column, one picture of it a row."""
    drawn = Formulas([formula(seed, number) for number in range(classes)], rows, 0, side, seed)
    lines = [np.concatenate([drawn[row * classes + column] for column in range(classes)], 1) for row in range(rows)]
    return Image.fromarray(np.concatenate(lines))
