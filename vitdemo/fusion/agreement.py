"""How much backbones agree, from the Jensen-Shannon divergence (Lin, 1991) of their probabilities."""

import numpy as np


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Shannon entropy over the last axis, in nats; 0 log 0 = 0."""
    p = np.asarray(probabilities, dtype=np.float64)
    return -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=-1)


def divergence(probabilities: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence H(mean p) - mean H(p) of (M, ..., K), in nats, at least 0."""
    p = np.asarray(probabilities, dtype=np.float64)
    return np.clip(entropy(p.mean(0)) - entropy(p).mean(0), 0, None)


def agreement(probabilities: np.ndarray) -> np.ndarray:
    """1 where all M backbones say the same, 0 where no two of them think the same class possible.

    Args:
        probabilities: (M, ..., K), rows sum to 1.

    Returns:
        (...): one minus the divergence over its largest possible value, log min(M, K).
    """
    count, classes = len(probabilities), probabilities.shape[-1]
    largest = np.log(min(count, classes))
    apart = divergence(probabilities)
    return np.clip(1 - apart / largest, 0, 1) if largest else np.ones_like(apart)


def pairwise_divergence(probabilities: np.ndarray) -> np.ndarray:
    """(M, M) Jensen-Shannon divergence between any two backbones on one picture (M, K), in bits: 0 to 1."""
    pairs = [[divergence(np.stack([a, b])) for b in probabilities] for a in probabilities]
    return np.array(pairs) / np.log(2)
