"""A table as one JSON document, and the document as lines of text: what is printed, and what the README shows.

Version 2. Floats are rounded to 6 decimals, which is finer than what differs between processors; what is not known,
such as the seed of a backbone from the hub, is null. `fusions` are of all backbones that learned from no ensemble, or
of those that were named; `fusions_suggested` of the few that the page begins with.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from vitdemo.evaluate.measure import Group, Table
from vitdemo.evaluate.metrics import LEVEL, RESAMPLES, SEED
from vitdemo.recorded import MEASURED

DECIMALS = 6
HEAD = ("", f"top-1 ({LEVEL:.0%})", "NLL", "ECE", "parameters", "multiply-adds", "ms", "ratio")


def to_json(table: Table, command: str = "") -> dict:
    """The table with stable keys, strictly valid as JSON.

    Args:
        table: what was measured.
        command: what has to be typed to measure it again.
    """
    document = asdict(table)
    every, suggested = (table.groups.get(name, Group()) for name in ("fusions", "fusions_suggested"))
    parts = {
        "version": MEASURED,
        **{key: document[key] for key in ("collection", "split", "pictures", "labels")},
        "broken": [
            {"picture": f"{one.path.parent.name}/{one.path.name}", "reason": one.reason} for one in table.broken
        ],
        "empty": document["empty"],
        "silent": document["silent"],
        "command": command,
        **{key: document[key] for key in ("device", "threads", "batch")},
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "level": LEVEL},
        "backbones": document["backbones"],
        "fusions": {name: asdict(one) for name, one in every.fusions.items()},
        "refused": every.refused,
        "fusions_suggested": {name: asdict(one) for name, one in suggested.fusions.items()},
        "refused_suggested": suggested.refused,
        "best_single": table.best_single,
        "disagreement": document["disagreement"],
    }
    return _plain(parts)


def _plain(value):
    """Only what JSON knows: dictionaries, lists, text, whole numbers, rounded floats, null for what is not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return round(float(value), DECIMALS) + 0.0 if math.isfinite(value) else None  # + 0.0: no negative zero
    return value


def lines(document: Mapping) -> list[list[str]]:
    """The document's backbones and fusions as rows of text under `HEAD`.

    Fusions of the suggested backbones are left out where these are the members of the other fusions too.
    """
    every, suggested = document["fusions"], document["fusions_suggested"]
    same = {tuple(one["members"]) for one in every.values()} >= {tuple(one["members"]) for one in suggested.values()}
    named = {**document["backbones"], **every}
    if not same:
        named |= {f"{name} of {', '.join(one['members'])}": one for name, one in suggested.items()}
    return [_line(name, one) for name, one in named.items()]


def _line(name: str, one: Mapping) -> list[str]:
    top1 = one["top1"]
    return [
        name,
        f"{top1['value']:.4f} ({top1['low']:.3f}–{top1['high']:.3f})",
        f"{one['nll']:.3f}",
        f"{one['ece']:.4f}",
        f"{one['parameters'] / 1e6:.1f} M",
        f"{one['multiply_adds'] / 1e6:.0f} M",
        f"{one['milliseconds']['1']:.1f}",
        f"{one['milliseconds']['ratio_1']:.2f}",
    ]
