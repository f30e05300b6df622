"""What passes between the stages. Arrays are NumPy, float32, on the CPU; letters in shape comments:

B pictures, M backbones, K classes, D features, N tokens, (H, W) pixels of the original picture,
(h, w) the grid that a map was computed on: tokens for attention, input pixels for gradients, patches for occlusion.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class View:
    """The part of the picture that a backbone saw.

    `box` is (left, top, right, bottom) in pixels of the upright picture; what lies outside was cut away by the
    backbone's transform and is *not seen*, which is not the same as unimportant.
    """

    box: tuple[float, float, float, float]
    picture: tuple[int, int]  # (width, height) of the picture that the box refers to

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the box in whole pixels, at least 1."""
        left, top, right, bottom = self.box
        return max(1, round(right - left)), max(1, round(bottom - top))


@dataclass(frozen=True)
class Prediction:
    """What one backbone says of B pictures."""

    logits: np.ndarray  # (B, K)
    probabilities: np.ndarray  # (B, K) softmax(logits / temperature), rows sum to 1
    features: np.ndarray  # (B, D) pooled features, the head's input
    stages: np.ndarray | None = None  # (B, S) pooled maps, as `vitdemo.stages` makes them, where they were asked for


@dataclass(frozen=True, eq=False)
class Record:
    """What backbones of one collection said of N validation pictures: all that a fusion learns from.

    It holds no picture. Backbones are keyed by name.
    """

    collection: str
    labels: tuple[str, ...]  # K
    targets: np.ndarray  # (N,) int64, classes
    fingerprints: Mapping[str, str]  # of the weights and settings that said it
    log_probabilities: Mapping[str, np.ndarray]  # (N, K) float32, at the backbone's own temperature
    features: Mapping[str, np.ndarray]  # (N, D) float16, rows of length 1
    stages: Mapping[str, np.ndarray]  # (N, S) whole multiples of `steps`, int8; only where an architecture has them
    steps: Mapping[str, np.ndarray] = field(default_factory=dict)  # (S,) float32; 1 where nothing stands
    strengths: Mapping[str, float] = field(default_factory=dict)  # of the penalty, by fusion, from cross-validation


@dataclass(frozen=True)
class Evidence:
    """What a fusion may look at: M backbones' opinions about one picture or a batch, and what is known of them."""

    names: tuple[str, ...]  # M
    labels: tuple[tuple[str, ...], ...]  # M label lists, which have to be one and the same
    accuracy: np.ndarray  # (M,) top-1 on validation pictures, 0..1
    record: Record | None = None  # what fitted fusions learn from
    unrecorded: str = "there is no record of what these backbones said of validation pictures"  # why record is None
    fingerprints: tuple[str, ...] = ()  # M, of the backbones as they are now; () where there is no record


@dataclass(frozen=True)
class Fused:
    """One prediction made of several."""

    probabilities: np.ndarray  # (K,) sums to 1
    weights: np.ndarray  # (M,) each backbone's share in it, sums to 1
    agreement: float  # 1 - normalised Jensen-Shannon divergence: 1 all say the same, 0 they exclude each other


@dataclass(frozen=True)
class Heat:
    """A raw map: as the method gives it, neither clipped nor normalised.

    `figures` are the numbers that belong under the map, such as the completeness error, by name.
    """

    values: np.ndarray  # (h, w)
    signed: bool  # negative values mean "speaks against"
    view: View
    figures: Mapping[str, float] = field(default_factory=dict)
    note: str = ""  # what it takes for granted, where it goes beyond the method as published


@dataclass(frozen=True)
class NotOffered:
    """A map that has no honest form for this backbone or fusion, and the reason."""

    reason: str
