"""One function per strategy. All take votes, probabilities (M, B, K) foremost, and give (B, K) and weights (M, B).

They are written in torch so that the same lines serve the numbers on the page and the gradients of the fused model.
Every strategy sums to one over classes and permutes with the backbones. Those of this module learn nothing and give a
single backbone back unchanged; those that learn are in `fitted`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from vitdemo.fusion.votes import Votes
from vitdemo.registry import Registry
from vitdemo.types import Evidence

Combine = Callable[[Votes, Evidence], tuple[torch.Tensor, torch.Tensor]]
TAU = 0.5  # nats; how sharply a backbone's entropy lowers its weight


@dataclass(frozen=True)
class Learner:
    """How a strategy learns from a record, and what it does with what it learned."""

    fit: Callable[[Votes, torch.Tensor, float], Any]  # votes on N pictures, their classes (N,), strength to a head
    apply: Callable[[Any, Votes], tuple[torch.Tensor, torch.Tensor]]  # the head on votes to (B, K) and (M, B)
    strengths: tuple[float, ...] = ()  # of the penalty, to choose from by cross-validation; () where there is none


@dataclass(frozen=True)
class Fusion:
    """One strategy.

    `differentiable`: the fused probability follows the picture without jumps. `linear`: it is a weighted mean of the
    backbones' probabilities, with one weight for each backbone that does not depend on the picture.
    """

    name: str
    title: str
    sentence: str  # what it does, in the language of a pupil
    formula: str
    paper: str
    combine: Combine
    differentiable: bool = True
    linear: bool = False
    needs: str = "probabilities"  # or "features", or "stages": what of the backbones' predictions it looks at
    learner: Learner | None = None

    @property
    def fitted(self) -> bool:
        """Whether it learns from the record of a collection's validation pictures."""
        return self.learner is not None

    def refuse(self, evidence: Evidence) -> str | None:
        """Why these backbones cannot be fused so, in one sentence; None where they can."""
        if self.learner is None:
            return None
        reason = self._missing(evidence)
        return reason and f"{self.title} has to learn from validation pictures, and {reason}."

    def _missing(self, evidence: Evidence) -> str | None:
        record = evidence.record
        if record is None:
            return evidence.unrecorded
        if evidence.labels and record.labels != evidence.labels[0]:
            return f"the record of {record.collection} is of other classes"
        for name, fingerprint in zip(evidence.names, evidence.fingerprints, strict=True):
            if name not in record.fingerprints:
                return f"the record of {record.collection} lacks {name}; allowed: {', '.join(record.fingerprints)}"
            if fingerprint != record.fingerprints[name]:
                return f"the record of {record.collection} was made with other weights or settings of {name}"
            if self.needs == "stages" and name not in record.stages:
                return f"{name} does not show the maps of its stages; allowed: {', '.join(record.stages) or 'none'}"
        if self.learner.strengths and self.name not in record.strengths:
            return f"the record of {record.collection} does not say how cautiously"
        return None


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
def mean(votes: Votes, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    return weighted(votes.probabilities, torch.ones_like(votes.probabilities[..., 0]))


@_fusion(
    "geometric",
    "Geometric mean",
    "The probabilities are multiplied: one backbone that is sure a class is wrong can rule it out.",
    "p ∝ exp((1/M) Σ log p_m)",
    "Hinton, Products of Experts, 2002 (logarithmic opinion pool)",
)
def geometric(votes: Votes, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    fused = torch.softmax(log(votes.probabilities).mean(0), dim=-1)
    return fused, normalised(torch.ones_like(votes.probabilities[..., 0]))


@_fusion(
    "validation",
    "Weighted by accuracy",
    "A backbone that was right more often on pictures set aside for checking counts more.",
    "p = Σ w_m p_m,  w_m ∝ validation accuracy",
    "Kuncheva, Combining Pattern Classifiers, 2014, chapter 5",
    linear=True,
)
def validation(votes: Votes, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    probabilities = votes.probabilities
    accuracy = torch.as_tensor(evidence.accuracy, dtype=probabilities.dtype, device=probabilities.device)
    # backbones that were never right count the same
    accuracy = accuracy.clamp_min(torch.finfo(accuracy.dtype).tiny)
    return weighted(probabilities, accuracy[:, None].expand(probabilities.shape[:2]))


@_fusion(
    "confidence",
    "Weighted by confidence",
    "For each picture anew, a backbone that is surer of its answer counts more. Danger: sure is not the same as right.",
    "p = Σ w_m p_m,  w_m ∝ exp(−H(p_m)/τ),  τ = 0.5 nats",
    "entropy weights, after Tornay et al., Entropy-Based Combination, 2007",
)
def confidence(votes: Votes, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    probabilities = votes.probabilities
    entropy = -(probabilities * log(probabilities)).sum(-1)  # (M, B)
    return weighted(probabilities, torch.exp(-(entropy - entropy.amin(0)) / TAU))


@_fusion(
    "vote",
    "Majority vote",
    "Each backbone votes for its first choice; the winners' probabilities are averaged, the others are left out.",
    "c = most votes (a tie goes to the higher mean probability);  p = mean of p_m over those who voted for c",
    "Lam and Suen, Application of Majority Voting, 1997",
    differentiable=False,
)
def vote(votes: Votes, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    probabilities = votes.probabilities
    choices = probabilities.argmax(-1)  # (M, B)
    votes = torch.nn.functional.one_hot(choices, probabilities.shape[-1]).sum(0)  # (B, K)
    tied = votes == votes.amax(-1, keepdim=True)
    winner = probabilities.mean(0).masked_fill(~tied, -1).argmax(-1)  # (B,)
    return weighted(probabilities, (choices == winner).to(probabilities.dtype))


def log(probabilities: torch.Tensor) -> torch.Tensor:
    """log p, finite and with a finite gradient also where p has underflowed to 0."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def weighted(probabilities: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ w_m p_m of (M, B, K), and the weights (M, B) after they were made to add up to one."""
    weights = normalised(weights)
    return (weights[..., None] * probabilities).sum(0), weights


def normalised(weights: torch.Tensor) -> torch.Tensor:
    """Divided by their sum over the backbones."""
    return weights / weights.sum(0)
