"""How concentrated a network's attention is: the sign by which a collapsed one is known.

A row of an attention matrix is what one token makes of all others. Where most rows put nearly all of their weight on a
single token, a picture of that attention says little: the token is often a piece of background that serves as a store
(Darcet et al. 2024, "Vision transformers need registers", arXiv 2309.16588).
"""

import math

import torch

from vitdemo.attention import Recorder
from vitdemo.errors import NotOfferedError
from vitdemo.models import Model

MOST = 0.9  # of a row's weight on one token: concentrated
KEYS = 16  # tokens that a row has to choose from, or it does not count
PICTURES = 8


def share(attention: torch.Tensor) -> torch.Tensor:
    """The share of the rows of (B, heads, N, M) that put more than `MOST` on one of M tokens; NaN below `KEYS`."""
    if attention.shape[-1] < KEYS:
        return torch.tensor(math.nan)
    return (attention.amax(-1) > MOST).float().mean()


def concentrated(model: Model, pixels: torch.Tensor) -> tuple[float, ...]:
    """`share` of each layer in order, over all heads, rows and pictures; () where no attention is recorded.

    Args:
        pixels: (B, 3, H, W) in 0..1, as `model.pixels` gives them.
    """
    with torch.inference_mode(), Recorder(share) as recorder:
        try:
            model.network(pixels)
        except NotOfferedError:
            return ()
    return tuple(float(one) for one in recorder.matrices)
