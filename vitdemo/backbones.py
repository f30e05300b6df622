"""The catalogue: one row of data per backbone. A new backbone is a row here, or two files in `assets/backbones`.

Only members of one collection, which share their classes, are ever fused. Nothing in this module touches the network
or imports torch; weights are fetched by `weights` and put on the device by `models`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vitdemo.errors import UnknownNameError, VitdemoError, WeightsError

BUNDLED = Path(__file__).parent.parent / "assets" / "backbones"


@dataclass(frozen=True)
class Backbone:
    """One row. `accuracy` is top-1 on validation pictures for what we trained, and as published otherwise."""

    name: str  # what a person types
    collection: str  # backbones of one collection share their classes
    family: str  # "ViT", "Swin", …
    architecture: str  # timm's model name, with the pretrained tag for hub weights
    parameters: int  # number of weights
    accuracy: float  # top-1, 0..1
    licence: str = ""
    paper: str = ""  # arXiv number
    hub: str = ""  # "owner/repository" where the weights are fetched from, "" if they are on disk
    revision: str | None = None  # a branch, tag or commit of that repository; None is its default
    file: Path | None = None  # the weights on disk
    arguments: Mapping = field(default_factory=dict)  # what timm.create_model gets besides the name
    transform: Mapping | None = None  # None: as timm's pretrained configuration says
    labels: tuple[str, ...] = ()  # (): the labels of ImageNet-1k
    temperature: float = 1.0  # logits are divided by it, fitted on validation pictures
    details: Mapping = field(default_factory=dict)  # test accuracy, recipe, data: shown, never computed with

    @property
    def bytes(self) -> int:
        """Memory that the weights take in fp32, which is also what a download of fp32 safetensors weighs."""
        return 4 * self.parameters


class Catalogue:
    """The backbones that one program offers. Immutable; `plus` gives a larger one."""

    def __init__(self, rows: Iterable[Backbone]):
        self._rows: dict[tuple[str, str], Backbone] = {}
        for row in rows:
            if (row.collection, row.name) in self._rows:
                raise VitdemoError(f"Two backbones of the collection {row.collection!r} are called {row.name!r}.")
            self._rows[row.collection, row.name] = row

    def __iter__(self) -> Iterator[Backbone]:
        return iter(self._rows.values())

    def collections(self) -> list[str]:
        return list(dict.fromkeys(row.collection for row in self))

    def members(self, collection: str) -> list[Backbone]:
        """All backbones of a collection.

        Raises:
            UnknownNameError: there is no such collection.
        """
        rows = [row for row in self if row.collection == collection]
        if not rows:
            raise UnknownNameError("collection", collection, self.collections())
        return rows

    def get(self, collection: str, names: Iterable[str]) -> list[Backbone]:
        """The backbones of these names, in this order.

        Raises:
            UnknownNameError: an unknown collection or name.
            VitdemoError: no name, or one twice.
        """
        members = {row.name: row for row in self.members(collection)}
        names = list(names)
        if not names:
            raise VitdemoError(f"No backbone is chosen; allowed: one or more of {', '.join(members)}.")
        if len(set(names)) < len(names):
            raise VitdemoError(f"A backbone is chosen twice: {', '.join(map(str, names))}; allowed: each once.")
        for name in names:
            if name not in members:
                raise UnknownNameError(f"{collection} backbone", name, list(members))
        return [members[name] for name in names]

    def plus(self, rows: Iterable[Backbone]) -> "Catalogue":
        return Catalogue([*self, *rows])


def default_catalogue() -> Catalogue:
    """What every installation offers: the bundled collection, and ImageNet backbones from the hub."""
    return Catalogue([*bundled(), *IMAGENET])


def bundled(folder: Path = BUNDLED) -> list[Backbone]:
    """The rows of the weights that come with the project, read from the JSON file beside each.

    Raises:
        WeightsError: a JSON file is damaged or its weights are missing.
    """
    rows = [read_sidecar(path) for path in sorted(folder.glob("*.json"))]
    return sorted(rows, key=lambda row: ORDER.index(row.name) if row.name in ORDER else len(ORDER))


ORDER = ("vit", "hybrid", "resnet")  # from the plain transformer to the plain convolutional network


def read_sidecar(path: Path) -> Backbone:
    """One bundled backbone from its JSON file.

    Raises:
        WeightsError: the file is damaged or its weights are missing.
    """
    weights = path.with_suffix(".safetensors")
    if not weights.is_file():
        raise WeightsError(f"The weights {weights.name} are missing beside {path.name}; fetch the project again.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Backbone(
            name=data["name"],
            collection=data["collection"],
            family=data["family"],
            architecture=data["architecture"],
            parameters=data["parameters"],
            accuracy=data["validation_accuracy"],
            licence=data["licence"],
            file=weights,
            arguments=data["arguments"],
            transform=data["transform"],
            labels=tuple(data["labels"]),
            temperature=data["temperature"],
            details={key: data[key] for key in ("test_accuracy", "recipe", "trained_on")},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path.name} is damaged ({error}); fetch the project again.") from None


IMAGENET: tuple[Backbone, ...] = ()
