"""Does a map depend on what the network learned?

Adebayo et al., Sanity Checks for Saliency Maps, 2018, arXiv 1810.03292. The weights are made meaningless from the
answer downwards, first the head, then block by block to the input ("cascading", section 3.1). A map that hardly changes
shows the picture's edges, not the network's reasons. A map that stays the same when only the head is random does not
depend on the class.

Instead of drawing weights anew, the entries of every parameter tensor change places: that fits any architecture and
leaves each tensor's mean and spread as they are, so that no layer's output runs out of range.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from vitdemo.errors import VitdemoError
from vitdemo.explain.base import Tick
from vitdemo.faithfulness.ranks import spearman
from vitdemo.models import Model
from vitdemo.types import Heat, NotOffered

HEAD = "head"


@dataclass(frozen=True)
class Randomisation:
    """How like the first map the maps of an ever more random network are."""

    depths: tuple[float, ...]  # share of the parts that were random: near 0 for the head alone, 1 for everything
    # Spearman's, -1..1, of the raw maps; None where one is constant, or a random copy has none
    correlations: tuple[float | None, ...]


def parts_of(body: nn.Module) -> list[tuple[str, tuple[str, ...]]]:
    """A timm model's parameters in parts, from the answer down to the input.

    Returns:
        (name, names of its parameters) of each part: "head" is the classifier, then come blocks and single layers in
        the opposite order of their registration, which in timm is that of the picture's way.
    """
    named = dict(body.named_parameters())
    heads = body.get_classifier()
    heads = heads if isinstance(heads, (tuple, list)) else [heads]
    inside = {id(parameter) for head in heads for parameter in head.parameters()}
    parts: dict[str, list[str]] = {}
    for name, parameter in named.items():
        parts.setdefault(HEAD if id(parameter) in inside else _part(name), []).append(name)
    head = parts.pop(HEAD, [])
    rest = [(name, tuple(names)) for name, names in reversed(parts.items())]
    return [(HEAD, tuple(head)), *rest] if head else rest


def _part(name: str) -> str:
    """ "blocks.3" of "blocks.3.attn.qkv.weight", "patch_embed" of "patch_embed.proj.weight"; "rest of head" of what
    stands beside the classifier in a module that is called head."""
    words = name.split(".")
    end = next((index + 1 for index, word in enumerate(words[:3]) if word.isdecimal()), 1)
    part = ".".join(words[:end])
    return f"rest of {HEAD}" if part == HEAD else part


def forgetful(model: Model, depth: float, seed: int = 0) -> Model:
    """A copy of a backbone whose upper part knows nothing; the backbone itself stays as it is.

    Args:
        model: a loaded backbone.
        depth: share of its parts to make random, from the head down: 0 none, just above 0 the head alone, 1 all.
        seed: of the shuffling. For one seed a deeper copy has the same random parts as a shallower one, and more.
    """
    network = copy.deepcopy(model.network)
    parts = parts_of(network.body)
    generator = torch.Generator().manual_seed(seed)
    named = dict(network.body.named_parameters())
    with torch.no_grad():
        for _, names in parts[: int(np.ceil(depth * len(parts)))]:
            for name in names:
                flat = named[name].view(-1) if named[name].is_contiguous() else named[name].reshape(-1)
                order = torch.randperm(len(flat), generator=generator).to(flat.device)
                named[name].copy_(flat[order].view_as(named[name]))
    return replace(model, network=network)


def randomisation(
    models: Sequence[Model],
    heat: Heat,
    remake: Callable[[tuple[Model, ...]], Heat | NotOffered],
    depths: Sequence[float] = (1e-9, 1.0),
    seed: int = 0,
    tick: Tick = lambda: None,
) -> Randomisation:
    """Compares a map with those of ever more random copies of its backbones.

    Args:
        models: the subject's backbones; they are copied, one set of copies at a time, and never changed.
        heat: the map.
        remake: the same map (picture, class, method, options) by other models; prediction and recording included.
        depths: where to look, as in `forgetful`; the default is the head alone, and everything.
        seed: of the shuffling.
        tick: called before each copy is made; may raise to stop.

    Cost: one map and one copy of the weights for each depth.

    Raises:
        VitdemoError: the copies' map has another shape.
    """
    correlations = []
    for depth in depths:
        tick()
        again = remake(tuple(forgetful(model, depth, seed) for model in models))
        if isinstance(again, NotOffered):
            correlations.append(None)
            continue
        if again.values.shape != heat.values.shape:
            raise VitdemoError(f"The map made again is {again.values.shape}; expected {heat.values.shape}.")
        correlations.append(spearman(heat.values, again.values))
    return Randomisation(tuple(float(depth) for depth in depths), tuple(correlations))
