"""What can be chosen, as plain data: for the command line and for programs.

Modules that need torch are imported inside the functions, so that `--help` answers at once.
"""

from collections.abc import Iterable
from dataclasses import asdict

# A flag for each field of explain.Options: its type, and what it does. `methods` lists defaults and limits.
OPTIONS: dict[str, tuple[type, str]] = {
    "head_fusion": (str, "attention: how heads become one matrix"),
    "residual": (float, "attention rollout: weight of the skip connections"),
    "discard": (float, "attention rollout: share of the lowest attention that is ignored"),
    "start": (int, "attention rollout: layers before this one are left out"),
    "layer": (int, "raw attention: which layer, from 0; -1 is the last"),
    "head": (int, "raw attention: which head, from 0; -1 is all, fused"),
    "query": (int, "raw attention: which patch looks, row by row from 0; -1 is what the head reads"),
    "baseline": (str, "gradients and occlusion: what a picture without information looks like"),
    "steps": (int, "integrated gradients: points on the path to begin with"),
    "smoothing": (str, "gradients: what is made of the maps of noisy copies"),
    "samples": (int, "SmoothGrad and smoothing: noisy copies; GradientShap: points"),
    "noise": (float, "SmoothGrad and smoothing: standard deviation of the noise, of pixels in 0..1"),
    "patches": (int, "occlusion: patches along the long side"),
    "window": (int, "occlusion: side of the hidden square in patches; above 1 it slides"),
    "regions": (str, "ablation, KernelSHAP, LIME: what is hidden as one"),
    "segments": (int, "ablation, KernelSHAP, LIME: number of regions at most"),
    "coalitions": (int, "KernelSHAP, LIME: pictures with some regions hidden"),
    "fused_map": (str, "fused model: the method itself, or how the backbones' maps become one"),
    "batch": (int, "pictures in one forward pass"),
    "seed": (int, "of the noise"),
}


def backbones(rows: Iterable, fetcher) -> list[dict]:
    """Every backbone with its figures; nothing is fetched to find them out.

    Args:
        rows: of the catalogue.
        fetcher: where hub weights would come from.

    Returns:
        For each a dictionary with "name", "collection", "family", "architecture", "parameters", "megabytes", "on_disk",
        "command" (to be typed where it is not on disk and not fetched; ""), "accuracy" (top-1, 0..1), "licence",
        "rollout" (whether it is offered, None where that cannot be told) and "card": the fields of `cards.Card`.
    """
    from vitdemo import recorded
    from vitdemo.cards import card_of
    from vitdemo.models import is_here

    rows = list(rows)
    measured = {name: recorded.measured(name) for name in {row.collection for row in rows}}
    return [
        {
            "name": row.name,
            "collection": row.collection,
            "family": row.family,
            "architecture": row.architecture,
            "parameters": row.parameters,
            "megabytes": row.megabytes,
            "on_disk": is_here(row, fetcher),
            "command": row.source.command(),
            "accuracy": row.accuracy,
            "licence": row.licence,
            "rollout": _has_rollout(row),
            "card": asdict(card_of(row, measured[row.collection])),
        }
        for row in rows
    ]


def _has_rollout(row) -> bool | None:
    """Whether attention rollout is offered, told from the architecture without its weights; None if that cannot be."""
    from vitdemo import host
    from vitdemo.attention import Layout, layout_of
    from vitdemo.errors import WeightsError
    from vitdemo.models import labels_of

    try:
        body = host.skeleton(row.architecture, len(labels_of(row)), row.arguments)
    except WeightsError:
        return None
    size = (row.transform or body.pretrained_cfg)["input_size"][-2:]
    return isinstance(layout_of(body, tuple(size)), Layout)


def methods() -> dict:
    """What a fusion, an explanation and its options can be.

    Returns:
        "fusions" and "explanations": a sentence by name; "options": for each its "default", what is "allowed" (names,
        or the lowest and the highest number) and a "sentence".
    """
    from vitdemo.explain import EXPLANATIONS, Options
    from vitdemo.explain.base import CHOICES, LIMITS
    from vitdemo.fusion import FUSIONS

    return {
        "fusions": {one.name: one.sentence for one in FUSIONS},
        "explanations": {one.name: one.sentence for one in EXPLANATIONS},
        "options": {
            name: {
                "default": value,
                "allowed": list(CHOICES[name] if name in CHOICES else LIMITS[name]),
                "sentence": OPTIONS[name][1],
            }
            for name, value in asdict(Options()).items()
        },
    }
