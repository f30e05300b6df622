"""Why this prediction: one file per family of explanations, all in one registry, `EXPLANATIONS`.

Every explanation speaks of a `Subject`: one backbone, or the fused model, which is several at once. What it explains
is the probability of the target class, so that a number under a map is a number that the page shows. A map is raw:
signed where the method is signed, on the grid where it was computed, and with the view that says where it lies.
"""

from vitdemo.explain import attention, cam, gradient, perturbation  # noqa: F401  each adds its entries to the registry
from vitdemo.explain.base import BASELINES, EXPLANATIONS, Explanation, Options, Subject, explain, fused_subject
from vitdemo.explain.fusedmaps import FUSED_MAPS, difference, fuse_maps

__all__ = [
    "BASELINES",
    "EXPLANATIONS",
    "FUSED_MAPS",
    "Explanation",
    "Options",
    "Subject",
    "difference",
    "explain",
    "fuse_maps",
    "fused_subject",
]
