"""A strategy applied: to numbers, and as a model that can be explained."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from vitdemo.backbones import Backbone
from vitdemo.errors import NotOfferedError, VitdemoError
from vitdemo.fusion import records
from vitdemo.fusion.agreement import agreement
from vitdemo.fusion.strategies import FUSIONS, Fusion
from vitdemo.fusion.votes import Votes, votes_of
from vitdemo.models import Model, labels_of
from vitdemo.types import Evidence, Fused, Prediction


def evidence_of(backbones: Sequence[Backbone]) -> Evidence:
    """What is known of these backbones before they see a picture, and the record of their collection."""
    known = Evidence(
        names=tuple(row.name for row in backbones),
        labels=tuple(labels_of(row) for row in backbones),
        accuracy=np.array([row.accuracy for row in backbones], dtype=np.float32),
    )
    path = next((path for path in map(records.path_of, backbones) if path.is_file()), None)
    if path is None:
        return known
    try:
        return replace(known, record=records.load(path), fingerprints=tuple(map(records.fingerprint, backbones)))
    except VitdemoError as error:  # fusions that learn nothing go on without it
        return replace(known, unrecorded=str(error))


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


def fuse(strategy: str, predictions: Sequence[Prediction] | np.ndarray, evidence: Evidence) -> list[Fused]:
    """The fused prediction of each picture.

    Args:
        strategy: a name in `FUSIONS`.
        predictions: of M backbones on the same B pictures; with stages where the strategy needs them. Probabilities
            alone, (M, B, K), are enough for a strategy that needs nothing else.
        evidence: what is known of the M backbones.

    Raises:
        UnknownNameError: no such strategy.
        NotOfferedError: the strategy cannot be fitted for these backbones.
        VitdemoError: the backbones' classes differ, named.
    """
    fusion = FUSIONS.get(strategy)
    votes = votes_of(predictions, fusion.needs)
    probabilities = votes.probabilities.numpy()
    check(probabilities, evidence)
    offered(fusion, evidence)
    fused, weights = fusion.combine(votes, evidence)
    agreed = agreement(probabilities)
    return [
        Fused(p.astype(np.float32), w.astype(np.float32), float(a))
        for p, w, a in zip(fused.numpy(), weights.numpy().T, agreed, strict=True)
    ]


def offered(fusion: Fusion, evidence: Evidence) -> None:
    """Raises NotOfferedError, with the reason, where the backbones cannot be fused so."""
    if reason := fusion.refuse(evidence):
        raise NotOfferedError(reason)


class FusedModel(nn.Module):
    """The fused model: each backbone's own input in, fused probabilities out.

    The inputs are what the backbones really see, resized by their own transforms; an explanation in M inputs adds up
    over all of them, and is brought back to the picture afterwards. With one backbone it is that backbone.

    Args:
        models: M loaded backbones of one collection.
        strategy: a name in `FUSIONS`.

    Raises:
        NotOfferedError: the strategy cannot be fitted for these backbones.
    """

    def __init__(self, models: Sequence[Model], strategy: str):
        super().__init__()
        self.networks = nn.ModuleList(model.network for model in models)
        self.temperatures = [model.backbone.temperature for model in models]
        self.fusion = FUSIONS.get(strategy)
        self.evidence = evidence_of([model.backbone for model in models])
        offered(self.fusion, self.evidence)

    def forward(self, *pixels: torch.Tensor) -> torch.Tensor:
        """M tensors (B, 3, h_m, w_m) in 0..1 to fused probabilities (B, K), one pass for each backbone."""
        return self.combine([self.ask(index, x) for index, x in enumerate(pixels)])

    def ask(self, index: int, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the fusion needs of one backbone: (B, 3, h, w) to its logits (B, K), and its features or stages."""
        network = self.networks[index]
        if self.fusion.needs == "stages":
            return network.embed_stages(pixels)
        return network.embed(pixels) if self.fusion.needs == "features" else (network(pixels),)

    def combine(self, said: Sequence[tuple[torch.Tensor, ...]]) -> torch.Tensor:
        """What `ask` gave for each of the M backbones, to fused probabilities (B, K)."""
        logits = [logits / warmth for (logits, *_), warmth in zip(said, self.temperatures, strict=True)]
        votes = Votes(
            torch.softmax(torch.stack([_fine(each) for each in logits]), dim=-1),
            features=tuple(_fine(each[1]) for each in said if self.fusion.needs == "features"),
            stages=tuple(_fine(each[2]) for each in said if self.fusion.needs == "stages"),
        )
        return self.fusion.combine(votes, self.evidence)[0].to(logits[0].dtype)


def _fine(values: torch.Tensor) -> torch.Tensor:
    """In the precision that heads are fitted in, where the device has it."""
    return values if values.device.type == "mps" else values.double()
