"""Pictures in, logits and features out: one forward pass of one backbone."""

import numpy as np
import torch

from vitdemo.models import Model
from vitdemo.types import Prediction


def predict(model: Model, pixels: torch.Tensor, stages: bool = False) -> Prediction:
    """One forward pass.

    Args:
        model: a loaded backbone.
        pixels: (B, 3, h, w) in 0..1, as `model.pixels` makes them.
        stages: whether the maps of the stages are wanted too.

    Returns:
        Logits (B, K), probabilities (B, K) at the model's temperature, pooled features (B, D), and, where they were
        asked for, the pooled maps of the stages (B, S).

    Raises:
        NotOfferedError: stages were asked of an architecture that does not show them.
    """
    embed = model.network.embed_stages if stages else model.network.embed
    with torch.inference_mode():
        logits, features, *maps = embed(pixels.to(model.device))
    probabilities = torch.softmax(logits / model.backbone.temperature, dim=-1)
    return Prediction(_array(logits), _array(probabilities), _array(features), *map(_array, maps))


def is_finite(prediction: Prediction) -> bool:
    """Whether every number that a fusion may read is one: a diverged training leaves NaN, an overflow infinity."""
    arrays = (prediction.logits, prediction.features, prediction.stages)
    return all(array is None or bool(np.isfinite(array).all()) for array in arrays)


def not_finite(name: str) -> str:
    """Why a backbone has no say, as a sentence."""
    return f"{name} gives numbers that are not finite here, which are no answer: its weights may be damaged."


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()
