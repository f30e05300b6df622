"""Ranks and their correlation."""

import numpy as np


def ranks(values: np.ndarray) -> np.ndarray:
    """(n,) the rank of each value, flattened, from 1; equal values share their mean rank."""
    _, which, times = np.unique(np.ravel(values), return_inverse=True, return_counts=True)
    return (np.cumsum(times) - (times - 1) / 2)[which.ravel()]


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rank correlation of two arrays of one size, -1..1; None if one of them is the same everywhere."""
    a, b = ranks(first), ranks(second)
    a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / length, -1, 1)) if length else None
