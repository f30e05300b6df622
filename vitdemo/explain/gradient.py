"""Explanations from gradients, by Captum, for backbones and fused models alike."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from vitdemo.explain.base import BASELINES, EXPLANATIONS, Explanation, Options, Subject, Tick, merge, probability
from vitdemo.types import Heat

MOST_STEPS = 256
TOLERANCE = 0.05  # of the difference that the map has to add up to
NEGLIGIBLE = 0.001  # a probability: a tenth of a per cent is less than the page shows


def _refuse(subject: Subject) -> str | None:
    if subject.scorer.fusion.differentiable:
        return None
    return f"{subject.scorer.fusion.title.lower()} jumps from class to class, so it has no gradient; occlusion works."


def _ticking(subject: Subject, tick: Tick) -> Callable[..., torch.Tensor]:
    def score(*pixels: torch.Tensor) -> torch.Tensor:
        tick()
        return subject.scorer(*pixels)

    return score


def integrated_gradients(subject: Subject, options: Options, tick: Tick) -> Heat:
    """Integrated gradients (Sundararajan et al., 2017, arXiv 1703.01365, equation 1) of the target's probability.

    The map adds up to p(picture) - p(baseline). The steps of the Gauss-Legendre rule are doubled until it does to
    within 5 % or a tenth of a per cent of probability, at most 256.

    Returns:
        Signed heat; figures: `picture` and `baseline` (probabilities), `sum` of the map, `error` (|sum - difference|),
        `relative_error` (its share of the difference), `steps`.
    """
    from captum.attr import IntegratedGradients  # here, because it is slow to import

    pixels = subject.pixels
    baselines = tuple(BASELINES[options.baseline](x) for x in pixels)
    tick()
    start = probability(subject, baselines)
    tick()
    end = probability(subject, pixels)
    method = IntegratedGradients(_ticking(subject, tick))
    steps = options.steps
    while True:
        parts = method.attribute(
            pixels,
            baselines,
            target=subject.target,
            n_steps=steps,
            method="gausslegendre",
            internal_batch_size=options.batch,
        )
        total = float(sum(part.sum() for part in parts))
        error = abs(total - (end - start))
        if error <= max(TOLERANCE * abs(end - start), NEGLIGIBLE) or steps >= MOST_STEPS:
            break
        steps = min(2 * steps, MOST_STEPS)
    values, view = merge([part[0].sum(0).cpu().numpy() for part in parts], subject.views)
    figures = _figures(start, end, total, steps)
    return Heat(values, signed=True, view=view, figures=figures)


def add(members: Sequence[Heat], weights: np.ndarray) -> Heat:
    """Integrated gradients of Σ w p from those of each p: attribution is linear (axiom 4 of the paper)."""
    values, view = merge(
        [weight * heat.values for weight, heat in zip(weights, members, strict=True)], [heat.view for heat in members]
    )
    end, start, total = (
        float(sum(weight * heat.figures[name] for weight, heat in zip(weights, members, strict=True)))
        for name in ("picture", "baseline", "sum")
    )
    figures = _figures(start, end, total, max(heat.figures["steps"] for heat in members))
    return Heat(values, signed=True, view=view, figures=figures)


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


def smoothgrad(subject: Subject, options: Options, tick: Tick) -> Heat:
    """SmoothGrad (Smilkov et al., 2017, arXiv 1706.03825): the gradient averaged over noisy copies of the picture.

    Returns:
        Unsigned heat: the length over the three colours of the averaged gradient.
    """
    from captum.attr import Saliency

    method = Saliency(_ticking(subject, tick))
    generator = torch.Generator().manual_seed(options.seed)
    sums = [torch.zeros_like(x) for x in subject.pixels]
    for first in range(0, options.samples, options.batch):
        copies = [  # drawn one by one, so that the size of a batch changes nothing
            [x + options.noise * torch.randn(x.shape, generator=generator).to(x.device) for x in subject.pixels]
            for _ in range(min(options.batch, options.samples - first))
        ]
        noisy = tuple(torch.cat(each).requires_grad_() for each in zip(*copies, strict=True))
        for part, gradient in zip(sums, method.attribute(noisy, target=subject.target, abs=False), strict=True):
            part += gradient.sum(0)
    maps = [(part[0] / options.samples).norm(dim=0).cpu().numpy() for part in sums]
    values, view = merge(maps, subject.views)
    return Heat(values, signed=False, view=view, figures={"samples": options.samples})


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
        passes=lambda options: options.steps + 2,
        refuse=_refuse,
        compute=integrated_gradients,
        add=add,
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
        refuse=_refuse,
        compute=smoothgrad,
    ),
)
