"""Attention: `recorder` keeps every attention matrix of a forward pass, `tokens` says which token is which patch and
`families` what each layer makes of them, `rollout` follows the attention from the read-out back to the patches, and
`relevance` does so for one class."""

from vitdemo.attention.recorder import HEAD_FUSIONS, Recorder
from vitdemo.attention.relevance import gradient_rollout, gradients_of, relevance
from vitdemo.attention.rollout import rollout
from vitdemo.attention.tokens import Layout, layout_of

__all__ = [
    "HEAD_FUSIONS",
    "Layout",
    "Recorder",
    "gradient_rollout",
    "gradients_of",
    "layout_of",
    "relevance",
    "rollout",
]
