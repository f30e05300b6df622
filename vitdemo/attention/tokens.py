"""Tokens have addresses: the one place that knows which token is which patch, and what each layer makes of them.

A layout describes one architecture as transitions, first layer first, from the tokens that lie on the picture to those
that the head reads. `families` writes it for the classes of timm that were checked; a classifier that has not been
checked is refused with a reason, rather than given a plausible wrong map.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import nn

from vitdemo.attention.recorder import HEAD_FUSIONS
from vitdemo.attention.transitions import Attend, Merge, Plane, Step, overlap
from vitdemo.errors import VitdemoError
from vitdemo.types import NotOffered


@dataclass(frozen=True, eq=False)
class Layout:
    """How the tokens of an architecture lie, and what each layer makes of them."""

    planes: tuple[Plane, ...]  # where the tokens before the first layer lie; two for two branches
    readout: tuple[int, ...]  # the tokens after the last layer that the head reads, averaged
    steps: tuple[Step, ...]  # first layer first
    kind: Literal["exact", "extension"] = "exact"  # the published definition, or derived from it
    note: str = ""  # what is taken for granted, and how far it goes

    @property
    def prefix(self) -> int:
        """Class, distillation and register tokens before the first patch."""
        return self.planes[0].first

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the map: the finest of the planes."""
        return max((plane.grid for plane in self.planes), key=lambda grid: grid[0] * grid[1])

    @property
    def tokens(self) -> int:
        """Before the first layer."""
        return self.steps[0].inputs

    @property
    def attentions(self) -> tuple[Attend, ...]:
        """The layers that attend."""
        return tuple(step for step in self.steps if isinstance(step, Attend))

    @property
    def layers(self) -> int:
        """Attention matrices that a forward pass has to give."""
        return sum(step.matrices for step in self.attentions)

    @property
    def whole(self) -> bool:
        """Whether heads have to be kept apart while recording, because the model weighs them before they are used."""
        return any(step.gate is not None for step in self.attentions)

    @property
    def pools(self) -> bool:
        """Whether the head reads all patches, not class tokens."""
        return not any(step.spared for step in self.attentions if step.residual)

    @property
    def plain(self) -> bool:
        """Whether each layer is one attention from all tokens to all: one (N, N) matrix a head, of the same N."""
        return all(
            isinstance(step, Attend)
            and step.matrices == 1
            and step.residual
            and step.shape == (1, self.tokens, self.tokens)
            for step in self.steps
        )

    def first(self, layers: int) -> "Layout":
        """The way through the first layers that attend: read where the answer is read in the end, or, where those
        tokens are not there yet or have not asked, by the mean of the patches that asked last."""
        end = [index for index, step in enumerate(self.steps) if isinstance(step, Attend)][layers - 1]
        last = self.steps[end]
        same = last.outputs == self.steps[-1].outputs or max(self.readout) < self.prefix
        there = same and set(self.readout) <= set(last.queries.ravel().tolist())
        readout = self.readout if there or last.asked is None else tuple(last.asked.tokens)
        return replace(self, steps=self.steps[: end + 1], readout=readout)

    def keep(self, head_fusion: str) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """What a recorder has to keep for a rollout: heads fused at once, if that can be."""
        return None if self.whole else HEAD_FUSIONS[head_fusion]

    def row(self, like: torch.Tensor, batch: int) -> torch.Tensor:
        """(B, tokens after the last layer): what the head reads; a token that it reads twice counts twice."""
        counts = np.bincount(self.readout, minlength=self.steps[-1].outputs) / len(self.readout)
        return torch.as_tensor(counts, dtype=torch.float32, device=like.device).repeat(batch, 1)

    def map(self, row: torch.Tensor) -> torch.Tensor:
        """(B, tokens before the first layer) to (B, h, w); what arrived at other tokens is left out."""
        if len(self.planes) == 1:
            return row[:, self.planes[0].tokens].unflatten(-1, self.grid)
        target = Plane(0, self.grid)
        spread = [
            row[:, plane.tokens] @ torch.as_tensor(overlap(plane, target), dtype=row.dtype, device=row.device)
            for plane in self.planes
        ]
        return sum(spread).unflatten(-1, self.grid)

    def backwards(self, matrices: Sequence[torch.Tensor]) -> Iterator[tuple[Step, list[torch.Tensor], int]]:
        """Each step with its matrices, last layer first, and the number of attentions before it.

        Args:
            matrices: as recorded, first layer first: (B W, heads, n, m), or (B W, n, m) with the heads fused.

        Yields:
            A step, its matrices as (B, W, heads, n, m) or (B, W, n, m), none for a merge, and its number.

        Raises:
            VitdemoError: matrices that are not those of the layout.
        """
        if not self._fits(matrices):
            shapes = sorted({tuple(m.shape) for m in matrices})
            wanted = dict.fromkeys(
                f"(B{_times(w)}, [heads,] {n}, {m})" for w, n, m in (s.shape for s in self.attentions)
            )
            raise VitdemoError(
                f"Recorded {len(matrices)} attention matrices of shapes {shapes}; "
                f"expected {self.layers} of {', '.join(wanted)}."
            )
        end, number = len(matrices), len(self.attentions)
        for step in reversed(self.steps):
            if isinstance(step, Merge):
                yield step, [], number
                continue
            number -= 1
            parts = matrices[end - step.matrices : end]
            end -= step.matrices
            yield step, [part.unflatten(0, (-1, step.shape[0])) for part in parts], number

    def _fits(self, matrices: Sequence[torch.Tensor]) -> bool:
        wanted = [step.shape for step in self.attentions for _ in range(step.matrices)]
        if len(matrices) != len(wanted) or len({m.dim() for m in matrices}) != 1 or matrices[0].dim() not in (3, 4):
            return False
        if self.whole and matrices[0].dim() == 3:
            return False
        batch = {m.shape[0] / w for m, (w, _, _) in zip(matrices, wanted, strict=True)}
        return len(batch) == 1 and all(m.shape[-2:] == shape[1:] for m, shape in zip(matrices, wanted, strict=True))


def _times(windows: int) -> str:
    return f" x {windows}" if windows > 1 else ""


def heads_of(step: Attend, parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """(B, W, heads, n, m): a layer's attention, heads side by side."""
    if step.gate is not None:
        content, position = parts
        gate = step.gate.to(content.device).view(-1, 1, 1)
        parts = [(1 - gate) * content + gate * position]
    return torch.cat(list(parts), 2)


def attention_of(step: Attend, parts: Sequence[torch.Tensor], head_fusion: str = "mean") -> torch.Tensor:
    """(B, W, n, m) fp32: a layer's attention as one matrix, of heads that were fused in the same way while recording or
    are fused here."""
    if parts[0].dim() == 5:
        heads = heads_of(step, parts)
        return HEAD_FUSIONS[head_fusion](heads.flatten(0, 1)).unflatten(0, heads.shape[:2]).float()
    if len(parts) == 1:
        return parts[0].float()
    together = torch.stack(list(parts), 2)  # as many heads in each
    return HEAD_FUSIONS[head_fusion](together.flatten(0, 1)).unflatten(0, together.shape[:2]).float()


def stack(prefix: int, grid: tuple[int, int], readout: Sequence[int], layers: int, parallel: int = 1) -> Layout:
    """A plain transformer: each layer attends from all tokens to all, beside a skip connection."""
    plane = Plane(prefix, grid)
    return Layout((plane,), tuple(readout), (everywhere(plane, spare(plane, readout), parallel),) * layers)


def everywhere(plane: Plane, spared: Sequence[int] = (), parallel: int = 1) -> Attend:
    """Attention from all tokens to all: those of the plane and those before it."""
    count = plane.tokens.stop
    all_ = np.arange(count)[None]
    return Attend(all_, all_, count, count, parallel=parallel, spared=tuple(spared), asked=plane, seen=plane)


def spare(plane: Plane, readout: Sequence[int]) -> tuple[int, ...]:
    """What discarding must not touch: the tokens that the head reads, unless it reads all patches."""
    return tuple(readout) if len(readout) < len(plane.tokens) else ()


def layout_of(body: nn.Module, size: tuple[int, int]) -> Layout | NotOffered:
    """Where the patches are, what each layer makes of them, and what the head reads.

    Args:
        body: a timm classifier.
        size: (h, w) of its input in pixels.

    Returns:
        The layout, or why attention rollout has no checked form for this architecture.
    """
    from vitdemo.attention.families import FAMILIES

    kind = type(body)
    describe = FAMILIES.get(f"{kind.__module__}.{kind.__name__}")
    return describe(body, tuple(size)) if describe else NotOffered(_reason(body))


_REASONS = {
    "ResNet": "a convolutional network has no attention",
    "EfficientNet": "a convolutional network has no attention",
    "MobileVitBlock": "MobileViT attends within each pixel phase and convolves in between: no token is one patch",
    "MobileVitV2Block": "MobileViTv2 scores each patch for all others at once: it has no attention from patch to patch",
    "Xcit": "XCiT attends over channels, not over places",
}


def _reason(body: nn.Module) -> str:
    """Why a model that no family describes has no rollout: of the architecture, or of a block that decides."""
    for module in body.modules():
        for kind in type(module).__mro__:
            for name, reason in _REASONS.items():
                if kind.__name__.startswith(name):
                    return reason
    return f"{type(body).__name__} is not an architecture for which rollout was checked"
