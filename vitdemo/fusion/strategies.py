"""One function per strategy. All take probabilities (M, B, K) and give the fused ones (B, K) and weights (M, B).

They are written in torch so that the same lines serve the numbers on the page and the gradients of the fused model.
Every strategy sums to one over classes, permutes with the backbones, and gives a single backbone back unchanged.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from vitdemo.registry import Registry
from vitdemo.types import Evidence

Combine = Callable[[torch.Tensor, Evidence], tuple[torch.Tensor, torch.Tensor]]
TAU = 0.5  # nats; how sharply a backbone's entropy lowers its weight


@dataclass(frozen=True)
class Fusion:
    """One strategy.

    `differentiable`: the fused probability follows the picture without jumps. `linear`: it is a weighted mean of the
    backbones' probabilities, with weights that do not depend on the picture.
    """

    name: str
    title: str
    sentence: str  # what it does, in the language of a pupil
    formula: str
    paper: str
    combine: Combine
    differentiable: bool = True
    linear: bool = False


FUSIONS: Registry[Fusion] = Registry("fusion")


def _fusion(name: str, title: str, sentence: str, formula: str, paper: str = "", **kind: bool):
    def add(combine: Combine) -> Combine:
        FUSIONS.add(name, Fusion(name, title, sentence, formula, paper, combine, **kind))
        return combine

    return add


@_fusion(
    "mean",
    "Mean",
    "Every backbone counts the same: the probabilities are averaged.",
    "p = (1/M) Σ p_m",
    "Kittler et al., On Combining Classifiers, 1998 (sum rule)",
    linear=True,
)
def mean(probabilities: torch.Tensor, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    return _weighted(probabilities, torch.ones_like(probabilities[..., 0]))


@_fusion(
    "geometric",
    "Geometric mean",
    "The probabilities are multiplied: one backbone that is sure a class is wrong can rule it out.",
    "p ∝ exp((1/M) Σ log p_m)",
    "Hinton, Products of Experts, 2002 (logarithmic opinion pool)",
)
def geometric(probabilities: torch.Tensor, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    fused = torch.softmax(_log(probabilities).mean(0), dim=-1)
    return fused, _normalised(torch.ones_like(probabilities[..., 0]))


@_fusion(
    "validation",
    "Weighted by accuracy",
    "A backbone that was right more often on pictures set aside for checking counts more.",
    "p = Σ w_m p_m,  w_m ∝ validation accuracy",
    "Kuncheva, Combining Pattern Classifiers, 2014, chapter 5",
    linear=True,
)
def validation(probabilities: torch.Tensor, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    accuracy = torch.as_tensor(evidence.accuracy, dtype=probabilities.dtype, device=probabilities.device)
    # backbones that were never right count the same
    accuracy = accuracy.clamp_min(torch.finfo(accuracy.dtype).tiny)
    return _weighted(probabilities, accuracy[:, None].expand(probabilities.shape[:2]))


@_fusion(
    "confidence",
    "Weighted by confidence",
    "For each picture anew, a backbone that is surer of its answer counts more. Danger: sure is not the same as right.",
    "p = Σ w_m p_m,  w_m ∝ exp(−H(p_m)/τ),  τ = 0.5 nats",
    "entropy weights, after Tornay et al., Entropy-Based Combination, 2007",
)
def confidence(probabilities: torch.Tensor, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    entropy = -(probabilities * _log(probabilities)).sum(-1)  # (M, B)
    return _weighted(probabilities, torch.exp(-(entropy - entropy.amin(0)) / TAU))


@_fusion(
    "vote",
    "Majority vote",
    "Each backbone votes for its first choice; the winners' probabilities are averaged, the others are left out.",
    "c = most votes (a tie goes to the higher mean probability);  p = mean of p_m over those who voted for c",
    "Lam and Suen, Application of Majority Voting, 1997",
    differentiable=False,
)
def vote(probabilities: torch.Tensor, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    choices = probabilities.argmax(-1)  # (M, B)
    votes = torch.nn.functional.one_hot(choices, probabilities.shape[-1]).sum(0)  # (B, K)
    tied = votes == votes.amax(-1, keepdim=True)
    winner = probabilities.mean(0).masked_fill(~tied, -1).argmax(-1)  # (B,)
    return _weighted(probabilities, (choices == winner).to(probabilities.dtype))


def _log(probabilities: torch.Tensor) -> torch.Tensor:
    """log p, finite and with a finite gradient also where p has underflowed to 0."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def _weighted(probabilities: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    weights = _normalised(weights)
    return (weights[..., None] * probabilities).sum(0), weights


def _normalised(weights: torch.Tensor) -> torch.Tensor:
    return weights / weights.sum(0)
