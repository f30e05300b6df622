"""Relevance and gradient rollout: attention followed back for one class.

With A the attention of a layer by head, y the logit of the class, G = ∂y/∂A and E the mean over heads:

- relevance (Chefer, Gur and Wolf, Generic Attention-model Explainability, 2021, arXiv 2103.15679, equations 5 and 6 for
  self-attention): Ā = E[(G ⊙ A)⁺], R ← R + Ā R from R = I, first layer first; not normalised;
- gradient rollout (Gildenblat, vit-explain): rollout with (E[G ⊙ A])⁺ in the place of E[A].

As in `rollout`, only the row of R that the head reads travels, from the last layer to the first: r ← r + r Ā. What it
kept of itself through skip connections alone is left out, R - I: at a class token that lies outside the picture
anyway, and where a head pools patches it would lie evenly over all of them.
"""

from collections.abc import Callable, Sequence

import torch

from vitdemo.attention.recorder import Recorder
from vitdemo.attention.rollout import normalise
from vitdemo.attention.tokens import Layout
from vitdemo.attention.transitions import Attend, Merge
from vitdemo.errors import VitdemoError


def gradients_of(score: Callable[[], torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The attention of a forward pass, and the gradient of its score with respect to it.

    The graph begins at the first attention matrix: neither parameters nor pixels need gradients, and no hook is set.

    Args:
        score: runs a forward pass and gives a number, such as the logit of a class summed over a batch.

    Returns:
        Matrices and gradients, (B W, heads, n, m) each, first layer first.
    """
    with torch.enable_grad(), Recorder(graph=True) as recorder:
        value = score()
    if not recorder.matrices:
        return [], []
    gradients = torch.autograd.grad(value, recorder.matrices, allow_unused=True, materialize_grads=True)
    return [matrix.detach() for matrix in recorder.matrices], list(gradients)


def relevance(matrices: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor], layout: Layout) -> torch.Tensor:
    """How much each patch speaks for the class, by attention and its gradient.

    Args:
        matrices, gradients: as `gradients_of` gives them.
        layout: which token is which patch, and what each layer makes of them.

    Returns:
        (B, h, w), not negative, in the units of the logit.

    Raises:
        VitdemoError: matrices that are not those of the layout.
    """

    def weigh(step: Attend, products: torch.Tensor) -> tuple[torch.Tensor, float | None]:
        return products.clamp_min(0).mean(2), 1.0 if step.residual else None

    return _travel(matrices, gradients, layout, weigh)


def gradient_rollout(
    matrices: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor], layout: Layout, residual: float = 0.5
) -> torch.Tensor:
    """Rollout of attention weighted by its gradient.

    Args:
        matrices, gradients: as `gradients_of` gives them.
        layout: which token is which patch, and what each layer makes of them.
        residual: weight in [0, 1) of the identity that stands for the skip connection.

    Returns:
        (B, h, w), each between 0 and 1.

    Raises:
        VitdemoError: a residual outside its range, or matrices that are not those of the layout.
    """
    if not 0 <= residual < 1:
        raise VitdemoError(f"residual is {residual}; allowed: 0 to below 1.")

    def weigh(step: Attend, products: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        return normalise(products.mean(2).clamp_min(0), residual if step.residual else 0.0)

    return _travel(matrices, gradients, layout, weigh)


def _travel(
    matrices: Sequence[torch.Tensor],
    gradients: Sequence[torch.Tensor],
    layout: Layout,
    weigh: Callable[[Attend, torch.Tensor], tuple[torch.Tensor, torch.Tensor | float | None]],
) -> torch.Tensor:
    moved = still = None  # of what the head reads: what came by attention, and what never left its token
    for step, parts, _ in layout.backwards(
        [matrix.float() * gradient.float() for matrix, gradient in zip(matrices, gradients, strict=True)]
    ):
        if still is None:
            still = layout.row(matrices[-1], len(matrices[-1]) // layout.attentions[-1].shape[0])
            moved = torch.zeros_like(still)
        if isinstance(step, Merge):
            moved, still = step.carry(moved), step.carry(still)
            continue
        attention, kept = weigh(step, _products(step, parts))
        # kept apart, because the difference of two rows would lose what a small gradient moves
        moved, still = step.take(moved + still, attention) + step.keep(moved, kept), step.keep(still, kept)
    return layout.map(moved)


def _products(step: Attend, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """(B, W, heads, n, m) of G ⊙ A. Where two matrices make up the attention, A = (1 - g) C + g P, their products add
    up to it: ∂y/∂C ⊙ C + ∂y/∂P ⊙ P = G ⊙ ((1 - g) C + g P)."""
    return parts[0] + parts[1] if step.gate is not None else torch.cat(list(parts), 2)
