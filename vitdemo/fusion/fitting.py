"""What is learned from votes on pictures whose class is known: short, deterministic, in float64.

Letters: M backbones, N pictures, D numbers that describe a picture, K classes. Losses are the mean negative
log-likelihood in nats a picture, so a strength of regularisation means the same for any number of pictures.
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

WARMTH = (0.05, 20.0)  # bounds of 1 / temperature: wider than any sensible one, so that perfect fits stay finite
ROUNDS = 40  # of greedy selection: weights in steps of a fortieth at the finest
RANK = 1e-12  # of the largest eigenvalue: directions below are rounding


def minimise(loss: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor) -> torch.Tensor:
    """Where a smooth loss is least, by L-BFGS (Liu and Nocedal, 1989) from `start`; never worse than `start`."""
    with torch.inference_mode(False), torch.enable_grad():
        x = start.detach().clone().requires_grad_()
        search = torch.optim.LBFGS(
            [x],
            max_iter=1000,
            tolerance_grad=1e-9,
            tolerance_change=1e-14,
            history_size=30,
            line_search_fn="strong_wolfe",
        )

        def closure() -> torch.Tensor:
            search.zero_grad()
            value = loss(x)
            value.backward()
            return value

        search.step(closure)
        found = x.detach()
    with torch.no_grad():
        return found if loss(found) <= loss(start) else start


def logistic(
    x: torch.Tensor, targets: torch.Tensor, classes: int, strength: float, offset: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Multinomial logistic regression with an L2 penalty on the weights (Bishop, 2006, section 4.3.4).

        minimise  mean NLL(softmax(x W + b + offset)) + strength / 2 · ‖W‖²

    scikit-learn's C is 1 / (N · strength).

    Args:
        x: (N, D).
        targets: (N,) classes, int64.
        classes: K.
        strength: above 0.
        offset: (N, K) logits that are there before anything is learned.

    Returns:
        W (D, K) and b (K,), each adding up to zero over the classes.
    """
    base = torch.zeros((), dtype=x.dtype) if offset is None else offset
    centre = x.mean(0)
    axes, lengths, back = principal(x - centre)
    # steps of equal curvature along every axis: the loss' Hessian is about x² (K - 1) / K² (Böhning, 1992)
    unit = (lengths.square() / len(x) * (classes - 1) / classes**2 + strength).rsqrt()[:, None]  # (R, 1)

    def loss(both: torch.Tensor) -> torch.Tensor:
        weights = unit * both[:-1]
        return F.cross_entropy(axes @ weights + both[-1] + base, targets) + strength / 2 * weights.square().sum()

    both = minimise(loss, torch.zeros(len(lengths) + 1, classes, dtype=x.dtype))
    weights = back @ (unit * both[:-1])
    weights = weights - weights.mean(1, keepdim=True)
    bias = both[-1] - centre @ weights
    return weights, bias - bias.mean()


def principal(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Coordinates of N pictures along the R ≤ min(N, D) axes that they span: x = coordinates · axesᵀ.

    A penalty on the length of weights does not change when x is rotated, and outside the span of the pictures they are
    zero, so a head fitted there is the same one (Hastie et al., The Elements of Statistical Learning, 2009, 18.3.5).

    Args:
        x: (N, D), D may be far above N.

    Returns:
        Coordinates (N, R), their lengths (R,), and orthonormal axes (D, R).
    """
    wide = x.shape[1] > x.shape[0]
    squares, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    kept = squares > RANK * squares[-1].clamp_min(torch.finfo(x.dtype).tiny)
    vectors, lengths = vectors[:, kept], squares[kept].sqrt()
    if wide:
        return vectors * lengths, lengths, x.T @ (vectors / lengths)
    return x @ vectors, lengths, vectors


def temperature(log_probabilities: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The T at which softmax(log p / T) is most likely (Guo et al., 2017, arXiv 1706.04599, section 4.2).

    The loss is convex in 1 / T, so its slope is bisected.

    Args:
        log_probabilities: (N, K), up to a constant a row.
        targets: (N,).

    Returns:
        A scalar in 1/20 to 20.
    """
    right = log_probabilities.gather(1, targets[:, None])[:, 0]
    low, high = (torch.tensor(edge, dtype=log_probabilities.dtype) for edge in WARMTH)
    for _ in range(80):
        middle = (low + high) / 2
        expected = (torch.softmax(middle * log_probabilities, -1) * log_probabilities).sum(-1)
        low, high = (middle, high) if (expected - right).mean() < 0 else (low, middle)
    return 2 / (low + high)


def class_weights(probabilities: torch.Tensor, targets: torch.Tensor, strength: float) -> torch.Tensor:
    """Weights (M, K), adding up to one over the backbones, under which Σ_m w_mk p_mk is most likely.

        minimise  mean NLL + strength / 2 · ‖θ‖²,  w = softmax over m of θ,  starting at equal weights

    Args:
        probabilities: (M, N, K).
        targets: (N,).
        strength: draws towards equal weights.
    """

    def loss(theta: torch.Tensor) -> torch.Tensor:
        mixed = class_wise(probabilities, torch.softmax(theta, 0))
        given = mixed.gather(1, targets[:, None]).clamp_min(torch.finfo(mixed.dtype).tiny)
        return -given.log().mean() + strength / 2 * theta.square().sum()

    start = torch.zeros(len(probabilities), probabilities.shape[-1], dtype=probabilities.dtype)
    return torch.softmax(minimise(loss, start), 0)


def class_wise(probabilities: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B, K) ∝ Σ_m w_mk p_mk of probabilities (M, B, K) and weights (M, K)."""
    mixed = (weights[:, None] * probabilities).sum(0)
    return mixed / mixed.sum(-1, keepdim=True).clamp_min(torch.finfo(mixed.dtype).tiny)


def greedy_counts(given: torch.Tensor, rounds: int = ROUNDS) -> torch.Tensor:
    """How often each backbone is taken by ensemble selection with replacement (Caruana et al., 2004, section 2).

    In every round the backbone is taken with which the mean of all taken so far becomes most likely; of all the
    ensembles on the way the most likely one is kept, the smallest of equals. Of equal backbones the first is taken.

    Args:
        given: (M, N) each backbone's probability of the right class.
        rounds: backbones taken at most.

    Returns:
        (M,) int64, at least one of them above 0.
    """
    counts = torch.zeros(len(given), dtype=torch.int64)
    total = torch.zeros_like(given[0])
    best, kept = torch.inf, counts
    for size in range(1, rounds + 1):
        losses = -((total + given) / size).clamp_min(torch.finfo(given.dtype).tiny).log().mean(1)  # (M,)
        losses = losses.round(decimals=12)  # so that equal ones are equal
        taken = int(losses.argmin())
        total, counts = total + given[taken], counts + torch.nn.functional.one_hot(torch.tensor(taken), len(given))
        if losses[taken] < best:
            best, kept = losses[taken], counts
    return kept
