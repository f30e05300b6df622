"""A strategy applied: to numbers, and as a model that can be explained."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from vitdemo.backbones import Backbone
from vitdemo.errors import VitdemoError
from vitdemo.fusion.agreement import agreement
from vitdemo.fusion.strategies import FUSIONS
from vitdemo.models import Model, labels_of
from vitdemo.types import Evidence, Fused


def evidence_of(backbones: Sequence[Backbone]) -> Evidence:
    """What is known of these backbones before they see a picture."""
    return Evidence(
        names=tuple(row.name for row in backbones),
        labels=tuple(labels_of(row) for row in backbones),
        accuracy=np.array([row.accuracy for row in backbones], dtype=np.float32),
    )


def check(probabilities: np.ndarray, evidence: Evidence) -> None:
    """Raises VitdemoError unless M backbones with one and the same label space gave (M, ..., K)."""
    if not evidence.names or len(probabilities) != len(evidence.names):
        raise VitdemoError(
            f"Fusion got the probabilities of {len(probabilities)} backbones for {len(evidence.names)} names; "
            "allowed: one row for each of at least one backbone."
        )
    for name, labels in zip(evidence.names, evidence.labels, strict=True):
        if labels != evidence.labels[0]:
            raise VitdemoError(
                f"{name} and {evidence.names[0]} do not share their classes "
                f"({_short(labels)} and {_short(evidence.labels[0])}); allowed: backbones of one collection."
            )
    if probabilities.shape[-1] != len(evidence.labels[0]):
        raise VitdemoError(
            f"Fusion got {probabilities.shape[-1]} probabilities a backbone for {len(evidence.labels[0])} classes."
        )


def _short(labels: Sequence[str]) -> str:
    return f"{len(labels)} classes: {', '.join(labels[:3])}{', …' if len(labels) > 3 else ''}"


def fuse(strategy: str, probabilities: np.ndarray, evidence: Evidence) -> list[Fused]:
    """The fused prediction of each picture.

    Args:
        strategy: a name in `FUSIONS`.
        probabilities: (M, B, K), rows sum to 1.
        evidence: what is known of the M backbones.

    Raises:
        UnknownNameError: no such strategy.
        VitdemoError: the backbones' classes differ, named.
    """
    fusion = FUSIONS.get(strategy)
    check(probabilities, evidence)
    fused, weights = fusion.combine(torch.from_numpy(probabilities.astype(np.float64)), evidence)
    agreed = agreement(probabilities)
    return [
        Fused(p.astype(np.float32), w.astype(np.float32), float(a))
        for p, w, a in zip(fused.numpy(), weights.numpy().T, agreed, strict=True)
    ]


class FusedModel(nn.Module):
    """The fused model: each backbone's own input in, fused probabilities out.

    The inputs are what the backbones really see, resized by their own transforms; an explanation in M inputs adds up
    over all of them, and is brought back to the picture afterwards. With one backbone it is that backbone.

    Args:
        models: M loaded backbones of one collection.
        strategy: a name in `FUSIONS`.
    """

    def __init__(self, models: Sequence[Model], strategy: str):
        super().__init__()
        self.networks = nn.ModuleList(model.network for model in models)
        self.temperatures = [model.backbone.temperature for model in models]
        self.fusion = FUSIONS.get(strategy)
        self.evidence = evidence_of([model.backbone for model in models])

    def forward(self, *pixels: torch.Tensor) -> torch.Tensor:
        """M tensors (B, 3, h_m, w_m) in 0..1 to fused probabilities (B, K)."""
        each = [
            torch.softmax(network(x) / temperature, dim=-1)
            for network, temperature, x in zip(self.networks, self.temperatures, pixels, strict=True)
        ]
        return self.fusion.combine(torch.stack(each), self.evidence)[0]
