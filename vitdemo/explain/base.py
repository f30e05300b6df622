"""What all explanations share: the subject, the options, the baselines, the registry."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import nn

from vitdemo.attention.recorder import HEAD_FUSIONS
from vitdemo.errors import UnknownNameError, VitdemoError
from vitdemo.explain.fusedmaps import FUSED_MAPS, fuse_maps
from vitdemo.fusion import FusedModel
from vitdemo.models import Model
from vitdemo.registry import Registry
from vitdemo.types import Heat, NotOffered, View
from vitdemo.views import canvas_shape, spread, union

Tick = Callable[[], None]  # called before each forward pass; raises to stop


@dataclass(frozen=True)
class Subject:
    """What is explained: the probability of one class, as one backbone or several fused ones see one picture; or, where
    it is compared with a second class, by how much the one is more probable than the other."""

    models: tuple[Model, ...]
    scorer: FusedModel  # M inputs (B, 3, h_m, w_m) to probabilities (B, K)
    pixels: tuple[torch.Tensor, ...]  # M tensors (1, 3, h_m, w_m) in 0..1
    views: tuple[View, ...]  # M
    weights: np.ndarray  # (M,) each backbone's share in the fused prediction
    recordings: tuple[list[torch.Tensor], ...]  # M lists of attention matrices (1, N, N), empty if none were recorded
    target: int  # class
    against: int | None = None  # the class that it is compared with

    def score(self, outputs: torch.Tensor) -> torch.Tensor:
        """(B, K) probabilities, or logits, to what is explained of them, (B,)."""
        chosen = outputs[:, self.target]
        return chosen if self.against is None else chosen - outputs[:, self.against]


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
        against=subjects[0].against,
    )


def single_subjects(subject: Subject) -> list[Subject]:
    """The backbones of a fused subject, each as a subject of its own."""
    return [
        replace(
            subject,
            models=(model,),
            scorer=FusedModel([model], "mean"),
            pixels=(pixels,),
            views=(view,),
            weights=np.ones(1),
            recordings=(recording,),
        )
        for model, pixels, view, recording in zip(
            subject.models, subject.pixels, subject.views, subject.recordings, strict=True
        )
    ]


@dataclass(frozen=True)
class Options:
    """What a person may set. Every explanation reads the few that concern it."""

    head_fusion: str = "mean"  # how attention heads become one matrix
    residual: float = 0.5  # rollout: weight of the skip connections
    discard: float = 0.0  # share of the lowest attention that rollout ignores
    start: int = 0  # rollout: layers before this one are left out
    layer: int = -1  # raw attention: which layer, from 0; the last
    head: int = -1  # raw attention: which head, from 0; all of them, fused
    query: int = -1  # raw attention: which patch looks, row by row from 0; what the head of the model reads
    baseline: str = "black"  # what a picture without information looks like
    steps: int = 32  # integrated gradients: points on the path to begin with
    smoothing: str = "none"  # gradients: what is made of the maps of noisy copies
    samples: int = 24  # gradients: noisy copies where there is smoothing, and the random points of GradientShap
    noise: float = 0.15  # gradients: standard deviation of the noise, in 0..1 pixel values
    patches: int = 12  # occlusion: patches along the long side
    window: int = 1  # occlusion: side of the hidden square, in patches; above 1 it slides patch by patch
    regions: str = "superpixels"  # ablation, KernelSHAP, LIME: what is hidden as one
    segments: int = 36  # their number of regions, at most
    coalitions: int = 256  # KernelSHAP, LIME: pictures with some regions hidden
    fused_map: str = "direct"  # of the fused model: the method itself, or how the backbones' maps become one
    batch: int = 16  # pictures in one forward pass
    seed: int = 0  # of the noise

    def __post_init__(self):
        for name, known in CHOICES.items():
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


LIMITS = {"residual": (0, 0.99), "discard": (0, 0.99), "start": (0, 199), "layer": (-1, 199), "head": (-1, 99),
          "query": (-1, 65535), "steps": (2, 512), "samples": (1, 256), "noise": (0, 1), "patches": (2, 32),
          "window": (1, 16), "segments": (4, 128), "coalitions": (8, 4096), "batch": (1, 256),
          "seed": (0, 2**31 - 1)}  # fmt: skip


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


# Options that concern every method: how a fused map is made, how many passes at once, and chance.
GENERAL = ("fused_map", "batch", "seed")

AVERAGE = "average"  # of the maps from each of the baselines


def baselines_of(options: Options) -> list[str]:
    """The names of the baselines whose maps are averaged: one, unless all were asked for."""
    return list(BASELINES) if options.baseline == AVERAGE else [options.baseline]


# Smoothing: the mean and the mean square of a map over noisy copies of the picture become one map. The names are those
# of captum.attr.NoiseTunnel.
SMOOTHINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "smoothgrad": lambda mean, square: mean,  # Smilkov et al., 2017, arXiv 1706.03825
    "smoothgrad_sq": lambda mean, square: square,  # Hooker et al., 2019, arXiv 1806.10758
    "vargrad": lambda mean, square: (square - mean**2).clamp_min(0),  # Adebayo et al., 2018, arXiv 1810.03307
}
REGIONS = ("superpixels", "patches")

# What an option that is a word may be.
CHOICES = {"head_fusion": tuple(HEAD_FUSIONS), "baseline": (*BASELINES, AVERAGE), "smoothing": ("none", *SMOOTHINGS),
           "regions": REGIONS, "fused_map": ("direct", *FUSED_MAPS.names())}  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """One method. `refuse` says why it has no honest result for a subject, or nothing. `passes` and `backward` are the
    cost for each backbone: pictures sent forward, and how many of them are also sent back for a gradient."""

    name: str
    title: str
    family: str  # "attention", "gradient" or "perturbation"
    sentence: str  # what it does, in the language of a pupil
    limits: str  # what it cannot tell
    paper: str
    signed: bool
    class_specific: bool
    passes: Callable[[Options], int]  # to begin with: some add steps until a map adds up
    refuse: Callable[[Subject], str | None]
    compute: Callable[[Subject, Options, Tick], Heat | NotOffered]
    add: Callable[[Sequence[Heat], np.ndarray], Heat] | None = None  # the weighted sum, where the method is linear
    backward: Callable[[Options], int] = lambda options: 0
    reads: tuple[str, ...] = ()  # the options that change its map, besides `GENERAL`


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
    heat = _explain(name, subject, options, tick, members)
    if isinstance(heat, Heat) and not np.isfinite(heat.values).all():
        return NotOffered("the numbers of this map are not finite")
    return heat


def _explain(
    name: str,
    subject: Subject,
    options: Options,
    tick: Tick,
    members: Sequence[Heat | NotOffered] | None,
) -> Heat | NotOffered:
    explanation = EXPLANATIONS.get(name)
    if subject.against is not None and not explanation.class_specific:
        return NotOffered(f"{explanation.title.lower()} is the same for every class, so it cannot compare two of them")
    fused = len(subject.models) > 1
    if fused and options.fused_map != "direct":
        return _from_members(name, subject, options, tick, members, options.fused_map)
    reason = explanation.refuse(subject)
    if reason and fused:
        heat = _from_members(name, subject, options, tick, members, "mean")
        if isinstance(heat, NotOffered):
            return NotOffered(reason)
        return replace(heat, note=f"the weighted mean of the backbones' maps: {reason}")
    if reason:
        return NotOffered(reason)
    # the noise is drawn for each subject anew, so that smoothed maps do not add up exactly
    if members and explanation.add is not None and subject.scorer.fusion.linear and options.smoothing == "none":
        return explanation.add(members, subject.weights)
    return explanation.compute(subject, options, tick)


def _from_members(
    name: str,
    subject: Subject,
    options: Options,
    tick: Tick,
    members: Sequence[Heat | NotOffered] | None,
    how: str,
) -> Heat | NotOffered:
    """The maps of a fused subject's backbones as one map; backbones without a map are left out.

    The weighted mean is also what stands in for a method that has no form of its own on the fused model. For a
    majority vote it is more than that: between two jumps the vote is the mean of those who won.
    """
    if not members:
        members = [explain(name, single, options, tick) for single in single_subjects(subject)]
    there = [index for index, heat in enumerate(members) if isinstance(heat, Heat)]
    if not there:
        return NotOffered("; ".join(dict.fromkeys(member.reason for member in members)))
    heat = fuse_maps([members[index] for index in there], subject.weights[there], how)
    return replace(heat, figures={**heat.figures, "of": len(members)})


def private(network: nn.Module) -> nn.Module:
    """The same weights in modules of one's own: a hook put on them reaches nobody else and needs no removing.

    Loaded backbones are shared by all visitors, whose passes a hook on them would change or overhear.
    """
    tensors = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


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
    """The target's probability for these inputs, less that of the class that it is compared with."""
    with torch.inference_mode():
        return float(subject.score(subject.scorer(*pixels))[0])
