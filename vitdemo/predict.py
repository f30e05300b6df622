"""Pictures in, logits and features out: one forward pass of one backbone."""

import numpy as np
import torch

from vitdemo.models import Model
from vitdemo.types import Prediction


def predict(model: Model, pixels: torch.Tensor) -> Prediction:
    """One forward pass.

    Args:
        model: a loaded backbone.
        pixels: (B, 3, h, w) in 0..1, as `model.pixels` makes them.

    Returns:
        Logits (B, K), probabilities (B, K) at the model's temperature, and pooled features (B, D).
    """
    with torch.inference_mode():
        logits, features = model.network.embed(pixels.to(model.device))
    probabilities = torch.softmax(logits / model.backbone.temperature, dim=-1)
    return Prediction(_array(logits), _array(probabilities), _array(features))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()
