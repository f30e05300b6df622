"""Learning from pictures without labels by telling every picture from every other.

Parametric instance discrimination (Cao & Wu 2022, "Training vision transformers with only 2040 images",
arXiv 2201.10728; the idea is Dosovitskiy et al. 2014, "Exemplar CNN"): each picture is a class of its own; its views,
strongly changed, are the examples. One linear layer on the read-out of the encoder gives a logit for each picture; the
loss is the cross-entropy of an ordinary classifier, with MixUp, CutMix and smoothed targets as in `data.mix`. For some
thousands of pictures so large a softmax costs little and needs neither a memory bank nor large batches.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitdemo.training.data import Pictures


def instances(pictures: Pictures) -> Pictures:
    """The same pictures, each a class of its own."""
    count = len(pictures.images)
    return replace(pictures, targets=torch.arange(count), labels=tuple(str(number) for number in range(count)))


class Classifier(nn.Module):
    """One linear layer on what a timm model without a head reads out."""

    def __init__(self, encoder: nn.Module, classes: int):
        super().__init__()
        self.head = nn.Linear(encoder.num_features, classes)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, encoder: nn.Module, x: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) to logits (B, classes)."""
        return self.head(encoder(x))


def loss(encoder: nn.Module, classifier: Classifier, x: Tensor, soft: Tensor) -> Tensor:
    """Cross-entropy with targets (B, classes) whose rows sum to 1, a scalar."""
    return F.cross_entropy(classifier(encoder, x).float(), soft)
