"""A card for each network: what it learned from, under which licences, and where it errs.

After Mitchell et al. 2019, "Model cards for model reporting", arXiv 1810.03993, as far as there is something to say
that was written down or measured: a card of a network that was not measured here has no figures, and says so by `None`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vitdemo.backbones import Backbone

WORST = 3  # confusions that a card tells


@dataclass(frozen=True)
class Class:
    """How a network did on the test pictures of one class."""

    label: str
    pictures: int
    right: int
    taken_for: Mapping[str, int]  # pictures by the class that was said instead, most first


@dataclass(frozen=True)
class Card:
    """What is known of a network besides its weights."""

    name: str
    pictures: str  # what it was trained on
    licence: str
    paper: str  # arXiv number, "" where none is named
    provenance: tuple[Mapping[str, str], ...]  # "weights", "licence" and "source" of what it began with
    taught_by: tuple[str, ...]
    command: str | None  # that trains it
    history: str | None  # how the bundled file came about otherwise
    validation_accuracy: float
    test_accuracy: float | None
    classes: tuple[Class, ...] | None
    confusions: tuple[tuple[str, str, int], ...] | None  # (class, said instead, pictures), most first
    concentrated: tuple[float | None, ...] | None  # by layer, see `evaluate.attending`; () where there is no attention


def card_of(row: Backbone, measured: Mapping | None) -> Card:
    """The card of one network.

    Args:
        measured: the document that `evaluate` wrote of the row's collection, if there is one.
    """
    recipe = row.details.get("recipe", {})
    figures = (measured or {}).get("backbones", {}).get(row.name, {})
    labels, classes = (measured or {}).get("labels", ()), None
    if "per_class" in figures:
        classes = tuple(
            Class(label, one["count"], one["right"], {labels[k]: count for k, count in one["taken_for"]})
            for label, one in zip(labels, figures["per_class"], strict=True)
        )
    errors = [(one.label, said, count) for one in classes or () for said, count in one.taken_for.items()]
    return Card(
        name=row.name,
        pictures=row.details.get("trained_on", "ImageNet-1k" if row.collection == "imagenet" else ""),
        licence=row.licence,
        paper=row.paper,
        provenance=tuple(row.details.get("provenance", ())),
        taught_by=tuple((recipe.get("teacher") or {}).get("names", ())),
        command=recipe.get("command"),
        history=row.details.get("history"),
        validation_accuracy=row.accuracy,
        test_accuracy=row.details.get("test_accuracy"),
        classes=classes,
        confusions=None if classes is None else tuple(sorted(errors, key=lambda one: -one[2])[:WORST]),
        concentrated=tuple(figures["concentrated"]) if "concentrated" in figures else None,
    )
