"""What all explanations share: the subject, the options, the baselines, the registry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from vitdemo.attention.recorder import HEAD_FUSIONS
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.fusion import FusedModel
from vitdemo.models import Model
from vitdemo.registry import Registry
from vitdemo.types import Heat, NotOffered, View
from vitdemo.views import canvas_shape, spread, union

Tick = Callable[[], None]  # called before each forward pass; raises to stop


@dataclass(frozen=True)
class Subject:
    """What is explained: the probability of one class, as one backbone or several fused ones see one picture."""

    models: tuple[Model, ...]
    scorer: FusedModel  # M inputs (B, 3, h_m, w_m) to probabilities (B, K)
    pixels: tuple[torch.Tensor, ...]  # M tensors (1, 3, h_m, w_m) in 0..1
    views: tuple[View, ...]  # M
    weights: np.ndarray  # (M,) each backbone's share in the fused prediction
    recordings: tuple[list[torch.Tensor], ...]  # M lists of attention matrices (1, N, N), empty if none were recorded
    target: int  # class


def fused_subject(subjects: Sequence[Subject], strategy: str, weights: np.ndarray) -> Subject:
    """Several backbones' subjects as one: the fused model."""
    models = tuple(model for subject in subjects for model in subject.models)
    return Subject(
        models=models,
        scorer=FusedModel(models, strategy),
        pixels=tuple(x for subject in subjects for x in subject.pixels),
        views=tuple(view for subject in subjects for view in subject.views),
        weights=weights,
        recordings=tuple(recording for subject in subjects for recording in subject.recordings),
        target=subjects[0].target,
    )


@dataclass(frozen=True)
class Options:
    """What a person may set. Every explanation reads the few that concern it."""

    head_fusion: str = "mean"  # how attention heads become one matrix
    discard: float = 0.0  # share of the lowest attention that rollout ignores
    baseline: str = "black"  # what a picture without information looks like
    steps: int = 32  # integrated gradients: points on the path to begin with
    samples: int = 24  # SmoothGrad: noisy copies
    noise: float = 0.15  # SmoothGrad: standard deviation of the noise, in 0..1 pixel values
    patches: int = 12  # occlusion: patches along the long side
    batch: int = 16  # pictures in one forward pass
    seed: int = 0  # of the noise

    def __post_init__(self):
        for name, known in (("head_fusion", HEAD_FUSIONS), ("baseline", BASELINES)):
            if not isinstance(value := getattr(self, name), str) or value not in known:
                raise UnknownNameError(name.replace("_", " "), value, list(known))
        for field in fields(self):
            if field.name in LIMITS:
                low, high = LIMITS[field.name]
                value = getattr(self, field.name)
                kinds = (int,) if field.type is int else (int, float)
                if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
                    whole = "a whole number from " if field.type is int else ""
                    raise VitdemoError(f"{field.name} is {str(value)[:80]!r}; allowed: {whole}{low} to {high}.")


LIMITS = {"discard": (0, 0.99), "steps": (2, 512), "samples": (1, 256), "noise": (0, 1), "patches": (2, 32),
          "batch": (1, 256), "seed": (0, 2**31 - 1)}  # fmt: skip


def _blurred(pixels: torch.Tensor) -> torch.Tensor:
    from torchvision.transforms.functional import gaussian_blur  # here, because it is slow to import

    sigma = max(pixels.shape[-2:]) / 16
    kernel = 2 * (min(pixels.shape[-2:]) // 4) + 1
    return gaussian_blur(pixels, kernel, sigma)


BASELINES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "black": torch.zeros_like,
    "white": torch.ones_like,
    "blurred": _blurred,
    "mean": lambda pixels: pixels.mean((-2, -1), keepdim=True).expand_as(pixels).contiguous(),
}


@dataclass(frozen=True)
class Explanation:
    """One method. `refuse` says why it has no honest result for a subject, or nothing."""

    name: str
    title: str
    family: str  # "attention", "gradient" or "perturbation"
    sentence: str  # what it does, in the language of a pupil
    limits: str  # what it cannot tell
    paper: str
    signed: bool
    class_specific: bool
    passes: Callable[[Options], int]  # forward passes for each backbone, with a backward pass if a gradient method
    refuse: Callable[[Subject], str | None]
    compute: Callable[[Subject, Options, Tick], Heat]
    add: Callable[[Sequence[Heat], np.ndarray], Heat] | None = None  # the weighted sum, where the method is linear


EXPLANATIONS: Registry[Explanation] = Registry("explanation")


def explain(
    name: str,
    subject: Subject,
    options: Options,
    tick: Tick = lambda: None,
    members: Sequence[Heat | NotOffered] | None = None,
) -> Heat | NotOffered:
    """The map of one method for one subject, or why there is none.

    Args:
        name: in `EXPLANATIONS`.
        subject: what to explain.
        options: the person's settings.
        tick: called before each forward pass; whatever it raises stops the work and leaves nothing behind.
        members: this method's maps of the subject's backbones, with the same options, if they are there already: where
            the method and the fusion are both linear, their weighted sum is the fused map, and no pass is needed.
    """
    explanation = EXPLANATIONS.get(name)
    reason = explanation.refuse(subject)
    if reason:
        return NotOffered(reason)
    if members and explanation.add is not None and subject.scorer.fusion.linear:
        return explanation.add(members, subject.weights)
    return explanation.compute(subject, options, tick)


def merge(maps: Sequence[np.ndarray], views: Sequence[View]) -> tuple[np.ndarray, View]:
    """Adds up the members' maps (h_m, w_m), each on the grid of its own input, to one map that keeps their sum.

    Members that saw the same part on the same grid are added there, exactly; others on a fine grid over what any of
    them saw.
    """
    if all(map_.shape == maps[0].shape and view == views[0] for map_, view in zip(maps, views, strict=True)):
        return np.sum(maps, axis=0, dtype=np.float32), views[0]
    seen = union(views)
    shape = canvas_shape(seen.size)
    return np.sum([spread(m, view, shape, seen) for m, view in zip(maps, views, strict=True)], axis=0), seen


def probability(subject: Subject, pixels: Sequence[torch.Tensor]) -> float:
    """The target's probability for these inputs."""
    with torch.inference_mode():
        return float(subject.scorer(*pixels)[0, subject.target])
