"""Infidelity and sensitivity (Yeh et al., 2019, arXiv 1901.09392), computed by Captum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vitdemo.explain import Subject
from vitdemo.explain.base import Tick
from vitdemo.faithfulness.cells import Cells, Settings, centre_map, random_map
from vitdemo.types import Heat


@dataclass(frozen=True)
class Infidelity:
    """Mean squared error, in squared probability: lower is better, 0 is a map that foretells every hiding."""

    value: float  # of the map
    random: float  # of a random map
    centre: float  # of a blob in the middle


def infidelity(
    subject: Subject,
    heat: Heat,
    settings: Settings | None = None,
    samples: int = 32,
    tick: Tick = lambda: None,
) -> Infidelity:
    """How well a map foretells what hiding a random half of the cells does (definition 2.1 of the paper).

        min over β of E[(β · Σ of the map over the hidden cells − (p(picture) − p(picture with them hidden)))²]

    The factor β ("normalize=True" in Captum) makes maps of any scale comparable. The perturbation is the one of
    deletion and insertion, so a map counts as what each cell contributes; sensitivities, such as SmoothGrad's, claim
    less than that and are judged by a rule that is not theirs.

    Args:
        subject: one backbone, or several fused ones.
        heat: a map of it.
        settings: `grid`, `fill`, `batch` and `seed` are read.
        samples: random choices of cells; all three maps get the same.
        tick: called before each forward pass.

    Cost: 3 (samples + 1) forward passes.
    """
    from captum.metrics import infidelity as measure  # here, because it is slow to import

    settings = settings or Settings()
    cells = Cells(subject, settings)

    def score(present: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(cells.probability(present.numpy() > 0.5, tick))

    def hide(present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = (torch.rand(present.shape, generator=generator) < 0.5).to(present.dtype)
        return hidden, present - hidden

    found = []
    for each in (
        heat,
        random_map(cells.view, cells.shape, settings.seed),
        centre_map(cells.view, cells.shape),
    ):
        generator = torch.Generator().manual_seed(settings.seed)
        attributions = torch.from_numpy(cells.of(each).astype(np.float64))[None]
        with torch.inference_mode():
            error = measure(
                score,
                hide,
                torch.ones(1, cells.count, dtype=torch.float64),
                attributions,
                n_perturb_samples=samples,
                normalize=True,
            )
        found.append(float(error[0]))
    return Infidelity(*found)


def sensitivity(
    pixels: Sequence[torch.Tensor],
    remake: Callable[[tuple[torch.Tensor, ...]], Heat],
    radius: float = 0.02,
    samples: int = 8,
    seed: int = 0,
) -> float:
    """How much a map can change when the picture hardly does (max-sensitivity, definition 3.1 of the paper).

        max over noise of at most `radius` of ‖map(picture + noise) − map(picture)‖ / ‖map(picture)‖

    A map that jumps here may still be right; one that does not may still be wrong: a constant map scores 0.

    Args:
        pixels: M inputs (1, 3, h_m, w_m) in 0..1.
        remake: the map of these inputs, computed anew, recording included; may raise to stop.
        radius: of the noise, uniform in each pixel, of values in 0..1.
        samples: noisy copies.
        seed: of the noise.

    Returns:
        At least 0; lower is steadier. Cost: samples + 1 maps.
    """
    from captum.metrics import sensitivity_max

    generator = torch.Generator().manual_seed(seed)

    def maps(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        with torch.enable_grad():  # Captum switches it off, which is not for a gradient method
            each = [remake(tuple(x[i : i + 1] for x in inputs)).values.ravel() for i in range(len(inputs[0]))]
        return (torch.from_numpy(np.stack(each)),)

    def noisy(inputs: tuple[torch.Tensor, ...] | torch.Tensor, reach: float) -> tuple[torch.Tensor, ...]:
        inputs = inputs if isinstance(inputs, tuple) else (inputs,)  # Captum unwraps a tuple of one
        return tuple(x + reach * (2 * torch.rand(x.shape, generator=generator).to(x) - 1) for x in inputs)

    return float(sensitivity_max(maps, tuple(pixels), noisy, radius, samples)[0])
