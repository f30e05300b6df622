"""Several backbones' probabilities become one prediction, and a weight for each backbone.

`strategies` holds the registry `FUSIONS`, one function per strategy; `agreement` says how much the backbones agree;
`fuse` applies one strategy to one picture or many; `FusedModel` is the fused model as a `torch` module over the
backbones' inputs, so that Captum can explain the fused decision itself.
"""

from vitdemo.fusion.agreement import agreement, pairwise_divergence
from vitdemo.fusion.fused import FusedModel, evidence_of, fuse
from vitdemo.fusion.strategies import FUSIONS, Fusion

__all__ = ["FUSIONS", "FusedModel", "Fusion", "agreement", "evidence_of", "fuse", "pairwise_divergence"]
