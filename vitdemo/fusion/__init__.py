"""Several backbones' answers become one prediction, and a weight for each backbone.

`strategies` holds the registry `FUSIONS`, one function per strategy; `fitted` adds those that learn, from the `records`
of what backbones said of validation pictures, by the short solvers of `fitting`; `agreement` says how much the
backbones agree; `fuse` applies one strategy to one picture or many; `FusedModel` is the fused model as a `torch` module
over the backbones' inputs, so that Captum can explain the fused decision itself.
"""

from vitdemo.fusion.agreement import agreement, pairwise_divergence
from vitdemo.fusion.fused import FusedModel, evidence_of, fuse
from vitdemo.fusion.strategies import FUSIONS, Fusion
from vitdemo.fusion.votes import Votes

__all__ = ["FUSIONS", "FusedModel", "Fusion", "Votes", "agreement", "evidence_of", "fuse", "pairwise_divergence"]
