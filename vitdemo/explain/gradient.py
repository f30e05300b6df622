"""Explanations from gradients, by Captum, for backbones and fused models alike.

Inputs and attributions are M tensors (B, 3, h_m, w_m): one for each backbone, a row for each copy of the picture.
Guided backpropagation and DeepLift change how a network runs backwards; they work on modules of their own with the
same weights, and explain one backbone's logit.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from vitdemo.explain.base import (
    BASELINES,
    EXPLANATIONS,
    SMOOTHINGS,
    Explanation,
    Options,
    Subject,
    Tick,
    baselines_of,
    merge,
    private,
    probability,
)
from vitdemo.models import Network
from vitdemo.types import Heat, NotOffered

Inputs = tuple[torch.Tensor, ...]  # M tensors (B, 3, h_m, w_m)
Attribute = Callable[[Inputs], Inputs]
MOST_STEPS = 256
TOLERANCE = 0.05  # of the difference that the map has to add up to
POINTS = 8  # of a piece of the path of integrated gradients
LEFT_OUT = 0.05  # of the difference that DeepLift may miss and be shown
NEGLIGIBLE = 0.001  # a probability: a tenth of a per cent is less than the page shows


def _refuse(subject: Subject) -> str | None:
    if subject.scorer.fusion.differentiable:
        return None
    return f"{subject.scorer.fusion.title.lower()} jumps from class to class, so it has no gradient; occlusion works."


def _ticking(subject: Subject, tick: Tick) -> Callable[..., torch.Tensor]:
    def score(*pixels: torch.Tensor) -> torch.Tensor:
        tick()
        return subject.score(subject.scorer(*pixels))

    return score


# smoothing: NoiseTunnel with noise of its own, so that neither a shared random state nor the size of a batch matters


def _noisy(subject: Subject, options: Options, at_once: int) -> Iterator[Inputs]:
    """`options.samples` noisy copies of the inputs, at most `at_once` in a batch."""
    generator = torch.Generator().manual_seed(options.seed)
    for first in range(0, options.samples, at_once):
        copies = [  # drawn one by one, so that the size of a batch changes nothing
            [x + options.noise * torch.randn(x.shape, generator=generator).to(x.device) for x in subject.pixels]
            for _ in range(min(at_once, options.samples - first))
        ]
        yield tuple(torch.cat(each) for each in zip(*copies, strict=True))


def _smoothed(attribute: Attribute, subject: Subject, options: Options, how: str, at_once: int | None = None) -> Inputs:
    """The attributions (M of (3, h_m, w_m)) of the picture, or what `how` makes of those of its noisy copies."""
    if how == "none":
        return tuple(part[0].detach() for part in attribute(tuple(x.clone() for x in subject.pixels)))
    copies = _noisy(subject, options, at_once or options.batch)
    return _moments((attribute(noisy) for noisy in copies), subject, options.samples, how)


def _moments(batches: Iterator[Inputs], subject: Subject, count: int, how: str) -> Inputs:
    sums = [torch.zeros_like(x[0]) for x in subject.pixels]
    squares = [torch.zeros_like(x[0]) for x in subject.pixels]
    for parts in batches:
        for total, square, part in zip(sums, squares, parts, strict=True):
            total += part.detach().sum(0)
            square += part.detach().square().sum(0)
    combine = SMOOTHINGS[how]
    return tuple(combine(total / count, square / count) for total, square in zip(sums, squares, strict=True))


def _heat(parts: Inputs, subject: Subject, how: str, figures: dict[str, float], length: bool = False) -> Heat:
    """Attributions of three colours as one map: their sum or, of a gradient, its length. Squares and variances have no
    sign."""
    squared = how in ("smoothgrad_sq", "vargrad")
    maps = [part.norm(dim=0) if length and not squared else part.sum(0) for part in parts]
    values, view = merge([map_.cpu().numpy() for map_ in maps], subject.views)
    return Heat(values, signed=not (length or squared), view=view, figures=figures)


def _cost(passes: Callable[[Options], int], baselines: bool = False) -> Callable[[Options], int]:
    """Times the noisy copies, and the baselines."""

    def cost(options: Options) -> int:
        copies = 1 if options.smoothing == "none" else options.samples
        return passes(options) * copies * (len(baselines_of(options)) if baselines else 1)

    return cost


# the gradient, and what is made of it at once


def _gradients(subject: Subject, tick: Tick) -> Attribute:
    from captum.attr import Saliency  # here, because it is slow to import

    method = Saliency(_ticking(subject, tick))
    return lambda inputs: method.attribute(tuple(x.requires_grad_() for x in inputs), abs=False)


def gradient(subject: Subject, options: Options, tick: Tick) -> Heat:
    """The gradient (Simonyan et al., 2013, arXiv 1312.6034, section 3).

    Returns:
        Unsigned heat: its length over the three colours.
    """
    parts = _smoothed(_gradients(subject, tick), subject, options, options.smoothing)
    return _heat(parts, subject, options.smoothing, _samples(options), length=True)


def smoothgrad(subject: Subject, options: Options, tick: Tick) -> Heat:
    """SmoothGrad (Smilkov et al., 2017, arXiv 1706.03825): the gradient averaged over noisy copies of the picture.

    Returns:
        Unsigned heat: the length over the three colours of the averaged gradient.
    """
    parts = _smoothed(_gradients(subject, tick), subject, options, "smoothgrad")
    return _heat(parts, subject, "smoothgrad", {"samples": options.samples}, length=True)


def _samples(options: Options) -> dict[str, float]:
    return {} if options.smoothing == "none" else {"samples": options.samples}


def input_x_gradient(subject: Subject, options: Options, tick: Tick) -> Heat:
    """Input × gradient (Shrikumar et al., 2016, arXiv 1605.01713): the first-order share of each pixel, from black.

    Returns:
        Signed heat: the sum over the three colours.
    """
    from captum.attr import InputXGradient

    method = InputXGradient(_ticking(subject, tick))
    parts = _smoothed(
        lambda inputs: method.attribute(tuple(x.requires_grad_() for x in inputs)), subject, options, options.smoothing
    )
    return _heat(parts, subject, options.smoothing, _samples(options))


def add_values(members: Sequence[Heat], weights: np.ndarray) -> Heat:
    """The map of Σ w p from those of each p, by a method that is linear in what it explains."""
    values, view = merge(
        [weight * heat.values for weight, heat in zip(weights, members, strict=True)], [heat.view for heat in members]
    )
    return Heat(values, signed=True, view=view)


# integrated gradients


def integrated_gradients(subject: Subject, options: Options, tick: Tick) -> Heat:
    """Integrated gradients (Sundararajan et al., 2017, arXiv 1703.01365, equation 1) of the target's probability.

    The map adds up to p(picture) - p(baseline), and so does every piece of the path to what the probability does
    between its ends. So the path is cut into pieces of `POINTS` Gauss-Legendre points, and the pieces that are off are
    halved until the whole adds up to within 5 % or a tenth of a per cent of probability, with at most 256 points: a
    network often decides on a short stretch of the way. Of noisy copies, each takes the steps asked for.

    Returns:
        Signed heat; figures: `picture` and `baseline` (probabilities), `sum` of the map, `error` (|sum - difference|),
        `relative_error` (its share of the difference), `steps`. With several baselines, the mean map and figures.
    """
    heats = [_integrated(subject, name, options, tick) for name in baselines_of(options)]
    return heats[0] if len(heats) == 1 else _mean_of(heats)


def _integrated(subject: Subject, baseline: str, options: Options, tick: Tick) -> Heat:
    from captum.attr import IntegratedGradients

    baselines = tuple(BASELINES[baseline](x) for x in subject.pixels)
    method = IntegratedGradients(_ticking(subject, tick))

    def integrate(inputs: Inputs, steps: int, starts: Inputs = baselines) -> Inputs:
        return method.attribute(
            inputs, starts, n_steps=steps, method="gausslegendre", internal_batch_size=options.batch
        )

    tick()
    start = probability(subject, baselines)
    if options.smoothing != "none":
        ends = []

        def of_a_copy(inputs: Inputs) -> Inputs:
            tick()
            ends.append(probability(subject, inputs))
            return integrate(inputs, options.steps)

        parts = _smoothed(of_a_copy, subject, options, options.smoothing, at_once=1)
        if options.smoothing != "smoothgrad":  # squares and variances add up to nothing
            return _heat(parts, subject, options.smoothing, {"samples": options.samples, "steps": options.steps})
        end, steps = float(np.mean(ends)), options.steps
    else:
        tick()
        end = probability(subject, subject.pixels)
        parts, steps = _by_pieces(subject, baselines, (start, end), integrate, options, tick)
    return _heat(parts, subject, options.smoothing, _figures(start, end, _total(parts), steps) | _samples(options))


@dataclass(frozen=True)
class Piece:
    """A stretch of the straight way from the baseline (0) to the picture (1), and what its integral gives."""

    ends: tuple[float, float]
    rise: float  # of the probability, from one end to the other
    parts: Inputs  # M of (3, h_m, w_m)

    @property
    def error(self) -> float:
        """By how much the attributions miss the rise, which they have to add up to."""
        return _total(self.parts) - self.rise


def _by_pieces(
    subject: Subject,
    baselines: Inputs,
    probabilities: tuple[float, float],
    integrate: Callable[[Inputs, int, Inputs], Inputs],
    options: Options,
    tick: Tick,
) -> tuple[Inputs, int]:
    """The attributions, M of (3, h_m, w_m), and how many points of the way they are made of.

    Args:
        subject: with its M inputs, the end of the way.
        baselines: its beginning.
        probabilities: at the beginning and at the end.
        integrate: (ends, points, starts) of several stretches, a row for each, to their attributions.
        options: `steps` to begin with, `batch` rows at once.
        tick: called before each forward pass.
    """
    count = max(1, options.steps // POINTS)
    points = -(-options.steps // count)
    known = dict(zip((0.0, 1.0), probabilities, strict=True))

    def at(shares: Sequence[float]) -> Inputs:
        return tuple(
            torch.cat([base + share * (x - base) for share in shares])
            for x, base in zip(subject.pixels, baselines, strict=True)
        )

    def pieces_of(stretches: list[tuple[float, float]]) -> list[Piece]:
        made = []
        for first in range(0, len(stretches), options.batch):
            chunk = stretches[first : first + options.batch]
            starts, ends = zip(*chunk, strict=True)
            if new := [share for share in ends if share not in known]:
                tick()
                with torch.inference_mode():
                    known.update(zip(new, subject.score(subject.scorer(*at(new))).tolist(), strict=True))
            attributions = integrate(at(ends), points, at(starts))
            made += [
                Piece((a, b), known[b] - known[a], tuple(part[index].detach() for part in attributions))
                for index, (a, b) in enumerate(chunk)
            ]
        return made

    edges = [index / count for index in range(count + 1)]
    pieces = pieces_of(list(pairwise(edges)))
    allowed = max(TOLERANCE * abs(probabilities[1] - probabilities[0]), NEGLIGIBLE)
    while abs(sum(piece.error for piece in pieces)) > allowed and (len(pieces) + 1) * points <= MOST_STEPS:
        pieces.sort(key=lambda piece: abs(piece.error))
        off = [piece for piece in pieces if abs(piece.error) > allowed / len(pieces)]
        off = off[-(MOST_STEPS // points - len(pieces)) :]
        halves = [half for piece in off for half in _halves(piece)]
        pieces = pieces[: len(pieces) - len(off)] + pieces_of(halves)
    return tuple(sum(each) for each in zip(*(piece.parts for piece in pieces), strict=True)), len(pieces) * points


def _halves(piece: Piece) -> list[tuple[float, float]]:
    middle = sum(piece.ends) / 2
    return [(piece.ends[0], middle), (middle, piece.ends[1])]


def _total(parts: Inputs) -> float:
    return float(sum(part.sum() for part in parts))


def add(members: Sequence[Heat], weights: np.ndarray) -> Heat:
    """Integrated gradients of Σ w p from those of each p: attribution is linear (axiom 4 of the paper)."""
    heat = add_values(members, weights)
    end, start, total = (
        float(sum(weight * member.figures[name] for weight, member in zip(weights, members, strict=True)))
        for name in ("picture", "baseline", "sum")
    )
    figures = _figures(start, end, total, max(member.figures["steps"] for member in members))
    return Heat(heat.values, signed=True, view=heat.view, figures=figures)


def _mean_of(heats: Sequence[Heat]) -> Heat:
    """The mean of one subject's maps from several baselines."""
    values = np.mean([heat.values for heat in heats], axis=0, dtype=np.float32)
    figures = {name: float(np.mean([heat.figures[name] for heat in heats])) for name in heats[0].figures}
    if "sum" in figures:
        steps = max(heat.figures["steps"] for heat in heats)
        figures |= _figures(figures["baseline"], figures["picture"], figures["sum"], steps)
    return Heat(values, signed=heats[0].signed, view=heats[0].view, figures=figures)


def _figures(start: float, end: float, total: float, steps: float) -> dict[str, float]:
    error = abs(total - (end - start))
    return {
        "picture": end,
        "baseline": start,
        "sum": total,
        "error": error,
        "relative_error": error / max(abs(end - start), 1e-12),
        "steps": steps,
    }


# GradientShap


def gradient_shap(subject: Subject, options: Options, tick: Tick) -> Heat:
    """GradientShap, or expected gradients (Lundberg and Lee, 2017, arXiv 1705.07874; Erion et al., 2019, arXiv
    1906.10670): the mean of gradient × (picture - baseline) at random points between the two.

    Baselines take turns where several were asked for. With smoothing, each point has noise of its own.

    Returns:
        Signed heat, which adds up to p(picture) - p(baseline) the better the more points; figures as for integrated
        gradients, with the number of points for `steps`.
    """
    gradients = _gradients(subject, tick)
    names = baselines_of(options)
    blanks = {name: tuple(BASELINES[name](x) for x in subject.pixels) for name in names}
    noise = 0.0 if options.smoothing == "none" else options.noise
    how = "smoothgrad" if options.smoothing == "none" else options.smoothing
    starts = []
    for name in names[: options.samples]:
        tick()
        starts.append(probability(subject, blanks[name]))
    tick()
    end = probability(subject, subject.pixels)

    def batches() -> Iterator[Inputs]:
        generator = torch.Generator().manual_seed(options.seed)
        for first in range(0, options.samples, options.batch):
            steps, points = [], []
            for index in range(first, min(first + options.batch, options.samples)):
                blank = blanks[names[index % len(names)]]
                alpha = float(torch.rand((), generator=generator))
                noisy = [x + noise * torch.randn(x.shape, generator=generator).to(x.device) for x in subject.pixels]
                steps.append([x - b for x, b in zip(noisy, blank, strict=True)])
                points.append([b + alpha * step for b, step in zip(blank, steps[-1], strict=True)])
            slopes = gradients(tuple(torch.cat(each) for each in zip(*points, strict=True)))
            yield tuple(slope * torch.cat(each) for slope, each in zip(slopes, zip(*steps, strict=True), strict=True))

    parts = _moments(batches(), subject, options.samples, how)
    if how != "smoothgrad":
        return _heat(parts, subject, how, {"samples": options.samples})
    turns = np.bincount(np.arange(options.samples) % len(names)) / options.samples
    figures = _figures(float(turns @ starts), end, _total(parts), options.samples)
    return _heat(parts, subject, how, figures | _samples(options))


# methods that change how a network runs backwards


class _Logit(nn.Module):
    """One backbone's logit of the target, at its temperature, less that of the class it is compared with: (B,).

    In fp32 on every device: hooks may not change the precision of what passes them.
    """

    def __init__(self, network: Network, subject: Subject, tick: Tick):
        super().__init__()
        self.network = network
        self.temperature = subject.models[0].backbone.temperature
        self.score = subject.score
        self.tick = tick

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.tick()
        with torch.autocast(pixels.device.type, enabled=False):
            logits = self.network.body((pixels - self.network.mean) / self.network.std)
        return self.score(logits / self.temperature)


def _own_logit(subject: Subject, tick: Tick) -> _Logit:
    """On modules of its own, whose ReLUs do not overwrite what the methods have to look at."""
    # Captum says so at each call; nobody has to be warned of hooks on modules that are thrown away
    warnings.filterwarnings("ignore", "Setting (backward|forward)", UserWarning)
    network = private(subject.models[0].network)
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    return _Logit(network, subject, tick)


def _several(subject: Subject) -> str | None:
    if len(subject.models) > 1:
        return "it explains the logit of one backbone, and a fused model has none"
    return None


def _refuse_guided(subject: Subject) -> str | None:
    if reason := _several(subject):
        return reason
    bends = {
        type(module).__name__
        for module in subject.models[0].network.modules()
        if type(module).__module__ == nn.ReLU.__module__ or type(module).__module__.startswith("timm.layers.activ")
    }
    attends = any("attention" in type(m).__name__.lower() for m in subject.models[0].network.modules())
    if bends == {"ReLU"} and not attends:
        return None
    found = " and ".join(sorted(bends - {"ReLU"}) + ["attention"] * attends) or "no ReLU as a module"
    return f"guided backpropagation is defined for networks of ReLUs alone, and this one has {found}"


def guided_backprop(subject: Subject, options: Options, tick: Tick) -> Heat:
    """Guided backpropagation (Springenberg et al., 2014, arXiv 1412.6806, section 3.4) of one backbone's logit.

    Returns:
        Unsigned heat: the length over the three colours.
    """
    from captum.attr import GuidedBackprop

    method = GuidedBackprop(_own_logit(subject, tick))
    parts = _smoothed(
        lambda inputs: (method.attribute(inputs[0].requires_grad_()),), subject, options, options.smoothing
    )
    return _heat(parts, subject, options.smoothing, _samples(options), length=True)


def deep_lift(subject: Subject, options: Options, tick: Tick) -> Heat | NotOffered:
    """DeepLift with the rescale rule (Shrikumar et al., 2017, arXiv 1704.02685, section 3.5.1) of one backbone's logit.

    Captum knows rules for few modules only and takes the gradient for others, and then the map does not add up to
    logit(picture) - logit(baseline). This is looked at each time.

    Returns:
        Signed heat, with the figures `logit_difference`, `logit_sum` and `logit_error` (its share of the difference);
        or why not, where the error is above 5 %.
    """
    from captum.attr import DeepLift

    logit = _own_logit(subject, tick)
    heats = []
    for name in baselines_of(options):
        blank = BASELINES[name](subject.pixels[0])
        # a method of its own for each baseline: Captum keeps what it saw of one on the modules
        method = DeepLift(logit)

        def attribute(inputs: Inputs, method: DeepLift = method, blank: torch.Tensor = blank) -> Inputs:
            return (method.attribute(inputs[0].requires_grad_(), blank.expand_as(inputs[0])),)

        plain = _smoothed(attribute, subject, options, "none")
        with torch.inference_mode():
            ends = [float(logit(x)[0]) for x in (subject.pixels[0], blank)]
        expected = ends[0] - ends[1]
        error = abs(_total(plain) - expected) / max(abs(expected), 1e-12)
        if error > LEFT_OUT:
            return NotOffered(
                f"DeepLift does not add up here: its error is {100 * error:.0f} % of the difference that it explains, "
                "more than the 5 % that are let pass; integrated gradients add up"
            )
        figures = {"logit_difference": expected, "logit_sum": _total(plain), "logit_error": error}
        if options.smoothing == "none":
            heats.append(_heat(plain, subject, "none", figures))
        else:
            parts = _smoothed(attribute, subject, options, options.smoothing)
            heats.append(_heat(parts, subject, options.smoothing, figures | _samples(options)))
    return heats[0] if len(heats) == 1 else _mean_of(heats)


EXPLANATIONS.add(
    "integrated_gradients",
    Explanation(
        name="integrated_gradients",
        title="Integrated gradients",
        family="gradient",
        sentence="Fades the picture in from a blank one and adds up what each pixel does to the probability.",
        limits="It depends on the blank picture chosen; a pixel's share is not what happens without the pixel.",
        paper="Sundararajan, Taly and Yan, 2017, arXiv 1703.01365",
        signed=True,
        class_specific=True,
        passes=_cost(lambda options: options.steps + 2, baselines=True),
        backward=_cost(lambda options: options.steps, baselines=True),
        refuse=_refuse,
        compute=integrated_gradients,
        add=add,
        reads=("baseline", "steps", "smoothing", "samples", "noise"),
    ),
)

EXPLANATIONS.add(
    "smoothgrad",
    Explanation(
        name="smoothgrad",
        title="SmoothGrad",
        family="gradient",
        sentence="Asks which pixels the probability reacts to most, averaged over many noisy copies of the picture.",
        limits="It shows where the probability is sensitive, not whether a pixel speaks for or against the class.",
        paper="Smilkov et al., 2017, arXiv 1706.03825",
        signed=False,
        class_specific=True,
        passes=lambda options: options.samples,
        backward=lambda options: options.samples,
        refuse=_refuse,
        compute=smoothgrad,
        reads=("samples", "noise"),
    ),
)

EXPLANATIONS.add(
    "gradient",
    Explanation(
        name="gradient",
        title="Gradient",
        family="gradient",
        sentence="Asks which pixels the probability reacts to most when they change a little.",
        limits="It is noisy, and shows sensitivity, not evidence; much of it stays when weights are shuffled.",
        paper="Simonyan, Vedaldi and Zisserman, 2013, arXiv 1312.6034",
        signed=False,
        class_specific=True,
        passes=_cost(lambda options: 1),
        backward=_cost(lambda options: 1),
        refuse=_refuse,
        compute=gradient,
        reads=("smoothing", "samples", "noise"),
    ),
)

EXPLANATIONS.add(
    "input_x_gradient",
    Explanation(
        name="input_x_gradient",
        title="Input × gradient",
        family="gradient",
        sentence="Multiplies how strongly the probability reacts to each pixel by how bright the pixel is.",
        limits="It gives black pixels nothing, and it is right only where the network is nearly a straight line.",
        paper="Shrikumar et al., 2016, arXiv 1605.01713",
        signed=True,
        class_specific=True,
        passes=_cost(lambda options: 1),
        backward=_cost(lambda options: 1),
        refuse=_refuse,
        compute=input_x_gradient,
        add=add_values,
        reads=("smoothing", "samples", "noise"),
    ),
)

EXPLANATIONS.add(
    "gradient_shap",
    Explanation(
        name="gradient_shap",
        title="GradientShap",
        family="gradient",
        sentence="Like integrated gradients, at random points between the picture and a blank one.",
        limits="It depends on the blank picture and on chance: with few points it adds up only roughly.",
        paper="Lundberg and Lee, 2017, arXiv 1705.07874; Erion et al., 2019, arXiv 1906.10670",
        signed=True,
        class_specific=True,
        passes=lambda options: options.samples + 1 + min(len(baselines_of(options)), options.samples),
        backward=lambda options: options.samples,
        refuse=_refuse,
        compute=gradient_shap,
        reads=("baseline", "samples", "smoothing", "noise"),
    ),
)

EXPLANATIONS.add(
    "deep_lift",
    Explanation(
        name="deep_lift",
        title="DeepLift",
        family="gradient",
        sentence="Compares every neuron with itself on a blank picture and hands the difference back to the pixels.",
        limits="It has rules for simple networks only; where its shares do not add up it is not shown.",
        paper="Shrikumar, Greenside and Kundaje, 2017, arXiv 1704.02685",
        signed=True,
        class_specific=True,
        # the picture and its baseline at once
        passes=lambda options: (
            (4 + 2 * (options.samples if options.smoothing != "none" else 0)) * len(baselines_of(options))
        ),
        backward=lambda options: (
            (2 + 2 * (options.samples if options.smoothing != "none" else 0)) * len(baselines_of(options))
        ),
        refuse=_several,
        compute=deep_lift,
        reads=("baseline", "smoothing", "samples", "noise"),
    ),
)

EXPLANATIONS.add(
    "guided_backprop",
    Explanation(
        name="guided_backprop",
        title="Guided backpropagation",
        family="gradient",
        sentence="Follows the class back to the pixels along those paths only that push it up in every layer.",
        limits="It draws edges sharply, but hardly depends on the class or even on what the network has learned.",
        paper="Springenberg et al., 2014, arXiv 1412.6806; on its limits Nie et al., 2018, arXiv 1805.07039",
        signed=False,
        class_specific=True,
        passes=_cost(lambda options: 1),
        backward=_cost(lambda options: 1),
        refuse=_refuse_guided,
        compute=guided_backprop,
        reads=("smoothing", "samples", "noise"),
    ),
)
