"""Explanations from attention matrices.

Rollout uses those that were recorded while predicting and needs no further pass. Relevance and gradient rollout need
the gradient of a class with respect to them, and raw attention one layer's heads: one more pass each. What is followed
back is the logit of the class, as in the papers, not its probability.
"""

from collections.abc import Callable
from itertools import count

import numpy as np
import torch

from vitdemo.attention import Layout, Recorder, gradient_rollout, gradients_of, layout_of, relevance, rollout
from vitdemo.attention.tokens import attention_of, heads_of
from vitdemo.attention.transitions import Attend
from vitdemo.errors import NotOfferedError
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


def _refuse_fused(subject: Subject) -> str | None:
    """The fused model's map is made of its backbones' maps: each with sum 1, by their weights."""
    reason = _refuse(subject)
    if reason is None and len(subject.models) > 1:
        return "a fused model has no attention but that of its backbones"
    return reason


# -- rollout -------------------------------------------------------------------------------------------------


def _rolled(subject: Subject, index: int, options: Options) -> np.ndarray:
    tokens = layout(subject.models[index])
    return _array(
        rollout(
            subject.recordings[index],
            tokens,
            options.residual,
            options.discard,
            options.head_fusion,
            min(options.start, len(tokens.attentions) - 1),
        )
    )


def _rollout(subject: Subject, options: Options, tick: Tick) -> Heat:
    """Rollout of one backbone; of the fused model, the members' rollouts, each with sum 1, by their weights."""
    offered = [index for index, model in enumerate(subject.models) if isinstance(layout(model), Layout)]
    maps = []
    for index in offered:
        tick()
        maps.append(_rolled(subject, index, options))
    views = [subject.views[index] for index in offered]
    if len(subject.models) == 1:
        return Heat(maps[0], signed=False, view=views[0], note=_note(subject))
    weights = subject.weights[offered]
    weights = weights / weights.sum() if weights.sum() else np.full(len(offered), 1 / len(offered))
    # a map that is 0 everywhere (the head's tokens looked at themselves only) has no shares to give
    shares = [weight * map_ / (map_.sum() or 1) for weight, map_ in zip(weights, maps, strict=True)]
    values, view = merge(shares, views)
    return Heat(values, signed=False, view=view, figures={"members": len(offered), "of": len(subject.models)})


def _note(subject: Subject) -> str:
    """What a map takes for granted, and whether it is an extension of the published definition."""
    tokens = layout(subject.models[0])
    return f"an extension: {tokens.note}" if tokens.kind == "extension" else tokens.note


# -- of one class --------------------------------------------------------------------------------------------


def _for_a_class(follow: Callable[[list, list, Layout, Options], torch.Tensor]):
    def compute(subject: Subject, options: Options, tick: Tick) -> Heat:
        model = subject.models[0]
        tick()
        pixels = subject.pixels[0].to(model.device)
        matrices, gradients = gradients_of(lambda: subject.score(model.network(pixels)).sum())
        values = _array(follow(matrices, gradients, layout(model), options))
        return Heat(values, signed=False, view=subject.views[0], note=_note(subject))

    return compute


# -- raw attention -------------------------------------------------------------------------------------------


def _raw(subject: Subject, options: Options, tick: Tick) -> Heat | NotOffered:
    """What one token takes from each patch in one layer."""
    model = subject.models[0]
    tokens = layout(model)
    try:
        layer = _number("layer", options.layer, len(tokens.attentions), last=True)
        step = tokens.attentions[layer]
        asking = _asking(tokens, step, options.query)
    except NotOfferedError as error:
        return NotOffered(str(error))
    tick()
    first = sum(earlier.matrices for earlier in tokens.attentions[:layer])
    with torch.inference_mode(), Recorder(_only(first, step.matrices)) as recorder:
        model.network(subject.pixels[0].to(model.device))
    parts = [matrix.unflatten(0, (-1, step.shape[0])) for matrix in recorder.matrices[first : first + step.matrices]]
    if options.head < 0:
        attention = attention_of(step, parts, options.head_fusion)
    else:
        heads = heads_of(step, parts).float()
        if options.head >= heads.shape[2]:
            return NotOffered(f"head is {options.head}, but the heads of layer {layer} are 0 to {heads.shape[2] - 1}")
        attention = heads[:, :, options.head]
    row = torch.zeros(1, step.outputs, device=attention.device)
    row[:, asking] = 1 / len(asking)
    values = step.take(row, attention)[:, step.seen.tokens].unflatten(-1, step.seen.grid)
    return Heat(_array(values), signed=False, view=subject.views[0], figures={"layer": layer})


def _only(first: int, number: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Keeps some of the matrices, and of the others nothing."""
    seen = count()
    return lambda matrix: matrix if first <= next(seen) < first + number else matrix.new_empty(0)


def _number(name: str, value: int, size: int, last: bool = False) -> int:
    if value >= size:
        raise NotOfferedError(f"{name} is {value}, but this backbone has 0 to {size - 1}")
    return size - 1 if last and value < 0 else value


def _asking(tokens: Layout, step: Attend, query: int) -> list[int]:
    """The tokens whose rows are averaged: one patch, or those that the head reads.

    A head that pools patches reads all of them, and before the last layer a smaller grid comes from all of this one.
    """
    if query >= 0:
        if step.asked is None:
            raise NotOfferedError("only the class token asks in this layer: leave query at -1")
        return [step.asked.first + _number("query", query, len(step.asked.tokens))]
    if tokens.pools:
        return list(range(step.outputs)) if step.asked is None else list(step.asked.tokens)
    classes = [token for token in tokens.readout if token in step.queries]
    if not classes:
        raise NotOfferedError("the class token does not ask in this layer: choose a patch as query, or a later layer")
    return classes


def _array(values: torch.Tensor) -> np.ndarray:
    return values[0].float().cpu().numpy()


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
        compute=_rollout,
        reads=("head_fusion", "residual", "discard", "start"),
    ),
)
EXPLANATIONS.add(
    "relevance",
    Explanation(
        name="relevance",
        title="Relevance",
        family="attention",
        sentence="Follows back only the attention that raises the score of the class, layer by layer.",
        limits="It counts what speaks for the class and leaves out what speaks against it.",
        paper="Chefer, Gur and Wolf, 2021, arXiv 2103.15679",
        signed=False,
        class_specific=True,
        passes=lambda options: 1,
        backward=lambda options: 1,
        refuse=_refuse_fused,
        compute=_for_a_class(lambda matrices, gradients, tokens, options: relevance(matrices, gradients, tokens)),
    ),
)
EXPLANATIONS.add(
    "gradient_rollout",
    Explanation(
        name="gradient_rollout",
        title="Gradient rollout",
        family="attention",
        sentence="Attention rollout in which each look counts by how much it raises the score of the class.",
        limits="Heads that speak for and against the class cancel each other before they are followed.",
        paper="Gildenblat, 2020, github.com/jacobgil/vit-explain",
        signed=False,
        class_specific=True,
        passes=lambda options: 1,
        backward=lambda options: 1,
        refuse=_refuse_fused,
        compute=_for_a_class(
            lambda matrices, gradients, tokens, options: gradient_rollout(matrices, gradients, tokens, options.residual)
        ),
        reads=("residual",),
    ),
)
EXPLANATIONS.add(
    "attention",
    Explanation(
        name="attention",
        title="Raw attention",
        family="attention",
        sentence="What one token looks at in one layer: the last, unless another is chosen.",
        limits="One layer says little about the answer: what it reads was already mixed by those before it.",
        paper="Vaswani et al., 2017, arXiv 1706.03762",
        signed=False,
        class_specific=False,
        passes=lambda options: 1,
        refuse=_refuse_fused,
        compute=_raw,
        reads=("layer", "head", "query", "head_fusion"),
    ),
)
