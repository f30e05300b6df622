"""Deletion and insertion: what happens to the probability when the map's most important cells go first, or come first.

Petsiuk, Das and Saenko, RISE, 2018, arXiv 1806.07421, section 4.1. Deletion hides cells in the order of the map, the
highest value first: the sooner the probability falls, the smaller the area under the curve, the better. Insertion shows
them, in the same order, on a blank picture: the larger the area the better. Signed maps are ordered by value, so that
what speaks against the class comes last.

**Score and chance.** A map's score is its insertion area minus its deletion area, -1 to 1. A map turned round (every
value times -1) has the opposite order, so its deletion curve is the insertion curve read backwards, and its score is
minus that of the map. A random map is as likely as its mirror image: chance is exactly 0, and only its spread has to be
measured. Each random map counts twice, with its mirror, for the price of one.

That spread depends on smoothness: scattered holes leave a flower recognisable whichever they are, a blob hides it or
does not. A map is therefore compared with random maps about as smooth as itself (`smoothness`, `LEVELS`), and is better
than chance if it is better than all of them and their mirrors. Where half of all random maps do well, as in a picture
of two flowers, no map can be told from chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitdemo.explain import Subject
from vitdemo.explain.base import Tick
from vitdemo.faithfulness.cells import Cells, Memory, Settings, centre_map, random_map
from vitdemo.faithfulness.masks import energy, points_at
from vitdemo.faithfulness.ranks import ranks, spearman
from vitdemo.types import Heat

BETTER, LIKE, WORSE = "better than chance", "like chance", "worse than chance"
# Standard deviations in cells, as in `cells.random_map`: neighbours correlate by about 0, 0.6 and 0.9.
LEVELS = (0.0, 0.7, 1.5)
NEGLIGIBLE = 0.005  # of probability: less than the page shows, and no reason to believe or disbelieve a map


@dataclass(frozen=True)
class Curve:
    """The target's probability while cells are hidden or shown; compared with another class, by how much it is more
    probable, -1..1."""

    shares: np.ndarray  # (P,) share of the cells hidden (deletion) or shown (insertion), from 0 to 1
    values: np.ndarray  # (P,) probability

    @property
    def area(self) -> float:
        """Under the curve, by trapezia: the mean probability on the way, 0..1."""
        return float(np.sum(np.diff(self.shares) * (self.values[1:] + self.values[:-1]) / 2))


@dataclass(frozen=True)
class Pair:
    """Both curves of one map."""

    deletion: Curve  # lower is better
    insertion: Curve  # higher is better

    @property
    def score(self) -> float:
        """Insertion area minus deletion area, -1..1; 0 is what chance gets."""
        return self.insertion.area - self.deletion.area

    @property
    def mirror(self) -> "Pair":
        """The curves of the map times -1, which take no further pass."""
        return Pair(_backwards(self.insertion), _backwards(self.deletion))


def _backwards(curve: Curve) -> Curve:
    return Curve(1 - curve.shares[::-1], curve.values[::-1])


@dataclass(frozen=True)
class Floor:
    """What maps that know nothing of the picture reach on it, by the same passes."""

    smooth: float  # how smooth its random maps are, in cells: one of `LEVELS`
    random: tuple[Pair, ...]  # R random maps; their mirror images are not listed
    centre: Pair  # a blob in the middle

    @property
    def mean(self) -> float:
        """The mean score of the random maps and their mirrors."""
        return 0.0

    @property
    def sd(self) -> float:
        """The standard deviation of their scores about that mean."""
        return float(np.sqrt(np.mean([pair.score**2 for pair in self.random])))

    @property
    def margin(self) -> float:
        """How far from 0 a score has to be to be no chance: farther than every random map and its mirror.

        One more random map would be above all of them once in 2 (R + 1) times, whatever the scores' distribution: once
        in 14 for six. Two deviations would ask for more than any map can reach where scores have two peaks: of two
        flowers, half of the random maps show the right one first.
        """
        return max(*(abs(pair.score) for pair in self.random), NEGLIGIBLE)

    def band(self, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The random maps' "deletion" or "insertion" curves: shares (P,), mean (P,) and standard deviation (P,)."""
        both = [getattr(pair, kind) for each in self.random for pair in (each, each.mirror)]
        values = np.stack([curve.values for curve in both])
        return both[0].shares, values.mean(0), values.std(0)


@dataclass(frozen=True)
class Trust:
    """What one map of one subject is worth.

    For a small drawing under the map: `curves.deletion` and `curves.insertion` (each `shares` and `values`), with
    `floor.band("deletion")` behind them. In words: `word`, and `above_centre`. The rest is figures on demand.
    """

    word: str  # BETTER, LIKE or WORSE (than chance)
    curves: Pair  # of this map
    floor: Floor  # of this subject and picture, shared by all its maps that are about as smooth
    above_centre: bool  # whether it scores higher than a blob in the middle, which needs no network
    energy: float | None = None  # share of the map's positive values inside the mask, 0..1; None without a mask
    expected_energy: float | None = None  # that of an even map: the mask's share of what was seen; None without one
    pointing: bool | None = None  # whether the map's peak lies in the mask; None without one

    @property
    def deletion(self) -> float:
        """Area under the deletion curve, 0..1; lower is better."""
        return self.curves.deletion.area

    @property
    def insertion(self) -> float:
        """Area under the insertion curve, 0..1; higher is better."""
        return self.curves.insertion.area

    @property
    def score(self) -> float:
        """Insertion minus deletion, -1..1; chance is 0."""
        return self.curves.score

    def figures(self) -> dict:
        """Everything as plain numbers, strings, lists and None, with stable keys."""
        return {
            "word": self.word,
            "score": self.score,
            "deletion": self.deletion,
            "insertion": self.insertion,
            "chance": {
                "mean": self.floor.mean,
                "sd": self.floor.sd,
                "margin": self.floor.margin,
                "smooth": self.floor.smooth,
            },
            "centre": self.floor.centre.score,
            "above_centre": self.above_centre,
            "curves": {
                "shares": self.curves.deletion.shares.tolist(),
                "deletion": self.curves.deletion.values.tolist(),
                "insertion": self.curves.insertion.values.tolist(),
                "chance_deletion": self.floor.band("deletion")[1].tolist(),
                "chance_insertion": self.floor.band("insertion")[1].tolist(),
            },
            "energy": self.energy,
            "expected_energy": self.expected_energy,
            "pointing": self.pointing,
        }


def word_of(score: float, floor: Floor) -> str:
    """ "better than chance" above the floor's margin, "worse than chance" below minus it, "like chance" between."""
    if abs(score) <= floor.margin:
        return LIKE
    return BETTER if score > 0 else WORSE


class Judge:
    """Judges maps of one subject against the same floors, each of which is computed when the first map asks for it.

    Cost, in forward passes of the subject (`Settings.steps` is S, `Settings.random` R): 2 + 2 S to make it, 2 S R for
    each of at most three floors, and 2 S for each map: 14, 72 and 12 as the settings stand. With a memory the
    floors of a fusion cost nothing where its backbones saw the same part of the picture: they were asked already.

    Args:
        subject: one backbone, or several fused ones, and the class.
        settings: how to measure; the default settings unless told.
        tick: called before each forward pass; whatever it raises stops the work and leaves nothing behind.
        memory: shared by the judges of one analysis, so that a fusion costs little more than its backbones.
    """

    def __init__(
        self,
        subject: Subject,
        settings: Settings | None = None,
        tick: Tick = lambda: None,
        memory: Memory | None = None,
    ):
        self.settings = settings or Settings()
        self.cells = Cells(subject, self.settings, memory)
        whole = np.ones((1, self.cells.count), dtype=bool)
        ends = self.cells.probability(np.concatenate([whole, ~whole]), tick)
        self.ends = (float(ends[0]), float(ends[1]))  # probability of the whole picture, and with every cell hidden
        (self.centre,) = self.curves([centre_map(self.cells.view, self.cells.shape)], tick)
        self._levels = [  # R random maps of each smoothness, and how smooth they are; no pass is needed to draw them
            (smooth, heats, float(np.mean([smoothness(heat.values) for heat in heats])))
            for smooth in LEVELS
            for heats in [[self._random(number, smooth) for number in range(self.settings.random)]]
        ]
        self._floors: dict[float, Floor] = {}

    def _random(self, number: int, smooth: float) -> Heat:
        return random_map(self.cells.view, self.cells.shape, self.settings.seed, number, smooth)

    def floor(self, heat: Heat, tick: Tick = lambda: None) -> Floor:
        """What random maps that are about as smooth as this one reach."""
        mine = smoothness(self.cells.of(heat).reshape(self.cells.shape))
        smooth, heats, _ = min(self._levels, key=lambda level: abs(level[2] - mine))
        if smooth not in self._floors:
            self._floors[smooth] = Floor(smooth, tuple(self.curves(heats, tick)), self.centre)
        return self._floors[smooth]

    def curves(self, heats: Sequence[Heat], tick: Tick = lambda: None) -> list[Pair]:
        """The curves of several maps, in common batches."""
        cells, (whole, blank) = self.cells, self.ends
        many = counts(cells.count, self.settings.steps)  # (P,)
        present = []
        for heat in heats:
            rank = np.argsort(order_of(cells.of(heat), self.settings.seed))  # (n,) the place of each cell in the order
            gone = rank[None, :] < many[1:-1, None]  # (P - 2, n)
            present += [~gone, gone]
        if not present:
            return []
        inner = cells.probability(np.concatenate(present), tick).reshape(len(heats), 2, -1)
        shares = many / cells.count
        return [
            Pair(Curve(shares, np.array([whole, *hidden, blank])), Curve(shares, np.array([blank, *shown, whole])))
            for hidden, shown in inner
        ]

    def trust(self, heat: Heat, mask: np.ndarray | None = None, tick: Tick = lambda: None) -> Trust:
        """What a map is worth.

        Args:
            heat: any map of the subject's picture and class.
            mask: (H, W) bool over the whole picture, true where the object of the class is, if that is known.
            tick: called before each forward pass.
        """
        floor = self.floor(heat, tick)
        (pair,) = self.curves([heat], tick)
        even = self.cells.heat(np.ones(self.cells.count))
        return Trust(
            word=word_of(pair.score, floor),
            curves=pair,
            floor=floor,
            above_centre=pair.score > floor.centre.score,
            energy=None if mask is None else energy(heat, mask),
            expected_energy=None if mask is None else energy(even, mask),
            pointing=None if mask is None else points_at(heat, [mask]) == 0,
        )


def passes(settings: Settings, maps: int, floors: int = 2) -> int:
    """What a `Judge` costs in pictures sent forward: to make it, to measure floors, and to judge maps."""
    return 2 + 2 * settings.steps * (1 + floors * settings.random + maps)


def trust(
    subject: Subject,
    heat: Heat,
    mask: np.ndarray | None = None,
    settings: Settings | None = None,
    tick: Tick = lambda: None,
) -> Trust:
    """What one map of a subject is worth; for several maps of one subject make one `Judge`, which is cheaper."""
    return Judge(subject, settings, tick).trust(heat, mask, tick)


def counts(cells: int, steps: int) -> np.ndarray:
    """How many cells are hidden at each point of a curve: from 0 to all, the same read from either end."""
    half = [k * cells // (steps + 1) for k in range(steps // 2 + 1)]
    return np.unique([*half, *(cells - k for k in half)])


def order_of(values: np.ndarray, seed: int) -> np.ndarray:
    """(n,) the cells, the highest value first; equal ones in an order that the seed decides, not their position."""
    return np.lexsort((np.random.default_rng(seed).permutation(len(values)), -values))


def smoothness(values: np.ndarray) -> float:
    """How much neighbouring cells of (rows, columns) agree: the correlation of their ranks, -1..1; 1 if all are equal.

    Ranks, because nothing but the order of the cells enters a curve.
    """
    ranked = ranks(values).reshape(values.shape)
    here = np.concatenate([ranked[:, :-1].ravel(), ranked[:-1].ravel()])
    there = np.concatenate([ranked[:, 1:].ravel(), ranked[1:].ravel()])
    correlation = spearman(here, there) if len(here) else None
    return 1.0 if correlation is None else correlation
