"""The strategies that learn, from what the backbones said of validation pictures, and never from any other.

What is kept is the record, not the head: a head for the backbones that a person ticks is fitted when it is asked for,
in well under a second, always to the same numbers, and held in a small cache of heads. The strength of the penalty
was chosen by cross-validation when the record was written, for all its backbones together.

A single backbone comes back unchanged from those that mix probabilities; stacking corrects its probabilities, and
feature fusion reads its features with a head of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.nn import functional as F

from vitdemo.fusion.fitting import (
    class_weights,
    class_wise,
    greedy_counts,
    logistic,
    temperature,
)
from vitdemo.fusion.strategies import FUSIONS, Fusion, Learner, log, normalised, weighted
from vitdemo.fusion.votes import Votes
from vitdemo.types import Evidence, Record

HEADS = 128  # in the cache: weights of some kilobytes each
FOLDS = 5
FLOOR = 1e-6  # stacking takes a probability below it for this much: a logarithm without bound would outshout the rest
STRENGTHS = tuple(10 ** (exponent / 2) for exponent in range(-7, 3))  # 3e-4 to 10, in steps of half a decade
GENTLE = tuple(10 ** (exponent / 2) for exponent in range(-8, -1))  # 1e-4 to 0.1: for features, which spread less


def combiner(name: str) -> Callable[[Votes, Evidence], tuple[torch.Tensor, torch.Tensor]]:
    """A fitted strategy as a function of votes and evidence, whatever the order of the backbones."""

    def combine(votes: Votes, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
        order = sorted(range(len(evidence.names)), key=lambda m: evidence.names[m])
        fitted = head(name, tuple(evidence.names[m] for m in order), evidence.record)
        fused, weights = FUSIONS.get(name).learner.apply(fitted, votes.members(order))
        return fused, weights[torch.tensor(order, device=weights.device).argsort()]

    return combine


@lru_cache(maxsize=HEADS)
def head(name: str, backbones: tuple[str, ...], record: Record) -> Any:
    """What a strategy learned of these backbones.

    Args:
        name: a fitted strategy in `FUSIONS`.
        backbones: names in the record, sorted.
        record: what to learn from.
    """
    fusion = FUSIONS.get(name)
    with torch.inference_mode(False), torch.no_grad():  # what is cached has to be usable where gradients flow
        votes, targets = recorded(record, backbones, fusion.needs)
        return fusion.learner.fit(votes, targets, record.strengths.get(name, 0.0))


def recorded(record: Record, backbones: tuple[str, ...], needs: str) -> tuple[Votes, torch.Tensor]:
    """The votes of some of a record's backbones on its N pictures, and their classes (N,)."""
    extra = {}
    if needs == "features":
        extra[needs] = tuple(torch.from_numpy(record.features[name]).double() for name in backbones)
    if needs == "stages":
        extra[needs] = tuple(
            torch.from_numpy(record.stages[name] * record.steps.get(name, 1)).double() for name in backbones
        )
    logs = torch.stack([torch.from_numpy(record.log_probabilities[name]).double() for name in backbones])
    return Votes(torch.softmax(logs, -1), **extra), torch.from_numpy(record.targets)


def choose_strengths(record: Record) -> dict[str, float]:
    """The strength of each strategy's penalty at which pictures left out of the fit are most likely.

    Five folds; every class is dealt out over them one by one, in the order of the record.

    Args:
        record: with at least two pictures of every class.

    Returns:
        By strategy, for those that have a penalty and whose needs the record has.
    """
    chosen = {}
    for fusion in FUSIONS:
        names = tuple(sorted(record.stages if fusion.needs == "stages" else record.fingerprints))
        if fusion.learner is None or not fusion.learner.strengths or not names:
            continue
        votes, targets = recorded(record, names, fusion.needs)
        losses = [held_out(fusion.learner, votes, targets, strength) for strength in fusion.learner.strengths]
        chosen[fusion.name] = fusion.learner.strengths[losses.index(min(losses))]
    return chosen


def held_out(learner: Learner, votes: Votes, targets: torch.Tensor, strength: float) -> float:
    """Mean negative log-likelihood of pictures that were left out of the fit, in nats."""
    fold = folds(targets)
    losses = []
    for index in range(FOLDS):
        out = fold == index
        fitted = learner.fit(votes.pictures(~out), targets[~out], strength)
        losses.append(F.nll_loss(log(learner.apply(fitted, votes.pictures(out))[0]), targets[out], reduction="sum"))
    return float(sum(losses)) / len(targets)


def folds(targets: torch.Tensor) -> torch.Tensor:
    """(N,) the fold of each picture, 0 to 4: the pictures of each class are dealt out in turn."""
    dealt = torch.zeros_like(targets)
    for k in targets.unique():
        mine = targets == k
        dealt[mine] = torch.arange(int(mine.sum())) % FOLDS
    return dealt


# -- mean, then a temperature -----------------------------------------------------------------------------------


def fit_calibrated(votes: Votes, targets: torch.Tensor, strength: float) -> torch.Tensor:
    """The temperature of the mean. A single backbone has its own already."""
    if len(votes.probabilities) == 1:
        return torch.ones((), dtype=votes.probabilities.dtype)
    return temperature(log(votes.probabilities.mean(0)), targets)


def apply_calibrated(warmth: torch.Tensor, votes: Votes) -> tuple[torch.Tensor, torch.Tensor]:
    mean, weights = weighted(votes.probabilities, torch.ones_like(votes.probabilities[..., 0]))
    return torch.softmax(log(mean) / warmth.to(mean), -1), weights


# -- weights ----------------------------------------------------------------------------------------------------


def fit_classwise(votes: Votes, targets: torch.Tensor, strength: float) -> torch.Tensor:
    return class_weights(votes.probabilities, targets, strength)


def apply_classwise(weights: torch.Tensor, votes: Votes) -> tuple[torch.Tensor, torch.Tensor]:
    weights = weights.to(votes.probabilities)
    fused = class_wise(votes.probabilities, weights)
    return fused, weights.mean(1, keepdim=True).expand(-1, len(fused))


def fit_greedy(votes: Votes, targets: torch.Tensor, strength: float) -> torch.Tensor:
    given = votes.probabilities.gather(2, targets.expand(len(votes.probabilities), -1)[..., None])[..., 0]
    return greedy_counts(given)


def apply_greedy(counts: torch.Tensor, votes: Votes) -> tuple[torch.Tensor, torch.Tensor]:
    return weighted(votes.probabilities, counts.to(votes.probabilities)[:, None].expand(votes.probabilities.shape[:2]))


# -- linear heads -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Linear:
    """logits = b + Σ_m (x_m − centre_m) W_m, each W_m adding up to zero over the classes."""

    centres: tuple[torch.Tensor, ...]  # M tensors (D_m,)
    weights: tuple[torch.Tensor, ...]  # M tensors (D_m, K)
    bias: torch.Tensor  # (K,)

    def __call__(self, blocks: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """Fused probabilities (B, K) and each block's share (M, B) of M blocks (B, D_m).

        A block's share is the absolute value of what it adds to the logit of the fused first choice, above what it
        adds to the average logit, divided by the sum of these over the blocks. Where none adds anything, all share
        alike.
        """
        parts = zip(blocks, self.centres, self.weights, strict=True)
        added = torch.stack([(x - centre.to(x)) @ weights.to(x) for x, centre, weights in parts])  # (M, B, K)
        logits = added.sum(0) + self.bias.to(added)
        winner = logits.argmax(-1).expand(len(blocks), -1)[..., None]  # (M, B, 1)
        share = added.gather(2, winner)[..., 0].abs()
        return torch.softmax(logits, -1), normalised(share + torch.finfo(share.dtype).tiny)


def centred_log(probabilities: torch.Tensor) -> torch.Tensor:
    """log p less its mean over the classes: what a backbone's logits are, up to its temperature."""
    logs = probabilities.clamp_min(FLOOR).log()
    return logs - logs.mean(-1, keepdim=True)


def fit_stacking(votes: Votes, targets: torch.Tensor, strength: float) -> Linear:
    """Logistic regression over the log-probabilities, drawn by its penalty towards their geometric mean."""
    blocks = centred_log(votes.probabilities)  # (M, N, K)
    count, _, classes = blocks.shape
    x = blocks.transpose(0, 1).flatten(1)  # (N, M K)
    found, bias = logistic(x, targets, classes, strength, offset=blocks.mean(0))
    start = torch.eye(classes, dtype=x.dtype) - 1 / classes
    weights = tuple(start / count + part for part in found.split(classes))
    return Linear((torch.zeros(classes, dtype=x.dtype),) * count, weights, bias)


def apply_stacking(fitted: Linear, votes: Votes) -> tuple[torch.Tensor, torch.Tensor]:
    return fitted(tuple(centred_log(votes.probabilities)))


def unit(x: torch.Tensor) -> torch.Tensor:
    """Rows of length 1: which features a picture has, not how strongly."""
    return F.normalize(x, dim=-1)


def fit_blocks(blocks: tuple[torch.Tensor, ...], targets: torch.Tensor, classes: int, strength: float) -> Linear:
    """A linear head over concatenated blocks (N, D_m), each centred and scaled to the same spread."""
    centres = tuple(x.mean(0) for x in blocks)
    centred = [x - centre for x, centre in zip(blocks, centres, strict=True)]
    # the pictures' mean squared distance from their centre is 1 / M for each block, so 1 for all together
    scales = [(x.square().sum(1).mean() * len(blocks)).clamp_min(torch.finfo(x.dtype).tiny).rsqrt() for x in centred]
    joint = torch.cat([x * scale for x, scale in zip(centred, scales, strict=True)], 1)
    found, bias = logistic(joint, targets, classes, strength)
    parts = found.split([x.shape[1] for x in blocks])
    return Linear(centres, tuple(scale * part for scale, part in zip(scales, parts, strict=True)), bias)


def fit_features(votes: Votes, targets: torch.Tensor, strength: float) -> Linear:
    return fit_blocks(tuple(map(unit, votes.features)), targets, votes.probabilities.shape[-1], strength)


def apply_features(fitted: Linear, votes: Votes) -> tuple[torch.Tensor, torch.Tensor]:
    return fitted(tuple(map(unit, votes.features)))


def fit_multiscale(votes: Votes, targets: torch.Tensor, strength: float) -> Linear:
    return fit_blocks(tuple(map(unit, votes.stages)), targets, votes.probabilities.shape[-1], strength)


def apply_multiscale(fitted: Linear, votes: Votes) -> tuple[torch.Tensor, torch.Tensor]:
    return fitted(tuple(map(unit, votes.stages)))


# -- the registry -----------------------------------------------------------------------------------------------


def _fitted(name: str, title: str, sentence: str, formula: str, paper: str, learner: Learner, **kind) -> None:
    FUSIONS.add(name, Fusion(name, title, sentence, formula, paper, combiner(name), learner=learner, **kind))


_fitted(
    "calibrated",
    "Calibrated mean",
    "The mean, made as sure of itself as it has reason to be: on validation pictures it was right as often as it said.",
    "p ∝ ((1/M) Σ p_m)^(1/T),  T fitted",
    "Rahaman and Thiery, Uncertainty Quantification and Deep Ensembles, 2021, arXiv 2007.08792",
    Learner(fit_calibrated, apply_calibrated),
)
_fitted(
    "classwise",
    "Weighted by class",
    "Every backbone has a weight for each class, learned on validation pictures: one may know roses, another tulips.",
    "p_k ∝ Σ w_mk p_mk,  Σ_m w_mk = 1,  w fitted",
    "Ueda, Optimal Linear Combination of Neural Networks, 2000",
    Learner(fit_classwise, apply_classwise, STRENGTHS),
)
_fitted(
    "greedy",
    "Greedy selection",
    "A team is put together: again and again the backbone joins that helps most on validation pictures, even twice.",
    "p = Σ (n_m / Σ n) p_m,  n_m: how often m was taken",
    "Caruana et al., Ensemble Selection from Libraries of Models, 2004",
    Learner(fit_greedy, apply_greedy),
    linear=True,
)
_fitted(
    "stacking",
    "Stacking",
    "A small model learns on validation pictures what to make of the answers, also which mistakes a backbone makes.",
    "p = softmax(b + Σ W_m log p_m),  b and W fitted",
    "Wolpert, Stacked Generalization, 1992",
    Learner(fit_stacking, apply_stacking, STRENGTHS),
)
_fitted(
    "features",
    "Feature fusion",
    "Not the answers are joined but what the backbones see: one new head reads the features of all of them together.",
    "p = softmax(b + Σ W_m f_m / |f_m|),  b and W fitted",
    "Kittler et al., On Combining Classifiers, 1998; Ngiam et al., Multimodal Deep Learning, 2011",
    Learner(fit_features, apply_features, GENTLE),
    needs="features",
)
_fitted(
    "multiscale",
    "Multi-scale fusion",
    "A new head reads fine and coarse maps from inside every backbone, on one grid: texture and shape together.",
    "p = softmax(b + Σ W_m s_m),  s_m: mean and maximum over a 4 × 4 grid, stage by stage",
    "Lin et al., Feature Pyramid Networks, 2017, arXiv 1612.03144",
    Learner(fit_multiscale, apply_multiscale, GENTLE),
    needs="stages",
)
