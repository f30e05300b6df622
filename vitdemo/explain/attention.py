"""Explanations from the attention matrices that were recorded while predicting. They need no further pass."""

import numpy as np

from vitdemo.attention import Layout, layout_of, rollout
from vitdemo.explain.base import EXPLANATIONS, Explanation, Options, Subject, Tick, merge
from vitdemo.models import Model
from vitdemo.types import Heat, NotOffered


def layout(model: Model) -> Layout | NotOffered:
    """Where a loaded backbone's tokens lie, or why its attention cannot be rolled out."""
    return layout_of(model.network.body, tuple(model.transform["input_size"][-2:]))


def _refuse(subject: Subject) -> str | None:
    layouts = [layout(model) for model in subject.models]
    if any(isinstance(each, Layout) for each in layouts):
        return None
    reasons = dict.fromkeys(each.reason for each in layouts)
    return "; ".join(reasons) + ". Integrated gradients and occlusion work for every backbone."


def _compute(subject: Subject, options: Options, tick: Tick) -> Heat:
    """Rollout of one backbone; of the fused model, the members' rollouts, each with sum 1, by their weights."""
    offered = [index for index, model in enumerate(subject.models) if isinstance(layout(model), Layout)]
    maps = []
    for index in offered:
        tick()
        rolled = rollout(
            subject.recordings[index],
            layout(subject.models[index]),
            discard=options.discard,
            head_fusion=options.head_fusion,
        )
        maps.append(rolled[0].cpu().numpy())
    views = [subject.views[index] for index in offered]
    if len(subject.models) == 1:
        return Heat(maps[0], signed=False, view=views[0])
    weights = subject.weights[offered]
    weights = weights / weights.sum() if weights.sum() else np.full(len(offered), 1 / len(offered))
    # a map that is 0 everywhere (the head's tokens looked at themselves only) has no shares to give
    shares = [weight * map_ / (map_.sum() or 1) for weight, map_ in zip(weights, maps, strict=True)]
    values, view = merge(shares, views)
    return Heat(values, signed=False, view=view, figures={"members": len(offered), "of": len(subject.models)})


EXPLANATIONS.add(
    "rollout",
    Explanation(
        name="rollout",
        title="Attention rollout",
        family="attention",
        sentence="Follows the attention of all layers from the answer back to the patches of the picture.",
        limits="It shows where information can flow, not what is made of it, and it is the same for every class.",
        paper="Abnar and Zuidema, 2020, arXiv 2005.00928",
        signed=False,
        class_specific=False,
        passes=lambda options: 0,
        refuse=_refuse,
        compute=_compute,
    ),
)
