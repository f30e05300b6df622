"""A subject's picture in cells that can be hidden, and the maps that know nothing of it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.explain import BASELINES, Subject
from vitdemo.explain.base import Tick
from vitdemo.types import Heat, View
from vitdemo.views import canvas_shape, cells, spread, union

LIMITS = {"grid": (2, 32), "steps": (2, 128), "random": (2, 64), "batch": (1, 256), "seed": (0, 2**31 - 1)}
SMOOTH = 0.7  # cells; the standard deviation of the Gaussian that smooths a random map unless told


@dataclass(frozen=True)
class Settings:
    """How faithfulness is measured: the same for all maps that are compared."""

    grid: int = 14  # cells along the long side
    steps: int = 6  # forward passes of one curve, besides its two ends, which all curves share; an even number
    random: int = 6  # random maps; each counts twice, with its mirror image (see `curves.Floor`)
    fill: str = "blurred"  # what a hidden cell looks like, in `explain.BASELINES`
    batch: int = 16  # pictures in one forward pass
    seed: int = 0  # of the random maps and of the order of equal cells

    def __post_init__(self):
        if not isinstance(self.fill, str) or self.fill not in BASELINES:
            raise UnknownNameError("fill", self.fill, list(BASELINES))
        for field in fields(self):
            if field.name in LIMITS:
                low, high = LIMITS[field.name]
                value = getattr(self, field.name)
                if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                    raise VitdemoError(
                        f"{field.name} is {str(value)[:80]!r}; allowed: a whole number from {low} to {high}."
                    )
        if self.steps % 2:
            raise VitdemoError(f"steps is {self.steps}; allowed: an even number, so that a curve can be turned round.")


class Memory:
    """What backbones said of one picture with some of its cells hidden: a fusion that hides the same cells, as it does
    wherever its backbones saw the same part, need not ask them again. What a hidden cell looks like stays the same."""

    def __init__(self):
        self._said: dict[tuple, tuple[torch.Tensor, ...]] = {}

    def recall(
        self,
        keys: Sequence[tuple],
        ask: Callable[[list[int]], tuple[torch.Tensor, ...]],
    ) -> tuple[torch.Tensor, ...]:
        """What was said of B choices of cells, B rows in each tensor.

        Args:
            keys: B, each naming a backbone, what is wanted of it, and the choice.
            ask: given the numbers of those that nobody has asked about yet, what is said of them, a row for each.
        """
        new = [index for index, key in enumerate(keys) if key not in self._said]
        if new:
            rows = zip(*ask(new), strict=True)
            self._said |= {keys[index]: row for index, row in zip(new, rows, strict=True)}
        return tuple(torch.stack(each) for each in zip(*(self._said[key] for key in keys), strict=True))


class Cells:
    """What a subject saw, cut into n cells; asks for the target's probability when only some of them are present.

    A hidden cell is filled from the picture's `fill` (its mean colour, a blurred copy, …), the same for every map.

    Args:
        subject: one backbone, or several fused ones.
        settings: `grid`, `fill` and `batch` are read.
        memory: of the subjects of one analysis, if they share one; its scorer is a `FusedModel` then.
    """

    def __init__(self, subject: Subject, settings: Settings, memory: Memory | None = None):
        self.subject = subject
        self.batch = settings.batch
        self.memory = memory
        self.view: View = union(subject.views)
        self.shape = canvas_shape(self.view.size, settings.grid)  # (rows, columns)
        self._blank = [BASELINES[settings.fill](x) for x in subject.pixels]
        self._index = [  # M tensors (h_m, w_m): each input pixel's cell
            torch.from_numpy(cells(view, tuple(x.shape[-2:]), self.shape, self.view)).to(x.device)
            for view, x in zip(subject.views, subject.pixels, strict=True)
        ]
        self._where = [hashlib.sha256(index.cpu().numpy()).digest() for index in self._index]

    @property
    def count(self) -> int:
        """n."""
        return self.shape[0] * self.shape[1]

    def of(self, heat: Heat) -> np.ndarray:
        """(n,) what of a map falls into each cell; cells that the map does not reach get 0."""
        return spread(heat.values, heat.view, self.shape, self.view).ravel()

    def heat(self, values: np.ndarray) -> Heat:
        """A map of n values, one for each cell."""
        return Heat(np.asarray(values, dtype=np.float32).reshape(self.shape), signed=True, view=self.view)

    def probability(self, present: np.ndarray, tick: Tick = lambda: None) -> np.ndarray:
        """What the subject explains, the target's probability, for each of B choices of cells.

        Args:
            present: (B, n) bool.
            tick: called before each forward pass.

        Returns:
            (B,) float64 in 0..1; less that of the class that the target is compared with, if any: -1..1.
        """
        parts = []
        for first in range(0, len(present), self.batch):
            keep = torch.from_numpy(np.ascontiguousarray(present[first : first + self.batch], dtype=bool))
            with torch.inference_mode():
                outputs = self._asked(keep, tick) if self.memory is None else self._recalled(keep, tick)
                parts.append(self.subject.score(outputs).double().cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros(0)

    def _asked(self, keep: torch.Tensor, tick: Tick) -> torch.Tensor:
        tick()
        return self.subject.scorer(*(self._hidden(index, keep) for index in range(len(self.subject.pixels))))

    def _recalled(self, keep: torch.Tensor, tick: Tick) -> torch.Tensor:
        scorer, said = self.subject.scorer, []
        choices = [choice.tobytes() for choice in np.packbits(keep.numpy(), axis=1)]
        for index, model in enumerate(self.subject.models):

            def ask(new: list[int], index=index) -> tuple[torch.Tensor, ...]:
                tick()
                return scorer.ask(index, self._hidden(index, keep[new]))

            about = (model.backbone.name, scorer.fusion.needs, self._where[index])
            said.append(self.memory.recall([(*about, choice) for choice in choices], ask))
        return scorer.combine(said)

    def _hidden(self, index: int, keep: torch.Tensor) -> torch.Tensor:
        """(b, 3, h_m, w_m): one backbone's input, for (b, n) choices of cells."""
        x = self.subject.pixels[index]
        return torch.where(keep.to(x.device)[:, self._index[index]][:, None], x, self._blank[index])


def smoothed(values: np.ndarray, sigma: float) -> np.ndarray:
    """(h, w) convolved with a Gaussian of `sigma` cells; at the edges its weights within the grid sum to 1."""
    if not sigma:
        return np.asarray(values, dtype=np.float64)
    rows, columns = (_gaussian(size, sigma) for size in values.shape)
    return rows @ np.asarray(values, dtype=np.float64) @ columns.T


def _gaussian(size: int, sigma: float) -> np.ndarray:
    """(size, size), rows sum to 1."""
    at = np.arange(size)
    weights = np.exp(-((at[:, None] - at[None, :]) ** 2) / (2 * sigma**2))
    return weights / weights.sum(1, keepdims=True)


def random_map(view: View, shape: tuple[int, int], seed: int, number: int = 0, smooth: float = SMOOTH) -> Heat:
    """A map that knows nothing: smoothed noise, of mean 0, the same for the same seed and number.

    Args:
        view: where it lies.
        shape: (rows, columns) of its grid.
        seed, number: the number-th map of this seed.
        smooth: standard deviation of the Gaussian in cells; 0 is noise that no neighbour shares.
    """
    noise = np.random.default_rng([seed, number]).normal(size=shape)
    return Heat(smoothed(noise, smooth).astype(np.float32), signed=True, view=view)


def centre_map(view: View, shape: tuple[int, int]) -> Heat:
    """A map that knows only that photographers put things in the middle: a Gaussian of a quarter of each side."""
    rows, columns = (np.exp(-(((np.arange(n) + 0.5) / n - 0.5) ** 2) / (2 * 0.25**2)) for n in shape)
    return Heat(np.outer(rows, columns).astype(np.float32), signed=False, view=view)
