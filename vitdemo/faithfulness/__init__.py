"""How far a map can be believed. A map that looks convincing and one that is right are not the same.

1. `cells`          cuts what a subject saw into cells that can be hidden, and makes the maps that know nothing: random
                    ones and a blob in the middle. Every figure stands beside theirs, because common scores barely tell
                    methods from chance (arXiv 2404.01415).
2. `curves`         deletion and insertion, and `Judge`, which says in one word what they mean: `Trust`.
3. `masks`          where the object is known: the pointing game, and the share of a map's energy inside.
4. `metrics`        infidelity and sensitivity, by Captum.
5. `randomisation`  whether the map changes when the network forgets what it learned.

Data convention: maps are `Heat`s, raw. A cell is one of a grid of equal cells over the part of the picture that the
subject saw, numbered row by row; for a fusion the cells lie on the picture, so that a cell is hidden from all members
at once. Masks are (H, W) bool over the whole picture, of any resolution.
"""

from vitdemo.faithfulness.cells import Cells, Memory, Settings, centre_map, random_map
from vitdemo.faithfulness.curves import BETTER, LIKE, WORSE, Curve, Floor, Judge, Pair, Trust, passes, trust
from vitdemo.faithfulness.masks import energy, peak, points_at
from vitdemo.faithfulness.metrics import Infidelity, infidelity, sensitivity
from vitdemo.faithfulness.randomisation import Randomisation, forgetful, parts_of, randomisation
from vitdemo.faithfulness.ranks import spearman

__all__ = [
    "BETTER",
    "LIKE",
    "WORSE",
    "Cells",
    "Curve",
    "Floor",
    "Infidelity",
    "Judge",
    "Memory",
    "Pair",
    "Randomisation",
    "Settings",
    "Trust",
    "centre_map",
    "energy",
    "forgetful",
    "infidelity",
    "parts_of",
    "passes",
    "peak",
    "points_at",
    "random_map",
    "randomisation",
    "sensitivity",
    "spearman",
    "trust",
]
