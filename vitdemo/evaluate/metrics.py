"""Figures of predictions, as pure functions.

Probabilities are (N, K), targets (N,) numbers of classes; `right` and `wrong` are (M, N), who of M was so on which of N
pictures. Ties between classes go to the first of them.
"""

from dataclasses import dataclass

import numpy as np

BINS = 15  # of the expected calibration error, as in Guo et al., 2017
RESAMPLES = 2000  # 1,000 or more for percentile intervals: Efron and Tibshirani, An Introduction to the Bootstrap, 1993
SEED = 0
LEVEL = 0.95
CHUNK = 1 << 18  # draws held at once


@dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bin:
    """The pictures on which a model was about so sure. Confidence and accuracy are 0 where the count is."""

    confidence: float  # mean, 0..1
    accuracy: float  # share of right ones, 0..1
    count: int


@dataclass(frozen=True)
class PerClass:
    """How a model did on the pictures of one class."""

    count: int
    right: int
    taken_for: tuple[tuple[int, int], ...]  # (number of another class, pictures of which it was said), most first


@dataclass(frozen=True)
class Disagreement:
    """How M models err together, each (M, M) and symmetric."""

    names: tuple[str, ...]  # M
    differ: np.ndarray  # share of pictures on which the two give different answers, 0..1
    both_wrong: np.ndarray  # share of pictures on which both are wrong, 0..1; on the diagonal the error rate
    error_correlation: np.ndarray  # phi coefficient of being wrong, -1..1; 0 with a model that is always or never so


def top1(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Share of the N pictures whose most probable class is the target; of equals the first class counts."""
    return float(np.mean(probabilities.argmax(-1) == targets))


def per_class(probabilities: np.ndarray, targets: np.ndarray) -> tuple[PerClass, ...]:
    """What became of the pictures of each of the K classes: the rows of the confusion matrix, without their zeros."""
    said = probabilities.argmax(-1)
    rows = []
    for label in range(probabilities.shape[-1]):
        counts = np.bincount(said[targets == label], minlength=probabilities.shape[-1])
        wrong = [(int(k), int(counts[k])) for k in np.argsort(-counts, kind="stable") if counts[k] and k != label]
        rows.append(PerClass(int(counts.sum()), int(counts[label]), tuple(wrong)))
    return tuple(rows)


def nll(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean of -log p(target), in nats. A probability of 0 counts as 2.2e-16, the smallest step above 1 in float64."""
    given = np.asarray(probabilities, dtype=np.float64)[np.arange(len(targets)), targets]
    return float(-np.mean(np.log(np.maximum(given, np.finfo(np.float64).eps))))


def brier(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean squared distance of the probabilities from the truth, 0..2 (Brier, 1950).

    Σ_k (p_k − [k is the target])², averaged over pictures.
    """
    truth = np.eye(probabilities.shape[-1])[targets]
    return float(np.mean(np.sum((np.asarray(probabilities, dtype=np.float64) - truth) ** 2, axis=-1)))


def reliability(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> tuple[Bin, ...]:
    """How often a model is right when it is so sure: the points of a reliability diagram.

    Args:
        probabilities: (N, K).
        targets: (N,).
        bins: of equal width; bin b of 1, 2, … holds confidences in ((b − 1) / bins, b / bins].
    """
    confidence = np.asarray(probabilities, dtype=np.float64).max(-1)
    right = probabilities.argmax(-1) == targets
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    sure, correct = (np.bincount(index, weights=each, minlength=bins) for each in (confidence, right))
    return tuple(
        Bin(float(s / max(n, 1)), float(c / max(n, 1)), int(n)) for s, c, n in zip(sure, correct, counts, strict=True)
    )


def ece(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: how far confidence is from accuracy (Guo et al., 2017, arXiv 1706.04599, equation 3).

        ECE = Σ_b |B_b| / N · |acc(B_b) − conf(B_b)|

    Args:
        probabilities: (N, K).
        targets: (N,).
        bins: as in `reliability`.
    """
    found = reliability(probabilities, targets, bins)
    return float(sum(each.count * abs(each.accuracy - each.confidence) for each in found) / len(targets))


def bootstrap(values: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Means over pictures drawn anew, with replacement: (..., N) to (..., resamples).

    All rows see the same draws, so differences between rows are paired; so are those of two calls with the same N.
    Sums of whole numbers are exact, so shares of right answers are the same on every machine.
    """
    values = np.asarray(values, dtype=np.float64)
    pictures = values.shape[-1]
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // pictures)
    means = []
    for first in range(0, resamples, at_once):
        drawn = rng.integers(0, pictures, (min(at_once, resamples - first), pictures))
        means.append(values[..., drawn].mean(-1))
    return np.concatenate(means, axis=-1)


def interval(value: float, means: np.ndarray, level: float = LEVEL) -> Interval:
    """The percentile interval of a figure (Efron and Tibshirani, 1993, chapter 13).

    Args:
        value: the figure on the pictures themselves.
        means: (R,) the same figure on R resamples.
        level: share of the resamples that lie inside, 0..1.
    """
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def disagreement(names: tuple[str, ...], choices: np.ndarray, targets: np.ndarray) -> Disagreement:
    """How M models err together.

    Args:
        names: M.
        choices: (M, N) numbers of the classes that they chose.
        targets: (N,).

    Returns:
        Shares and φ = (p_ij − p_i p_j) / √(p_i (1 − p_i) p_j (1 − p_j)), where p is the share of wrong answers
        (Kuncheva and Whitaker, Measures of Diversity in Classifier Ensembles, 2003).
    """
    wrong = (choices != targets).astype(np.float64)  # (M, N)
    both = wrong @ wrong.T / len(targets)
    rate = wrong.mean(-1)
    spread = np.sqrt(rate * (1 - rate))
    apart = np.outer(spread, spread)
    phi = np.divide(both - np.outer(rate, rate), apart, out=np.zeros_like(both), where=apart > 0)
    differ = (choices[:, None] != choices[None]).mean(-1)
    return Disagreement(tuple(names), differ, both, np.clip(phi, -1, 1))
