"""What M backbones say of B pictures, as a strategy gets it: tensors, with or without a gradient."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vitdemo.errors import VitdemoError
from vitdemo.types import Prediction


@dataclass(frozen=True)
class Votes:
    """Probabilities always; features and stages where a strategy needs them."""

    probabilities: torch.Tensor  # (M, B, K), rows sum to 1
    features: tuple[torch.Tensor, ...] = ()  # M tensors (B, D_m): pooled, the head's input
    stages: tuple[torch.Tensor, ...] = ()  # M tensors (B, S_m): pooled maps, as `vitdemo.stages` makes them

    def members(self, order: Sequence[int]) -> "Votes":
        """The votes of some of the backbones, in this order."""
        return Votes(
            self.probabilities[list(order)],
            tuple(self.features[m] for m in order if self.features),
            tuple(self.stages[m] for m in order if self.stages),
        )

    def pictures(self, rows: torch.Tensor) -> "Votes":
        """The votes on some of the pictures: an index or a mask over B."""
        return Votes(
            self.probabilities[:, rows], tuple(x[rows] for x in self.features), tuple(x[rows] for x in self.stages)
        )


def votes_of(predictions: Sequence[Prediction] | np.ndarray, needs: str = "probabilities") -> Votes:
    """The votes in float64.

    Args:
        predictions: of M backbones on the same B pictures; or their probabilities alone, (M, B, K).
        needs: "probabilities", "features" or "stages": what has to be in them.

    Raises:
        VitdemoError: what is needed is not there.
    """
    if isinstance(predictions, np.ndarray):
        if needs != "probabilities":
            raise VitdemoError(f"Fusion got probabilities alone and needs {needs} besides; send whole predictions.")
        return Votes(_tensor(predictions))
    probabilities = torch.stack([_tensor(one.probabilities) for one in predictions]) if predictions else _tensor([])
    if needs == "features":
        return Votes(probabilities, features=tuple(_tensor(one.features) for one in predictions))
    if needs == "stages":
        if any(one.stages is None for one in predictions):
            raise VitdemoError("Fusion needs the stages of every backbone; predict with stages=True.")
        return Votes(probabilities, stages=tuple(_tensor(one.stages) for one in predictions))
    return Votes(probabilities)


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64))
